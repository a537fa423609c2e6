"""Copy finished runs to another place by rclone, and compare checksums. Nothing is deleted.

    python utils/CollectRuns.py output --to archive:lab/rig1

`archive` is a remote that `rclone config` has made; a folder, such as a network drive, works
too. A run that is being recorded, or was killed and not repaired, is left for later.
"""

from collections import Counter
from pathlib import Path

from deeplabstream.analysis.study import find_runs
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.visible_text import visible
from deeplabstream.programs.program import Program
from deeplabstream.recording.run_collection import RCLONE, collect, installed
from deeplabstream.recording.run_opening import ended
from deeplabstream.settings.option_fields import option, program_options


@program_options
class CollectOptions:
    """The runs, and where they are collected."""

    folder: tuple[Path, ...] = option(positional=True)
    """Output folders, whose runs are collected, or single runs."""
    to: str = option(metavar="PLACE")
    """Folder, or REMOTE:PATH of rclone; each run gets a folder in it."""
    rclone: str = option(default=RCLONE, metavar="PROGRAM")
    """The program rclone."""


def run(options: CollectOptions) -> int:
    """Collect the runs; return 1 if one is not complete at the destination."""
    program = installed(options.rclone)
    runs = find_runs(options.folder)
    for name, count in Counter(run.name for run in runs).items():
        if count > 1:
            raise DeepLabStreamError(
                f"{count} runs are called {name}: collect their folders to different places"
            )
    finished = [folder for folder in runs if ended(folder)]

    failures = 0
    for collected in collect(finished, options.to, program):
        failures += bool(collected.problem)
        print(visible(str(collected)), flush=True)
    print(
        f"{len(finished) - failures} of {len(runs)} runs are collected; {failures} failed, "
        f"{len(runs) - len(finished)} are not finished",
        flush=True,
    )
    return 1 if failures else 0


PROGRAM = Program(CollectOptions, run, __doc__, "CollectRuns")
