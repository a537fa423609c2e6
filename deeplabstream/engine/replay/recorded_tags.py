"""Recorded tags: what RFID readers read during a run, for a replay of its video."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import TagRead
from deeplabstream.engine.replay.recorded_video import VideoTimes, run_of, times_of
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.table_reader import events_table
from deeplabstream.video.video_reader import VideoReader


class RecordedTags:
    """Tags with their times, in the place of readers: each is returned once."""

    def __init__(self, reads: Iterable[TagRead]) -> None:
        self._left: dict[str, deque[TagRead]] = {}
        for read in sorted(reads, key=lambda read: read.received_ns):
            self._left.setdefault(read.input, deque()).append(read)

    def take(self, reader: str, until_ns: int) -> list[TagRead]:
        """Return the tags that a reader has read up to a time."""
        left, taken = self._left.get(reader, deque()), list[TagRead]()
        while left and left[0].received_ns <= until_ns:
            taken.append(left.popleft())
        return taken

    def take_all(self, until_ns: int) -> list[TagRead]:
        """Return the tags that all readers have read up to a time."""
        return [read for name in self._left for read in self.take(name, until_ns)]


def recorded_tags(
    video: VideoReader, report: Callable[[str], object]
) -> list[TagRead] | None:
    """Return the tags that were read while a run recorded a video, by times of the video.

    None: the video is not in the folder of a run that recorded it. `report` gets a sentence for
    each repair of the run folder. DeviceError: the run can't be read.
    """
    folder = run_of(video, report)
    if folder is None:
        return None
    try:
        times = times_of(folder, video)
        if times is None:
            return None
        reads = [_in_video(read, times) for read in _tags_of(folder)]
    except (OSError, ValueError, KeyError) as error:
        raise DeviceError(f"tags of {folder.path} can't be read: {error}") from error
    return [read for read in reads if read is not None]


def _tags_of(folder: RunFolder) -> list[TagRead]:
    """Return the tags that a run's record has, by the clock of the run."""
    cells = events_table(folder.events_path).select("kind", "name", "text", "acked_ns")
    return [
        TagRead(name, number, int(received_ns))
        for kind, name, number, received_ns in cells
        if kind == "tag" and received_ns
    ]


def _in_video(read: TagRead, times: VideoTimes) -> TagRead | None:
    """Return a tag with its time in the video; None: it was read before or after.

    Between the same two frames as in the run, although times of a video are rounded.
    """
    frame = int(np.searchsorted(times.exposed_ns, read.received_ns))
    if frame == len(times.exposed_ns) or read.received_ns < times.exposed_ns[0]:
        return None
    early_ns = int(times.exposed_ns[frame]) - read.received_ns
    time_ns = int(times.times_ns[frame]) - early_ns
    if frame:
        time_ns = max(time_ns, int(times.times_ns[frame - 1]) + 1)
    return replace(read, received_ns=time_ns)
