"""Video retention: which recorded videos of a folder of runs may be deleted, and their account.

Only videos that this program recorded and closed: never the newest of a run that has not ended,
an imported video, a link, or a file that its run does not list. The tables of the frames stay.
`deleted_videos.json` in the run folder names each video that was deleted; a repair takes its
frames for recorded.
"""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.files.rig_folder import MANIFEST
from deeplabstream.recording.deleted_videos import DELETED, add_deleted_video
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_repair import is_unfinished
from deeplabstream.recording.run_schema import IMPORTED
from deeplabstream.recording.table_reader import video_table

EXPORT = "export"
"""Folder of the exported files in a run folder."""
_DAY_S = 86400.0
_HAPPENED = ("mark", "edge")
"""Kinds of events whose videos can be kept."""


@dataclass(frozen=True)
class RetentionRules:
    """Which videos are kept."""

    keep_days: float | None = None
    """Videos closed within so many days before the newest one are kept; None: any age.

    The newest one is that of the second newest run, if there are several runs.
    """
    free_bytes: int = 0
    """Older videos are deleted only until so much is free on the disk; 0: all are."""
    exported_only: bool = False
    """Videos of runs that were not exported are kept, and those that an NWB file refers to."""
    keep_events: bool = False
    """Videos in which the experiment did something are kept: marks, edges of outputs."""


@dataclass(frozen=True)
class RecordedVideo:
    """A closed video that a run lists."""

    path: Path
    table: Path
    size: int
    """Bytes."""
    closed_s: float
    """Time of its last change, in s since 1970."""


def closed_videos(run: Path) -> list[RecordedVideo]:
    """Return the videos of a run that may be deleted, in any order.

    ValueError, OSError, DeepLabStreamError: the run can't be read; then none may be.
    """
    folder = RunFolder(run)
    facts = folder.facts
    if facts.get(IMPORTED) or facts.get("video"):
        return []
    found = []
    for camera in facts["cameras"]:
        tables = folder.video_tables(camera)
        if facts.get("ended") is None:
            tables = tables[:-1]
        for table in tables:
            video = table.with_name(table.name.replace(".frames.csv", ".mkv"))
            if video.is_symlink() or not video.is_file() or is_unfinished(video):
                continue
            stat = video.stat()
            found.append(RecordedVideo(video, table, stat.st_size, stat.st_mtime))
    return found


def chosen_videos(
    videos: list[RecordedVideo], rules: RetentionRules, now_s: float, free_bytes: int
) -> list[RecordedVideo]:
    """Return the videos that the rules delete, the oldest first.

    `free_bytes`: free space of the disk. Ages are counted from the newest video of the second
    newest run, or of the only run, if that is earlier than `now_s`: a clock that is set
    forward, also for one of several runs, deletes nothing.
    """
    if rules.keep_days is None and not rules.free_bytes:
        return []
    by_time = sorted(videos, key=lambda it: it.closed_s)
    ends_s = sorted({it.path.parent: it.closed_s for it in by_time}.values())
    newest_s = min([now_s, *ends_s[-2:]])
    first_s = newest_s - (rules.keep_days or 0.0) * _DAY_S
    chosen = []
    for video in sorted(videos, key=lambda it: (it.closed_s, it.path)):
        if rules.free_bytes and free_bytes >= rules.free_bytes:
            break
        if video.closed_s >= first_s or not _permitted(video, rules):
            continue
        chosen.append(video)
        free_bytes += video.size
    return chosen


def _permitted(video: RecordedVideo, rules: RetentionRules) -> bool:
    run = video.path.parent
    if rules.exported_only and not _is_exported(run):
        return False
    return not (rules.keep_events and _has_events(video))


def _is_exported(run: Path) -> bool:
    """Return whether a run has exported files that do not need its videos."""
    # names of unfinished files begin with a dot
    files = [path for path in (run / EXPORT).glob("*") if path.name[0] != "."]
    return bool(files) and not any(path.suffix == ".nwb" for path in files)


def _has_events(video: RecordedVideo) -> bool:
    """Return whether something happened while a video was recorded."""
    folder = RunFolder(video.path.parent)
    times = [int(cell) for (cell,) in video_table(video.table).select("exposed_ns")]
    if not times:
        return False
    start_ns = folder.facts["start_ns"]
    first_s, last_s = ((ns - start_ns) / 1e9 for ns in (times[0], times[-1]))
    return any(
        first_s <= float(row["time_s"]) <= last_s
        for row in folder.events()
        if row["kind"] in _HAPPENED and row["time_s"]
    )


def delete(video: RecordedVideo, rule: str, now: datetime) -> None:
    """Write the account of a video, then delete it; OSError or DeviceError: it is kept."""
    run = video.path.parent
    with exclusive(run / DELETED):
        frames = sum(1 for _ in video_table(video.table).select("video_frame"))
        account = {
            "deleted": now.isoformat(timespec="seconds"),
            "rule": rule,
            "bytes": video.size,
            "frames": frames,
        }
        add_deleted_video(run, video.path.name, account)
        video.path.unlink()


def runs_below(folder: Path) -> Iterator[Path]:
    """Yield the run folders directly in a folder; evidence bundles are left out."""
    for path in sorted(folder.iterdir()):
        own = path.is_dir() and not path.is_symlink()
        if own and (path / "run.json").is_file() and not (path / MANIFEST).exists():
            yield path


def free_bytes(folder: Path) -> int:
    """Return the free space of a folder's disk."""
    with suppress(OSError):
        return shutil.disk_usage(folder).free
    return 0
