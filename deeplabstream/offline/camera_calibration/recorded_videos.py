"""Recorded videos: videos of one run whose frames are matched by their times of exposure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.offline.camera_calibration.board_views import ImageSource
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


def matched_by_exposure(
    sources: Sequence[ImageSource],
) -> tuple[list[ImageSource], bool]:
    """Return videos of one run numbered as the frames of the first, and whether they are.

    Others are returned as they are: their frames of one number are of one moment.
    """
    tables = [source.path.with_suffix(_TABLE) for source in sources]
    folders = {table.parent.resolve() for table in tables}
    if len(folders) > 1 or not all(table.is_file() for table in tables):
        return [*sources], False
    times = [_times(table) for table in tables]
    counted = zip(times, sources, strict=True)
    if not all(0 < len(own) <= len(source) for own, source in counted):
        return [*sources], False

    matched = match_times(times)
    matched = matched[matched[:, 0] >= 0]
    rows = np.full((len(sources), len(times[0])), -1, np.int64)
    rows[:, matched[:, 0]] = matched.T
    return [
        MatchedVideo(source, own) for source, own in zip(sources, rows, strict=True)
    ], True


def _times(table: Path) -> NDArray[np.int64]:
    """Return the time of exposure of each frame of a video."""
    cells = video_table(table).select("video_frame", "exposed_ns")
    found = np.array([(int(row), int(time)) for row, time in cells], np.int64)
    in_order = len(found) and (found[:, 0] == np.arange(len(found))).all()
    # A table with a line missing does not say which frame is which.
    return found[:, 1] if in_order else np.zeros(0, np.int64)
