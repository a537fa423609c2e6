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

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.visible_text import visible
from deeplabstream.programs.program import Program
from deeplabstream.recording.video_retention import (
    RecordedVideo,
    RetentionRules,
    chosen_videos,
    closed_videos,
    delete,
    free_bytes,
    runs_below,
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
    )
    videos: list[RecordedVideo] = []
    failed = 0
    for run in runs_below(options.folder):
        try:
            videos += closed_videos(run)
        except (OSError, ValueError, KeyError, TypeError, DeepLabStreamError) as error:
            _print(f"{run}: not touched, it can't be read: {error}")
            failed = 1

    now = datetime.now().astimezone()
    chosen = chosen_videos(videos, rules, now.timestamp(), free_bytes(options.folder))
    rule = f"older than {options.keep_days:g} days"
    if options.free_gb:
        rule += f", less than {options.free_gb:g} GB free"
    done = 0
    for video in chosen:
        try:
            if options.delete:
                delete(video, rule, now)
        except (OSError, DeepLabStreamError) as error:
            _print(f"{video.path}: kept: {error}")
            failed = 1
            continue
        done += video.size
        _print(f"{video.path}: {video.size / 1e6:.1f} MB")

    what = "deleted" if options.delete else "would be deleted with --delete"
    _print(f"{len(chosen)} of {len(videos)} videos, {done / 1e9:.3f} GB, {what}")
    return failed


def _print(text: str) -> None:
    print(visible(text))


PROGRAM = Program(PruneOptions, prune_videos, __doc__, "PruneVideos", uses_rig=False)
