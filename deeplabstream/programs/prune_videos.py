"""Delete old videos of recorded runs by rules; their poses, events and frame times stay.

    python utils/PruneVideos.py output --keep-days 14
    python utils/PruneVideos.py output --keep-days 14 --free-gb 200 --exported-only --delete

Without --delete it prints what it would delete. With --free-gb, the oldest videos go first, and
only until so much is free. It also works while runs are recorded: closed parts
(SPLIT_MINUTES) of a run can be deleted, never the newest. Each run's deleted_videos.json names
what was deleted.
"""

from datetime import datetime
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.core.visible_text import visible
from deeplabstream.programs.program import Program
from deeplabstream.recording.retention_rules import RetentionRules
from deeplabstream.recording.video_retention import (
    prune,
)
from deeplabstream.settings.option_fields import option, program_options


@program_options
class PruneOptions:
    """The runs, and which of their videos are kept."""

    folder: Path = option(positional=True, metavar="RUNS")
    """Folder of run folders."""
    keep_days: float = option(ge=0, metavar="DAYS")
    """Keep videos that were closed within so many days before the newest one; of several runs,
    that of the second newest."""
    free_gb: float = option(default=0.0, ge=0, metavar="GB")
    """Delete only until so much is free on the disk; 0: all that are old."""
    exported_only: bool = option(default=False)
    """Only videos of runs that were exported (folder `export`), but not as NWB, which refers to
    the videos."""
    keep_events: bool = option(default=False)
    """Keep videos with marks of the experiment or edges of outputs."""
    collected_to: str = option(default="", metavar="PLACE")
    """Only videos that rclone finds at PLACE of `collect` with equal checksums."""
    delete: bool = option(default=False)
    """Delete the videos; otherwise they are listed."""


def prune_videos(options: PruneOptions) -> int:
    """Print and delete the videos; return 1 if a run or a video could not be read."""
    if not options.folder.is_dir():
        raise DeepLabStreamError(f"{options.folder} is not a folder of runs")
    rules = RetentionRules(
        keep_days=options.keep_days,
        free_bytes=round(options.free_gb * 1e9),
        exported_only=options.exported_only,
        keep_events=options.keep_events,
        collected_to=options.collected_to,
    )
    failed = count = done = 0
    now = datetime.now().astimezone()
    for pruned in prune(options.folder, rules, now, options.delete):
        if pruned.problem:
            failed = 1
            _print(f"{pruned.path}: {pruned.problem}")
            continue
        count, done = count + 1, done + pruned.size
        _print(f"{pruned.path}: {pruned.size / 1e6:.1f} MB")

    what = "deleted" if options.delete else "would be deleted with --delete"
    _print(f"{counted(count, 'video')}, {done / 1e9:.3f} GB, {what}")
    return failed


def _print(text: str) -> None:
    print(visible(text))


PROGRAM = Program(PruneOptions, prune_videos, __doc__, "PruneVideos", uses_rig=False)
