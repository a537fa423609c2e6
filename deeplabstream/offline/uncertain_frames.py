"""Uncertain frames: low confidences, points that jump, networks that differ."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.frame_selection import cover, features
from deeplabstream.offline.video_inference import estimate_batches
from deeplabstream.pose.ensemble import NetworkEnsemble
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.recording.frame_queue import HALF
from deeplabstream.recording.recorded_frames import recorded_parts
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.startup.progress import progress
from deeplabstream.training.evaluation.image_prediction import (
    ImagePredictions,
    disagreement,
    together,
)
from deeplabstream.video.video_reader import VideoReader, sample_rows

_MOST_PAIRS = 500
"""Pairs of neighbouring frames, spread evenly, that are predicted in a long video."""
_FAR = 10.0
"""Times the usual way between two frames: a jump."""
_BATCH = 8
_MOST_COMPARED = 1000
"""Frames of a video that are compared with each other."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameUncertainty:
    """Uncertainty of a network in the frames of one video."""

    video: Path
    rows: NDArray[np.int64]
    """Analysed rows, increasing."""
    uncertainty: NDArray[np.float64]
    """(row,) 0 to 2: 1 minus the mean confidence, plus the share of points that jump."""
    lack: NDArray[np.float64]
    """(row,) 1 minus the mean confidence of the animals that are found; none: 1."""
    apart_px: NDArray[np.float64] | None = None
    """(row,) spread of the networks of an ensemble; None: a single network."""

    @property
    def spread(self) -> NDArray[np.float64]:
        """Criterion of the choice: disagreement of an ensemble, else the uncertainty."""
        return self.uncertainty if self.apart_px is None else self.apart_px

    @property
    def mostly_uncertain(self) -> bool:
        """Whether the network is uncertain in most frames: it was not trained on such animals.

        Differences between frames are then a better criterion for labelling than its
        uncertainty.
        """
        return bool(np.median(self.lack) > HALF)

    def compared(self, most: int) -> NDArray[np.int64]:
        """Return the place of the most uncertain row of each of `most` parts of the video."""
        count = len(self.rows)
        parts = np.array_split(np.arange(count), min(most, count))
        return np.array([p[self.spread[p].argmax()] for p in parts], np.int64)

    def pick(
        self,
        rows: VideoReader,
        count: int,
        labelled: NDArray[np.int64],
        points: NDArray[np.float64] | None = None,
    ) -> NDArray[np.int64]:
        """Return `count` rows of the video, growing, that stand for the uncertain ones.

        See `cover`: frames count by how much more uncertain they are than the median, or
        equally where the network is uncertain in most of them. `there` are rows that are
        labelled already: they and their like are not picked again. `points` (row, animal,
        body part, 2) are compared instead of images.
        """
        compared = self.compared(_MOST_COMPARED)
        above = np.maximum(self.spread[compared] - np.median(self.spread), 0)
        if self.mostly_uncertain:
            above[:] = 0
        weight = dict(zip(self.rows[compared].tolist(), above.tolist(), strict=True))
        compared_rows = np.union1d(self.rows[compared], labelled)
        places, values = features(rows, compared_rows, points)
        weights = np.array([weight.get(row, 0.0) for row in places.tolist()])
        taken = np.flatnonzero(np.isin(places, labelled))
        return np.sort(places[cover(values, weights, count, taken)])


