"""Repair the folder of a run that was killed: python utils/RepairRun.py FOLDER.

Finalises its videos, removes half-written rows, completes run.json, and reports what is
missing. Nothing is deleted: originals are kept as NAME.damaged. A second repair changes
nothing.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

from collections.abc import Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.recording.run_opening import ended, repair_killed
from deeplabstream.recording.run_repair import repair
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.table_reader import table_warnings


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Repair the folders; 1 when one could not be."""
    parser = ProgramParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+", help="run folder")
    failed = 0
    for folder in parser.parse_args(argv).folder:
        try:
            report = repair(folder) if ended(folder) else repair_killed(folder)
            broken = table_warnings(RunFolder(folder).tables())
        except (DeepLabStreamError, OSError, ValueError) as error:
            print(f"Can't repair {folder}: {error}")
            failed = 1
            continue
        print(f"{folder}: {'whole, nothing to do' if not report.done else 'repaired'}")
        for sentence in (*report.done, *broken):
            print(f"  {sentence}")
        if report.done:
            print(
                f"  missing in the videos: {report.missing} frames, at most "
                f"{report.missing_s:.3f} s"
            )
    return failed


if __name__ == "__main__":
    sys.exit(main())
