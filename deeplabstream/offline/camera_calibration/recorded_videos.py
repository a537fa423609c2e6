"""Recorded videos: videos of one run, in one part or several, matched by times of exposure."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.camera_calibration.board_views import ImageSource
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.table_reader import video_table
from deeplabstream.space.exposure_matching import match_times
from deeplabstream.video.video_reader import VideoImage

_TABLE = ".frames.csv"


@dataclass(frozen=True)
class MatchedVideo:
    """A video whose images are numbered as the frames of another one."""

    source: ImageSource
    rows: NDArray[np.int64]
    """(number,): frame of this video that was exposed with it; -1: none."""

    @property
    def path(self) -> Path:
        """The video."""
        return self.source.path

    def __len__(self) -> int:
        return len(self.rows)

    def images_at(self, requested: NDArray[np.int64]) -> Iterator[VideoImage]:
        """Yield images by the numbers of the other video; there may be none."""
        rows = self.rows[requested]
        images = self.source.images_at(rows[rows >= 0])
        for row in rows.tolist():
            yield next(images) if row >= 0 else VideoImage(row, 0, None)


@dataclass(frozen=True)
class JoinedVideo:
    """The parts of a camera's recording, as one video with their frames in order."""

    parts: tuple[ImageSource, ...]

    @property
    def path(self) -> Path:
        """The first part."""
        return self.parts[0].path

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def images_at(self, requested: NDArray[np.int64]) -> Iterator[VideoImage]:
        """Yield images by their numbers, which grow."""
        begin = 0
        for part in self.parts:
            end = begin + len(part)
            own = requested[(requested >= begin) & (requested < end)]
            for found in part.images_at(own - begin) if len(own) else ():
                yield replace(found, row=found.row + begin)
            begin = end


def recorded_parts(video: Path) -> list[Path]:
    """Return a video of a run and its later parts, where it is the first; else only it."""
    folder = RunFolder(video.parent)
    with suppress(DeepLabStreamError, OSError):
        for camera in folder.facts["cameras"]:
            parts = [folder.video_of(table) for table in folder.video_tables(camera)]
            if len(parts) > 1 and parts[0].name == video.name:
                return [video, *(part for part in parts[1:] if part.is_file())]
    return [video]


def matched_by_exposure(
    sources: Sequence[ImageSource],
) -> tuple[list[ImageSource], bool]:
    """Return videos of one run numbered as the frames of the first, and whether they are.

    Others are returned as they are: their frames of one number are of one moment.
    """
    folders = {source.path.parent.resolve() for source in sources}
    times = [_times_of(source) for source in sources]
    if len(folders) > 1 or not all(map(len, times)):
        return [*sources], False

    matched = match_times(times)
    matched = matched[matched[:, 0] >= 0]
    rows = np.full((len(sources), len(times[0])), -1, np.int64)
    rows[:, matched[:, 0]] = matched.T
    return [
        MatchedVideo(source, own) for source, own in zip(sources, rows, strict=True)
    ], True


def _times_of(source: ImageSource) -> NDArray[np.int64]:
    """Return the time of exposure of each frame; none: they are not known."""
    parts = source.parts if isinstance(source, JoinedVideo) else (source,)
    times = []
    for number, part in enumerate(parts, 1):
        table = part.path.with_suffix(_TABLE)
        own = _times(table) if table.is_file() else np.zeros(0, np.int64)
        is_last = number == len(parts)
        # frames of a part that are in no table would shift those of the later ones
        if (
            not len(own)
            or len(own) > len(part)
            or (len(own) < len(part) and not is_last)
        ):
            return np.zeros(0, np.int64)
        times.append(own)
    return np.concatenate(times)


def _times(table: Path) -> NDArray[np.int64]:
    """Return the time of exposure of each frame of a video."""
    cells = video_table(table).select("video_frame", "exposed_ns")
    found = np.array([(int(row), int(time)) for row, time in cells], np.int64)
    in_order = len(found) and (found[:, 0] == np.arange(len(found))).all()
    # A table with a line missing does not say which frame is which.
    return found[:, 1] if in_order else np.zeros(0, np.int64)
