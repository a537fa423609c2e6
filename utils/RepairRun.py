"""Makes the folder of a run whole that was killed: python utils/RepairRun.py FOLDER.

Closes its videos, cuts off half-written rows, completes run.json, and says what is missing.
Nothing is deleted: what is changed is kept beside it, as NAME.damaged. A second time it
finds nothing to do.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.program import ending, prepare

prepare()

from collections.abc import Sequence

from deeplabstream.core.arguments import ProgramParser
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.run_opening import goes_on
from deeplabstream.recording.repair import repair
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.table_reader import table_warnings


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Repair the folders; 1 when one could not be."""
    parser = ProgramParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+", help="a run folder")
    failed = 0
    for folder in parser.parse_args(argv).folder:
        try:
            if goes_on(folder):
                raise ValueError("it is still being written")
            report = repair(folder)
            broken = table_warnings(RunFolder(folder).tables())
        except (DeepLabStreamError, OSError, ValueError) as error:
            print(f"{folder}: can't be repaired: {error}")
            failed = 1
            continue
        print(f"{folder}: {'whole, nothing to do' if not report.done else 'repaired'}")
        for sentence in (*report.done, *broken):
            print(f"  {sentence}")
        if report.done:
            print(
                f"  missing in the videos: {report.missing} frames, "
                f"{report.missing_s:.3f} s at the most"
            )
    return failed


if __name__ == "__main__":
    sys.exit(main())
