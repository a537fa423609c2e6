"""Video retention: which recorded videos of a folder of runs may be deleted, and their account.

Only videos that this program recorded and closed: never the newest of a run that has not ended,
a video of a run whose audit has clips without a verdict, an imported video, a link, or a file
that its run does not list. The tables of the frames stay.
`deleted_videos.json` in the run folder names each video that was deleted; a repair takes its
frames for recorded.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.files.rig_folder import MANIFEST
from deeplabstream.recording.audit_files import is_open_in_audit
from deeplabstream.recording.deleted_videos import DELETED, add_deleted_video
from deeplabstream.recording.retention_rules import RetentionRules
from deeplabstream.recording.run_collection import installed, is_collected
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_repair import is_unfinished
from deeplabstream.recording.run_schema import IMPORTED
from deeplabstream.recording.table_reader import video_table

EXPORT = "export"
"""Folder of the exported files in a run folder."""
_DAY_S = 86400.0
_UNREADABLE = OSError, ValueError, KeyError, TypeError, DeepLabStreamError
_HAPPENED = ("mark", "edge")
"""Kinds of events whose videos can be kept."""


@dataclass(frozen=True)
class RecordedVideo:
    """A closed video that a run lists."""

    path: Path
    table: Path
    size: int
    """Bytes."""
    closed_s: float
    """Time of its last change, in s since 1970."""
    before_newest_s: float = 0.0
    """Time from its first frame to that of the run's newest closed video, by the clock of the
    frames, which is never set; 0: unknown."""


def closed_videos(run: Path) -> list[RecordedVideo]:
    """Return the videos of a run that may be deleted, in any order.

    ValueError, OSError, DeepLabStreamError: the run can't be read; then none may be.
    """
    folder = RunFolder(run)
    facts = folder.facts
    if facts.get(IMPORTED) or facts.get("video") or is_open_in_audit(run):
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

    first_ns = {video.path: _first_exposure_ns(video.table) for video in found}
    newest_ns = max(filter(None, first_ns.values()), default=0)
    return [
        replace(video, before_newest_s=(newest_ns - begin_ns) / 1e9)
        if (begin_ns := first_ns[video.path])
        else video
        for video in found
    ]


def _first_exposure_ns(table: Path) -> int | None:
    """Return the time of the first frame in a table; None: it has none."""
    for (cell,) in video_table(table).select("exposed_ns"):
        return int(cell)
    return None


@dataclass(frozen=True)
class Pruned:
    """What has become of a video, or of all videos of a run."""

    path: Path
    size: int = 0
    """Bytes that were deleted, or would be."""
    problem: str = ""
    """Why it is kept; empty: it is not."""


def prune(
    folder: Path, rules: RetentionRules, now: datetime, deletes: bool = True
) -> Iterator[Pruned]:
    """Delete videos of the runs in a folder; yield what became of each that the rules delete.

    Without `deletes`, they are only named. DeepLabStreamError: rclone is missing.
    """
    collection = _Collection(rules.collected_to)
    videos: list[RecordedVideo] = []
    for run in runs_below(folder):
        try:
            videos += closed_videos(run)
        except _UNREADABLE as error:
            problem = f"not touched, it can't be read: {error}"
            yield Pruned(run, problem=problem)

    room = partial(free_bytes, folder)
    for video in _choice(videos, rules, now.timestamp(), room, collection):
        try:
            if deletes and not delete(video, str(rules), now):
                continue
        except (OSError, DeepLabStreamError) as error:
            yield Pruned(video.path, problem=f"kept: {error}")
        else:
            yield Pruned(video.path, video.size)
    for run in collection.missing:
        problem = f"videos are kept, rclone does not find them in {rules.collected_to}"
        yield Pruned(run, problem=problem)


class _Collection:
    """Videos that are verified where rclone has collected them."""

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._program = installed() if destination else ""
        self.missing: dict[Path, None] = {}
        """Runs with a video that was not found there, in the order in which they were asked."""

    def has(self, video: RecordedVideo) -> bool:
        """Return whether a video was verified, or need not be."""
        run = video.path.parent
        if not self._destination:
            return True
        # a run is collected as a whole, after its end: one missing video stands for all
        if run in self.missing or not is_collected(
            video.path, self._destination, self._program
        ):
            self.missing[run] = None
            return False
        return True


def chosen_videos(
    videos: list[RecordedVideo], rules: RetentionRules, now_s: float, free_bytes: int
) -> list[RecordedVideo]:
    """Return the videos that the rules delete, the oldest first, wherever they are collected.

    `free_bytes`: free space of the disk. Ages are counted from the newest video of the second
    newest run, or of the only run, if that is earlier than `now_s`: a clock that is set
    forward, also for one of several runs, deletes nothing. Of a long run, ages are also those
    within the run.
    """
    return [*_choice(videos, rules, now_s, lambda: free_bytes, _Collection(""))]


def _choice(
    videos: list[RecordedVideo],
    rules: RetentionRules,
    now_s: float,
    room: Callable[[], int],
    collection: _Collection,
) -> Iterator[RecordedVideo]:
    """Yield the videos to delete one by one; each counts as deleted when the next is asked.

    `room` returns the free bytes of the disk. Other rigs may delete videos there, too, so
    it is asked each time; a file system may free the space of a deleted file only later, so
    what was deleted is counted, too.
    """
    if not rules:
        return
    free_before, freed = room(), 0
    by_time = sorted(videos, key=lambda it: it.closed_s)
    ends_s = sorted({it.path.parent: it.closed_s for it in by_time}.values())
    newest_s = min([now_s, *ends_s[-2:]])
    keep_s = (rules.keep_days or 0.0) * _DAY_S
    first_s = newest_s - keep_s
    for video in sorted(videos, key=lambda it: (it.closed_s, it.path)):
        free = max(free_before + freed, room())
        if rules.free_bytes and free >= rules.free_bytes:
            break
        old = video.closed_s < first_s or video.before_newest_s > keep_s
        if not (old and _permitted(video, rules)):
            continue
        if not collection.has(video):
            continue
        yield video
        freed += video.size


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


def delete(video: RecordedVideo, rule: str, now: datetime) -> bool:
    """Write the account of a video, then delete it; OSError or DeviceError: it is kept.

    False: another program, such as a rig with the same output folder, has deleted it meanwhile.
    """
    run = video.path.parent
    with exclusive(run / DELETED):
        if not video.path.exists():
            return False
        frames = sum(1 for _ in video_table(video.table).select("video_frame"))
        account = {
            "deleted": now.isoformat(timespec="seconds"),
            "rule": rule,
            "bytes": video.size,
            "frames": frames,
        }
        add_deleted_video(run, video.path.name, account)
        video.path.unlink()
        return True


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
