"""Repair of a killed run: completes its files and reports what is missing."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av

from deeplabstream.core.errors import counted
from deeplabstream.files.atomic_replace import atomic_file, replace
from deeplabstream.files.foreign_files import is_special, open_regular, read_json
from deeplabstream.recording import disk_reserve
from deeplabstream.recording.deleted_videos import deleted_videos
from deeplabstream.recording.frame_accounts import FrameCounts
from deeplabstream.recording.run_folder import RunFolder, accounting, is_of_pulses
from deeplabstream.recording.run_json import Facts, validate_facts
from deeplabstream.recording.run_schema import MOMENTS, check_schema, keypoints_of
from deeplabstream.recording.table_reader import (
    camera_table,
    events_table,
    video_table,
)
from deeplabstream.recording.table_repair import (
    cut_rows,
    cut_to,
    free_backup_path,
    half_written_bytes,
    keep_original,
)

TABLES = ("events", "triggers")
_SEGMENT = b"\x18\x53\x80\x67"
_UNKNOWN = b"\x01" + 7 * b"\xff"
"""Size of a Matroska segment until the file is closed."""


@dataclass
class RepairReport:
    """Report of a repair: changes and missing data. No data are deleted."""

    done: list[str] = field(default_factory=list)
    """Sentences on changes and missing data; empty: the folder was complete."""
    missing: int = 0
    """Number of recorded frames that are missing in a video."""
    missing_s: float = 0.0
    """Longest time by which a video ends before its table."""


@dataclass(frozen=True)
class _Video:
    camera: str
    files: tuple[str, str]
    listed: int
    frames: int


def check_run_folder(path: Path) -> None:
    """Raise ValueError unless a folder is a run folder with only regular files."""
    if not (path / "settings.ini").is_file():
        raise ValueError(f"{path} is not a run folder: it has no settings.ini")
    for file in path.iterdir():
        if is_special(file):
            raise ValueError(
                f"{file} is a pipe, a socket or a device, not a file: remove it"
            )


def repair(path: Path) -> RepairReport:
    """Repair a run folder that was not closed; the caller must lock it.

    ValueError: not a run folder. DeviceError: a newer program wrote it.
    """
    check_run_folder(path)
    report = RepairReport()
    facts = _facts(path, report)

    # Incomplete rows first: the steps below read complete tables.
    queue = [file for file in [RunFolder(path).queue_path] if file.exists()]
    for table in (*sorted(path.glob("*.csv")), *queue):
        if half := half_written_bytes(table):
            kept = cut_to(table, table.stat().st_size - half)
            report.done.append(
                f"{table.name}: a half-written row was cut off ({half} bytes; the "
                f"original is {kept.name})"
            )

    folder = RunFolder(path)
    cameras = list(facts["cameras"]) or _stems(path)
    videos = [
        video for camera in cameras for video in _repaired_videos(path, camera, report)
    ]

    # The end of the run is written last: until then, a repair that is killed begins again.
    if facts["ended"] is None:
        spans = [*_analysed(folder, cameras, facts), *_recorded(videos, facts)]
        ended = _ended(folder, facts, videos)
        folder.update(
            ended=ended,
            ended_is_estimated=True,
            how="killed",
            accounting=[*facts["accounting"], *accounting(spans)],
        )
        report.done.append(f"run.json: the run was killed, at about {ended}")
        report.done += _left_on(folder)
        disk_reserve.release(path)
    if report.done:
        folder.update(repaired=[*facts.get("repaired", []), *report.done])
    return report


def _facts(path: Path, report: RepairReport) -> Facts:
    """Return the content of `run.json`; invalid entries are taken from the tables."""
    file = path / "run.json"
    found: object = {}
    try:
        found = read_json(file)
    except FileNotFoundError:
        report.done.append("run.json: was missing; versions and cameras are not known")
    except ValueError:
        kept = keep_original(file)
        report.done.append(f"run.json: could not be read (kept as {kept.name})")

    # A newer program may have fields that this version would report as damage.
    check_schema(path, found)
    facts, bad = validate_facts(found)
    if not bad:
        return facts
    if not report.done:
        names, kept = ", ".join(bad), keep_original(file)
        report.done.append(f"run.json: {names} can't be used (kept as {kept.name})")

    # Replace invalid entries by what tables and videos contain.
    if "cameras" in bad:
        tables = {name: path / f"{name}.csv" for name in _stems(path)}
        facts["cameras"] = {
            name: {"shape": _size(path / f"{name}.mkv"), "rate": None}
            for name, table in tables.items()
            if table.exists()
        }
    first = next(_first_rows(path, facts["cameras"] or _stems(path)), None)
    if "start_ns" in bad:
        facts["start_ns"] = first.start_ns if first else 0
    if "skeleton" in bad and first and first.bodyparts:
        bodyparts = list(first.bodyparts)
        facts["skeleton"] = {"bodyparts": bodyparts, "bones": [], "animals": []}
        report.done.append("run.json: the body parts are those of the table's header")
    with atomic_file(file) as draft:
        draft.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    return facts


def _size(video: Path) -> list[int]:
    """Return height and width of a video; 1, 1 when it is missing."""
    return list(size_of(video)) if video.exists() else [1, 1]


@dataclass(frozen=True)
class _FirstRow:
    """Facts about the run in the first row of a camera's table."""

    start_ns: int
    bodyparts: tuple[str, ...]


