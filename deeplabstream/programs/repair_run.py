"""Repair the folder of a run that was killed: python utils/RepairRun.py FOLDER.

Finalises its videos, removes half-written rows, completes run.json, and reports what is
missing. Nothing is deleted: originals are kept as NAME.damaged. A second repair changes
nothing.
"""

from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.visible_text import visible
from deeplabstream.programs.program import Program
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import ended, repair_killed
from deeplabstream.recording.run_repair import repair
from deeplabstream.recording.table_reader import table_warnings
from deeplabstream.settings.option_fields import option, program_options


@program_options
class RepairRun:
    """Runs that were killed."""

    folder: tuple[Path, ...] = option(positional=True)
    """Run folders."""


def repair_run(options: RepairRun) -> int:
    """Repair the folders; 1 when one could not be."""
    failed = 0
    for folder in options.folder:
        try:
            report = repair(folder) if ended(folder) else repair_killed(folder)
            warnings = table_warnings(RunFolder(folder).tables())
        except (DeepLabStreamError, OSError, ValueError) as error:
            print(visible(f"Can't repair {folder}: {error}"))
            failed = 1
            continue

        print(f"{folder}: {'repaired' if report.done else 'whole, nothing to do'}")
        for sentence in (*report.done, *warnings):
            print(f"  {visible(sentence)}")
        if report.done:
            print(
                f"  missing in the videos: {report.missing} frames, at most "
                f"{report.missing_s:.3f} s"
            )
    return failed


PROGRAM = Program(RepairRun, repair_run, __doc__, "RepairRun")