def uncertainty(
    points: NDArray[np.floating],
    confidence: NDArray[np.floating],
    rows: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return (row,) the uncertainty of points (row, part, 2) with confidences (row, part).

    A point jumps when it moves more than ten times its median distance between two frames;
    the one between two jumps counts twice. Only neighbours in `rows` (increasing) are
    compared. NaN counts as confidence 0 and as no jump.
    """
    lack = 1.0 - np.clip(np.nan_to_num(confidence), 0, 1).mean(axis=1)
    moved = np.linalg.norm(np.diff(points, axis=0), axis=2)
    moved[np.diff(rows) != 1] = np.nan
    known = np.isfinite(moved)
    usual = np.array(
        [
            np.median(column[visible]) if visible.any() else np.inf
            for column, visible in zip(moved.T, known.T, strict=True)
        ]
    )
    far = np.zeros((len(points) + 1, points.shape[1]))
    with np.errstate(invalid="ignore"):
        far[1:-1] = moved > _FAR * np.maximum(usual, 1.0)
    return np.asarray(lack + (far[:-1] + far[1:]).mean(axis=1) / 2)


def lack_of_confidence(
    points: NDArray[np.floating], confidence: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return (row,) 1 minus the mean confidence of the animals that are found.

    Parameters
    ----------
    points : numpy.ndarray
        (row, animal, body part, 2), px; an animal is found where any point is finite.
    confidence : numpy.ndarray
        (row, animal, body part), 0 to 1; NaN: 0.

    Returns
    -------
    numpy.ndarray
        (row,), 0 to 1; 1 where no animal is found.
    """
    found = np.isfinite(points).any(axis=(2, 3))
    sure = np.clip(np.nan_to_num(confidence), 0, 1).mean(axis=2)
    count = np.maximum(found.sum(axis=1), 1)
    return np.asarray(1.0 - (sure * found).sum(axis=1) / count)


def of_video(rows: VideoReader, estimator: PoseEstimator) -> FrameUncertainty:
    """Analyse a video; of a long one, pairs of frames throughout.

    Each network of an ensemble analyses it.
    """
    chosen = np.arange(len(rows))
    if len(rows) > 2 * _MOST_PAIRS:
        first = sample_rows(rows, _MOST_PAIRS)
        chosen = np.unique(np.minimum([first, first + 1], len(rows) - 1))
    own = (
        estimator.estimators if isinstance(estimator, NetworkEnsemble) else (estimator,)
    )
    poses = [_found(rows, chosen, network) for network in own]
    found = together(poses)
    at = np.array([int(name) for name in found.names], np.int64)
    apart = disagreement(poses) if len(poses) > 1 else None
    spread = uncertainty(found.points, found.confidence, at)
    lack = lack_of_confidence(*found.by_animal)
    return FrameUncertainty(rows.path, at, spread, lack, apart)


def _found(
    rows: VideoReader, chosen: NDArray[np.int64], estimator: PoseEstimator
) -> ImagePredictions:
    """Return the predictions of one network in rows of a video, which are the names."""
    seen, points, confidence = [], [], []
    images = progress(rows.images_at(chosen), "finding poses", len(chosen))
    for batch in estimate_batches(images, estimator, _BATCH):
        for image, pose in batch:
            if pose is not None:
                seen.append(str(image.row))
                points.append(np.concatenate(list(pose.points)))
                confidence.append(np.concatenate(list(pose.confidence)))
    if not seen:
        raise DeepLabStreamError(f"Can't decode any frame of {rows.path}")
    parts = estimator.skeleton.bodyparts
    animals = len(points[0]) // len(parts)
    values = np.stack(points), np.stack(confidence)
    return ImagePredictions(parts, tuple(seen), *values, animals)


def of_run(path: Path) -> Iterator[FrameUncertainty]:
    """Yield the uncertainty of the recorded poses of each video of a run."""
    folder = open_run_folder(path, lambda _: None)
    found = False
    for _, part in recorded_parts(folder):
        video_rows = part.of_video(part.video.name)
        analysed = video_rows.analysed
        at = video_rows.rows["video_frame"].to_numpy(np.float64)[analysed]
        if not len(at):
            continue
        found = True
        poses, flat = video_rows.poses, (len(at), -1)
        points = poses.points[analysed].reshape(*flat, 2)
        confidence = poses.confidence[analysed].reshape(flat)
        rows = at.astype(np.int64)
        spread = uncertainty(points, confidence, rows)
        lack = lack_of_confidence(poses.points[analysed], poses.confidence[analysed])
        yield FrameUncertainty(part.video, rows, spread, lack)
    if not found:
        raise DeepLabStreamError(f"{path} contains no video with poses of its frames")