def _first_rows(path: Path, cameras: Iterable[str]) -> Iterator[_FirstRow]:
    for camera in cameras:
        table = camera_table(RunFolder(path).table_path(camera), None)
        for row in table.rows():
            start_ns = int(row["exposed_ns"]) - round(float(row["time_s"]) * 1e9)
            yield _FirstRow(start_ns, keypoints_of(table.columns))
            break


def _stems(path: Path) -> list[str]:
    """Return the cameras of a folder whose `run.json` has none, by file names."""
    pulses = RunFolder(path).pulses_path
    names = {
        table.name.split(".")[0]
        for table in path.glob("*.csv")
        if table.name != MOMENTS.file and (table != pulses or not is_of_pulses(pulses))
    }
    return sorted(re.sub(r"_\d+$", "", name) for name in names - {*TABLES})


def _repaired_videos(path: Path, camera: str, report: RepairReport) -> Iterator[_Video]:
    """Repair the videos of a camera, in their order."""
    deleted = deleted_videos(path)
    for table in RunFolder(path).video_tables(camera):
        video = table.with_name(table.name.replace(".frames.csv", ".mkv"))
        shown = _repaired_frame_count(video, report)
        listed = {
            int(frame): (number, int(exposed_ns))
            for number, (frame, exposed_ns) in video_table(table).numbered(
                "video_frame", "exposed_ns"
            )
        }

        # The row of a frame is written before its image: a killed recorder leaves rows
        # whose frames the encoder still had.
        count = max(listed, default=-1) + 1
        if video.name in deleted and not video.exists():
            shown = count  # all its frames were recorded
        yield _Video(camera, (video.name, table.name), count, shown)
        lacking = count - shown
        if lacking > 0:
            lost = [frame for frame in listed if frame >= shown]
            before = [ns for frame, (_, ns) in listed.items() if frame < shown]
            last_ns = before[-1] if before else listed[lost[0]][1]
            seconds = (listed[lost[-1]][1] - last_ns) / 1e9
            kept = cut_rows(table, listed[lost[0]][0] - 2)
            report.missing += lacking
            report.missing_s = max(report.missing_s, seconds)
            report.done.append(
                f"{video.name}: {lacking} frames ({seconds:.3f} s) at the end are "
                f"missing; their rows are in {kept.name}"
            )
        elif lacking < 0 and f"{video.name}: {-lacking} " not in str(
            RunFolder(path).facts.get("repaired")
        ):
            report.done.append(
                f"{video.name}: {-lacking} frames at the end have no row"
            )


def _repaired_frame_count(video: Path, report: RepairReport) -> int:
    """Close a video that was not closed; return how many frames it has."""
    copy = video.with_name(video.name + ".repaired")
    if not video.exists():
        if not copy.exists():
            return 0
        replace(copy, video)  # an earlier repair was killed between its last two steps
    if not is_unfinished(video):
        return frame_count(video)

    # Two renamings, in this order: at every moment one of the files has all frames.
    count = copy_complete_frames(video, copy)
    if count:
        kept = free_backup_path(video)
        replace(video, kept)
        replace(copy, video)
        report.done.append(
            f"{video.name}: was not closed; now it is, {counted(count, 'frame')} (the original is "
            f"{kept.name})"
        )
    return count


def _analysed(
    folder: RunFolder, cameras: list[str], facts: Facts
) -> Iterator[FrameCounts]:
    """Yield the accounts of analyses that had not ended."""
    for camera in cameras:
        table = folder.table_path(camera)
        if not table.exists():
            continue

        # Frames of finished analyses were counted when the analysis ended.
        closed = sum(
            account["delivered"] - (account["unlisted"] or 0)
            for account in facts["accounting"]
            if (account["camera"], account["span"]) == (camera, "analysis")
        )
        listed = camera_table(table, None)
        seen = [
            cell == "1"
            for number, (cell,) in listed.numbered("analysed")
            if number > 1 + closed
        ]
        broken = sum(number > 1 + closed for number in listed.broken)
        if seen or broken:
            yield FrameCounts(
                camera,
                "analysis",
                delivered=len(seen) + broken,
                analysed=sum(seen),
                skipped=len(seen) + broken - sum(seen),
                unlisted=broken,
            )


