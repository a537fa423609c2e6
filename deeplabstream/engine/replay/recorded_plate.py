"""Recorded plate: when the plate of the arenas was away in a run, for a replay of its video."""

from bisect import bisect_right
from collections.abc import Callable, Sequence

import numpy as np

from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.plate_watch import AWAY_FLAG
from deeplabstream.engine.replay.recorded_video import run_of, times_of
from deeplabstream.recording.cell_formats import parse_flags
from deeplabstream.recording.recorded_frames import read_frames
from deeplabstream.video.video_reader import VideoReader

_PROBLEM = "the plate was away when the video was recorded"


class RecordedPlate:
    """A plate that is away and back at recorded times, in the place of a watch."""

    def __init__(self, changes: Sequence[tuple[int, bool]]) -> None:
        """Store the changes: times, ns, in order, and whether it is away from then on."""
        self._times_ns = [time_ns for time_ns, _ in changes]
        self._is_away = [is_away for _, is_away in changes]

    def reset(self) -> None:
        """Do nothing: the record has from when on it was in place again."""

    def is_away(self, time_ns: int) -> bool:
        """Return whether the plate is away in the frame of a time."""
        last = bisect_right(self._times_ns, time_ns) - 1
        return last >= 0 and self._is_away[last]

    def problem_at(self, time_ns: int) -> str:
        """Return why the arenas are unknown in the frame of a time; empty: they are known."""
        return _PROBLEM if self.is_away(time_ns) else ""


def recorded_plate(
    video: VideoReader, camera: str, report: Callable[[str], object]
) -> RecordedPlate:
    """Return when the plate was away while a run recorded a video, by times of the video.

    It is never away in a video that is not in the folder of a run that recorded it. `report`
    gets a sentence for each repair of the run folder. DeviceError: the run can't be read.
    """
    folder = run_of(video, report)
    if folder is None or not folder.table_path(camera).exists():
        return RecordedPlate(())
    try:
        times = times_of(folder, video)
        if times is None:
            return RecordedPlate(())
        rows = read_frames(folder, camera).of_analysis().rows
        exposed_ns = rows["exposed_ns"].to_numpy(np.int64)
        away = [AWAY_FLAG.items() <= parse_flags(it).items() for it in rows["flags"]]
    except (OSError, ValueError, KeyError) as error:
        text = f"the plate of {folder.path} is not known, its tables can't be read: {error}"
        raise DeviceError(text) from error

    # frames that were skipped in the run are as the analysed one before them
    places = np.searchsorted(times.exposed_ns, exposed_ns)
    changes: list[tuple[int, bool]] = []
    for place, is_away in zip(places, away, strict=True):
        known = changes[-1][1] if changes else False
        if is_away is not known and place < len(times.times_ns):
            changes.append((int(times.times_ns[place]), is_away))
    return RecordedPlate(changes)
