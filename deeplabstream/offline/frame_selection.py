"""Frame selection for labelling: different frames, or typical uncertain ones."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.startup.progress import progress
from deeplabstream.video.video_reader import VideoReader, sample_rows

_SIDE = 32
_MOST_LOOKED_AT = 1000
"""Largest number of candidate frames, spread evenly."""


def pick(
    rows: VideoReader,
    count: int,
    seed: int = 0,
    among: NDArray[np.int64] | None = None,
    points: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """Return `count` rows, growing: one of each group of similar frames.

    `among` are the rows (growing) to choose from; None: all, or 1000 of them. K-means over
    small grey images, each frame the nearest to its group's middle, as DeepLabCut's
    `extract_frames` does it; or over `postures` of the `points` (row, animal, body part, 2).
    The same seed gives the same frames.
    """
    import cv2

    looked_at = candidates(rows) if among is None else among
    if len(looked_at) <= count:
        return looked_at
    places, values = features(rows, looked_at, points)
    if len(values) <= count:
        return places
    values -= values.mean(axis=0)

    cv2.setRNGSeed(seed)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 1e-3)
    _, groups, middles = cv2.kmeans(
        values,
        count,
        None,
        stop,
        3,
        cv2.KMEANS_PP_CENTERS,  # type: ignore[call-overload]
    )
    away = np.linalg.norm(values - middles[groups.ravel()], axis=1)
    chosen = [
        places[np.flatnonzero(groups.ravel() == group)][
            away[groups.ravel() == group].argmin()
        ]
        for group in np.unique(groups)
    ]
    return np.sort(np.array(chosen, np.int64))


def features(
    rows: VideoReader,
    rows_to_read: NDArray[np.int64],
    points: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows that can be compared, and their features (row, value).

    `appearance` of the decoded frames, or `postures` of the `points` (row, animal, body part,
    2). Frames that can't be decoded, only with damage, or without any point are left out.
    """
    if points is not None:
        places = rows_to_read[np.isfinite(points[rows_to_read]).any(axis=(1, 2, 3))]
        return places, postures(points[places])
    small, seen = [], []
    images = rows.images_at(rows_to_read)
    for frame in progress(images, "comparing frames", len(rows_to_read)):
        if frame.image is not None and not frame.damaged:
            small.append(appearance(frame.image))
            seen.append(frame.row)
    return np.array(seen, np.int64), np.array(small, np.float32)


def cover(
    values: NDArray[np.float32],
    weight: NDArray[np.float64],
    count: int,
    taken: Sequence[int] | NDArray[np.int64] = (),
) -> NDArray[np.int64]:
    """Return the indices of frames that represent many uncertain frames, the best first.

    Each frame is the one that lowers the weighted sum of the distances of all frames to the
    nearest taken frame most (greedy facility location). Half of the weight is uncertainty,
    the other half is equal for all frames. Of similar frames one is chosen; a frame
    unlike all others comes after those that represent many.

    Parameters
    ----------
    values
        (frame, value) what frames are compared by: `features`.
    weight
        (frame,) uncertainty, 0 or more. All 0: frames count equally.
    count
        Number of frames; fewer where there are no more.
    taken
        Places of frames that are labelled already. They are not returned; similar frames
        are returned last.
    """
    if not len(values):
        return np.array([], np.int64)
    flat = (values - values.mean(axis=0)).astype(np.float64)
    squares = (flat**2).sum(axis=1)
    away = np.sqrt(
        np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0)
    ).astype(np.float32)
    known = np.asarray(taken, np.int64)
    nearest = np.min(away[:, known], axis=1, initial=away.max(initial=0) or 1)
    weighted = (1 + weight / (weight.mean() or 1)).astype(np.float32)
    free = np.setdiff1d(np.arange(len(flat)), known)
    chosen = []
    for _ in range(min(count, len(free))):
        gain = weighted @ np.maximum(nearest[:, None] - away[:, free], 0)
        best = free[gain.argmax()]
        chosen.append(best)
        nearest = np.minimum(nearest, away[:, best])
        free = free[free != best]
    return np.array(chosen, np.int64)


def postures(points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the postures of animals as comparable features (row, value).

    Of points (row, animal, body part, 2), px: the position of the centre makes half of
    the difference of two rows, the points relative to it the other half. NaN counts as
    usual for its column.
    """
    flat = points.reshape(len(points), -1, 2)
    with warnings.catch_warnings():
        # a row or a point without any value
        warnings.simplefilter("ignore", RuntimeWarning)
        middle = np.nanmean(flat, axis=1)
        around = (flat - middle[:, None]).reshape(len(flat), -1)
        halves = []
        for half in (middle, around):
            away = half - np.nanmean(half, axis=0)
            spread = np.sqrt(np.nansum(away**2) / len(away)) or 1.0
            halves.append(np.nan_to_num(away / spread))
    return np.concatenate(halves, axis=1).astype(np.float32)


def candidates(rows: VideoReader) -> NDArray[np.int64]:
    """Return all rows, or 1000 of them spread evenly."""
    return sample_rows(rows, min(len(rows), _MOST_LOOKED_AT))


def appearance(image: Image) -> NDArray[np.float32]:
    """Return a small grey copy of an image as one row of numbers."""
    import cv2

    values = image.astype(np.float32)
    tiny = cv2.resize(values, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey = tiny if tiny.ndim == 2 else tiny.mean(axis=2)
    return np.asarray(grey, np.float32).ravel()


def image_path(rows: VideoReader, row: int, into: Path) -> Path:
    """Return the path of the image of a row."""
    return into / f"img{row:0{max(5, len(str(len(rows))))}d}.png"


def write_images(
    rows: VideoReader, chosen: NDArray[np.int64], into: Path
) -> list[Path]:
    """Write rows as PNG files named by their number; existing ones are kept.

    Frames that can't be decoded, or only with damage, are left out: the reader warns of them.
    """
    import cv2

    into.mkdir(parents=True, exist_ok=True)
    written = []
    for image in progress(rows.images_at(chosen), "writing frames", len(chosen)):
        path = image_path(rows, image.row, into)
        if image.image is None or image.damaged:
            continue
        if not path.exists():
            good, data = cv2.imencode(".png", image.image)
            if good:
                with atomic_file(path) as draft:
                    draft.write_bytes(data.tobytes())
                written.append(path)
    return written
