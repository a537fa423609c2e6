"""Pose table: poses of the frames of one camera or one video, one row per frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pose import Pose, Skeleton


@dataclass(frozen=True, slots=True, eq=False)
class PoseTable:
    """Poses of one camera or one video, one row per frame.

    Recorded runs, predicted videos and files of poses are read into it; exports, drawing
    and the library for notebooks take it. Nothing is thresholded.

    Attributes
    ----------
    source : pathlib.Path
        The video, or the file that holds the poses.
    skeleton : Skeleton
        Body parts of each animal, and names of the animals.
    points : numpy.ndarray of float, shape (frame, animal, body part, 2)
        Pixels, x right, y down. NaN: not found, or the frame was not analysed.
    confidence : numpy.ndarray of float, shape (frame, animal, body part)
        From 0 to 1. NaN: the frame was not analysed, or could not be decoded. 1 where a
        file holds labels.
    frames : numpy.ndarray of int64, shape (frame,)
        Number of each frame: count of exposures of a camera, index in a video.
    times_s : numpy.ndarray of float64, shape (frame,)
        Seconds: of a run since Start Stream, of a video since its first frame. NaN: the
        file holds no times.
    camera : str
        The camera of a run; empty: poses of a video or a file.
    identity : sequence of tuple of str
        `Pose.identity` of each frame; empty: identity is known in all frames.
    scorer : str
        Name of the network.
    size : tuple of int
        Height and width of the frames in pixels; (0, 0): not known.
    started : datetime.datetime
        Zero of `times_s`; 1970: not known.
    """

    source: Path
    skeleton: Skeleton
    points: NDArray[np.floating]
    confidence: NDArray[np.floating]
    frames: NDArray[np.int64]
    times_s: NDArray[np.float64]
    camera: str = ""
    identity: Sequence[tuple[str, ...]] = ()
    scorer: str = ""
    size: tuple[int, int] = (0, 0)
    started: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def animals(self) -> tuple[str, ...]:
        """Names of the animals: animal1, animal2 … where they have none."""
        return self.skeleton.named(self.points.shape[1])

    def pose(self, row: int) -> Pose:
        """Return the pose of a row."""
        return Pose(
            self.skeleton,
            self.points[row].astype(np.float32),
            self.confidence[row].astype(np.float32),
            self.identity[row] if len(self.identity) else (),
        )

    def seen(self, threshold: float) -> NDArray[np.floating]:
        """Return a copy of `points` without those below a confidence.

        Parameters
        ----------
        threshold : float
            From 0 to 1.

        Returns
        -------
        numpy.ndarray of float, shape (frame, animal, body part, 2)
            NaN where the confidence is below `threshold` or NaN.
        """
        points = self.points.copy()
        points[~(self.confidence >= threshold)] = np.nan
        return points


def pose_table(
    source: Path,
    skeleton: Skeleton,
    points: NDArray[np.floating],
    confidence: NDArray[np.floating],
    scorer: str = "",
) -> PoseTable:
    """Return poses of frames 0, 1, 2 … without times.

    Parameters
    ----------
    source : pathlib.Path
        The file that holds them.
    skeleton : Skeleton
        Body parts and animals.
    points : numpy.ndarray of float, shape (frame, animal, body part, 2)
        Pixels, x right, y down. NaN: not found.
    confidence : numpy.ndarray of float, shape (frame, animal, body part)
        From 0 to 1.
    scorer : str
        Name of the network.

    Returns
    -------
    PoseTable
        `times_s` is NaN.
    """
    frames = np.arange(len(points), dtype=np.int64)
    times_s = np.full(len(points), np.nan)
    return PoseTable(
        source, skeleton, points, confidence, frames, times_s, scorer=scorer
    )
