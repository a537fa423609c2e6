"""Export a run for other programs: python utils/ExportRun.py FOLDER --to nwb.

The files are written to FOLDER/export. Existing files are replaced only with --overwrite.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.program import ending, prepare

prepare()

from collections.abc import Sequence

from deeplabstream.core.arguments import ProgramParser
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.overwriting import add_overwrite
from deeplabstream.recording.exporters.exports import (
    EXPORTED_BEFORE,
    EXPORTS,
    ExportedBeforeError,
    export,
)


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Export the run; return EXPORTED_BEFORE when a file is there already."""
    options = ProgramParser(prog="ExportRun.py", description=__doc__)
    options.add_argument("folder", type=Path, help="run folder")
    options.add_argument("--to", required=True, choices=[*EXPORTS, "all"])
    options.add_argument(
        "--output", type=Path, metavar="FOLDER", help="default: export/ of the run"
    )
    add_overwrite(options)
    asked = options.parse_args(argv)
    kinds = list(EXPORTS) if asked.to == "all" else [asked.to]
    try:
        export(asked.folder, kinds, asked.output, print, asked.overwrite)
    except ExportedBeforeError as error:
        print(error, file=sys.stderr)
        return EXPORTED_BEFORE
    except (DeviceError, OSError, ValueError) as error:
        raise DeepLabStreamError(
            f"Can't export {asked.folder} to {asked.to}: {error}"
        ) from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
