"""Recorded video: the run that recorded a video, and its times, for a replay of the video.

Also the local time at which the video began, for the light cycle, and the frames with which the
analysis began: from these on, animals get their first names.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import ANALYSIS_STARTED
from deeplabstream.recording.light_facts import recorded_start
from deeplabstream.recording.recorded_frames import read_frames
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.table_reader import events_table, video_table
from deeplabstream.video.video_reader import VideoReader

_ROUNDED_NS = 1000
"""Times of notes are rounded to 1 µs."""


@dataclass(frozen=True, eq=False)
class VideoTimes:
    """Times of the frames (frame,) of a video that a run has recorded, ns, growing."""

    exposed_ns: NDArray[np.int64]
    """By the clock of the run."""
    times_ns: NDArray[np.int64]
    """In the video, from its first frame on."""


def recorded_video_start(
    video: VideoReader, report: Callable[[str], object]
) -> datetime | None:
    """Return the local time at the zero of the times of a video, with its offset from UTC.

    None: the video is not in the folder of a run that recorded it, or the run has no such time.
    `report` gets a sentence for each repair of the run folder. DeviceError: the run can't be
    read.
    """
    folder = run_of(video, report)
    if folder is None:
        return None
    try:
        facts = folder.facts
        started, times = recorded_start(facts), times_of(folder, video)
        if started is None or times is None:
            return None
        zero_ns = int(times.exposed_ns[0] - times.times_ns[0]) - int(facts["start_ns"])
    except (OSError, ValueError, KeyError) as error:
        raise DeviceError(f"times of {folder.path} can't be read: {error}") from error
    return started + timedelta(microseconds=zero_ns // 1000)


def recorded_analysis_starts(
    video: VideoReader, camera: str, report: Callable[[str], object]
) -> list[int]:
    """Return the times in a video, ns, of the first frames after each start of the analysis.

    Empty: the video is not in the folder of a run that recorded it, or the analysis began
    before the video. `report` gets a sentence for each repair of the run folder. DeviceError:
    the run can't be read.
    """
    folder = run_of(video, report)
    if folder is None:
        return []
    try:
        times = times_of(folder, video)
        if times is None or not folder.table_path(camera).exists():
            return []
        rows = read_frames(folder, camera).of_analysis().rows
        posed_ns = rows["posed_ns"].to_numpy(np.int64)
        exposed_ns = rows["exposed_ns"].to_numpy(np.int64)
        found = []
        for start_ns in _analysis_starts_of(folder):
            first = int(np.searchsorted(posed_ns, start_ns - _ROUNDED_NS))
            if first == len(posed_ns):
                continue
            place = int(np.searchsorted(times.exposed_ns, exposed_ns[first]))
            is_in_video = times.exposed_ns[0] <= exposed_ns[first]
            if is_in_video and place < len(times.exposed_ns):
                found.append(int(times.times_ns[place]))
    except (OSError, ValueError, KeyError) as error:
        raise DeviceError(
            f"starts of the analysis of {folder.path} can't be read: {error}"
        ) from error
    return found


def _analysis_starts_of(folder: RunFolder) -> Iterator[int]:
    """Yield the times at which the analysis started, by the clock of the run."""
    zero_ns = int(folder.facts["start_ns"])
    table = events_table(folder.events_path)
    for time_s, *event in table.select("time_s", "kind", "name", "text"):
        if event == ["note", *ANALYSIS_STARTED]:
            yield zero_ns + round(float(time_s) * 1e9)


def run_of(video: VideoReader, report: Callable[[str], object]) -> RunFolder | None:
    """Return the folder of the run beside a video; None: there is none."""
    folder = video.path.absolute().parent
    if not (folder / "run.json").is_file():
        return None
    return open_run_folder(folder, report, check_tables=False)


def times_of(folder: RunFolder, video: VideoReader) -> VideoTimes | None:
    """Return the times of the frames of a video; None: the run did not record it."""
    name = video.path.name
    tables = folder.path.glob("*.frames.csv")
    own = [table for table in tables if folder.video_of(table).name == name]
    if not own:
        return None
    cells = video_table(own[0]).select("video_frame", "exposed_ns")
    rows = np.array([*cells], np.int64).reshape(-1, 2)
    rows = rows[rows[:, 0] < len(video)]
    return VideoTimes(rows[:, 1], video.times_ns[rows[:, 0]]) if len(rows) else None
