"""Writes a run for other programs: python utils/ExportRun.py FOLDER --to nwb.

The files come into FOLDER/export and can be made anew at any time.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.exporters.exports import EXPORTS, export


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Export the run."""
    options = argparse.ArgumentParser(prog="ExportRun.py", description=__doc__)
    options.add_argument("folder", type=Path, help="a run folder")
    options.add_argument("--to", required=True, choices=[*EXPORTS, "all"])
    asked = options.parse_args(argv)
    kinds = list(EXPORTS) if asked.to == "all" else [asked.to]
    for kind in kinds:
        try:
            for path in export(asked.folder, kind, print):
                print(path)
        except (DeepLabStreamError, OSError, ValueError) as error:
            raise DeepLabStreamError(
                f"{asked.folder} can't be exported to {kind}: {error}"
            ) from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