def _recorded(videos: list[_Video], facts: Facts) -> Iterator[FrameCounts]:
    """Yield the accounts of recordings that had not ended."""
    closed = {name for account in facts["accounting"] for name in account["files"]}
    for camera in dict.fromkeys(video.camera for video in videos):
        own = [f for f in videos if f.camera == camera and f.files[0] not in closed]
        if not own:
            continue
        delivered = sum(max(video.listed, video.frames) for video in own)
        shown = sum(video.frames for video in own)
        yield FrameCounts(
            camera,
            "recording",
            delivered=delivered,
            recorded=shown,
            recording_losses=delivered - shown,
            files=tuple(name for video in own for name in video.files),
        )


def _ended(folder: RunFolder, facts: Facts, videos: list[_Video]) -> str:
    """Return the time of the last frame, else of the last change of a file."""
    of_videos = [video_table(folder.path / video.files[1]) for video in videos]
    paths = [folder.table_path(camera) for camera in facts["cameras"]]
    tables = [*of_videos, *(camera_table(path, None) for path in paths)]
    times = [0]
    for table in tables:
        arrived = [cell for (cell,) in table.select("arrived_ns")]
        times += [int(cell) for cell in arrived[-1:]]

    # Frames have the run's own clock; the times of files are those of the disk's system.
    if facts.get("started") and "started_ns" in facts and max(times):
        passed = timedelta(microseconds=(max(times) - facts["started_ns"]) // 1000)
        return (datetime.fromisoformat(facts["started"]) + passed).isoformat()
    changed_s = [0.0]
    for file in folder.path.iterdir():
        if file.name.startswith("."):  # drafts and locks
            continue
        with suppress(FileNotFoundError):  # another program has removed it meanwhile
            changed_s.append(file.stat().st_mtime)
    return datetime.fromtimestamp(max(changed_s), UTC).isoformat()


def _left_on(folder: RunFolder) -> Iterator[str]:
    """Yield a sentence for each output that is on at the end of the events."""
    last: dict[str, tuple[str, str]] = {}
    events = events_table(folder.events_path)
    for kind, name, level, time_s in events.select("kind", "name", "level", "time_s"):
        if kind == "edge":
            last[name] = level, time_s
    for name, (level, time_s) in last.items():
        if float(level):
            yield (
                f"events.csv: when [Output {name}] was switched off is not recorded (it "
                f"was {float(level):g} from {time_s} s on)"
            )


def is_unfinished(path: Path) -> bool:
    """Return whether a Matroska file was never closed."""
    with open_regular(path) as file:
        head = file.read(4096)
    _, found, after = head.partition(_SEGMENT)
    return not found or after.startswith(_UNKNOWN)


def frame_count(path: Path) -> int:
    """Return how many complete frames a video has; 0 when it can't be read."""
    try:
        with av.open(str(path), metadata_errors="replace") as video:
            return sum(1 for packet in video.demux(video=0) if packet.size)
    except (av.FFmpegError, OSError, IndexError):
        return 0


def size_of(path: Path) -> tuple[int, int]:
    """Return height and width of a video; 1, 1 when it can't be read."""
    try:
        with av.open(str(path), metadata_errors="replace") as video:
            stream = video.streams.video[0]
            return stream.height, stream.width
    except (av.FFmpegError, OSError, IndexError):
        return 1, 1


def copy_complete_frames(path: Path, copy: Path) -> int:
    """Copy all complete frames into a closed file, and return their number.

    Nothing is encoded again. Without frames there is no copy.
    """
    count = 0
    try:
        with (
            av.open(str(path), metadata_errors="replace") as video,
            av.open(str(copy), "w", format="matroska") as whole,
        ):
            stream = whole.add_stream_from_template(video.streams.video[0])
            for packet in video.demux(video=0):
                if packet.size and not packet.is_corrupt:
                    packet.stream = stream
                    whole.mux(packet)
                    count += 1
    except (av.FFmpegError, IndexError) as error:
        # The end of a killed file is damaged: the frames before it are complete.
        if count == 0:
            copy.unlink(missing_ok=True)
            return 0
        if isinstance(error, OSError) and error.errno:  # such as a full disk
            copy.unlink(missing_ok=True)
            raise
    if count == 0:
        copy.unlink(missing_ok=True)
        return 0

    # The original is renamed next: the copy must be on the disk by then.
    with copy.open("r+b") as file:
        os.fsync(file.fileno())
    return count
