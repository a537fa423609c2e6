"""Frames of a video that are worth labelling: as different from each other as can be."""

import warnings
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.progress import progress
from deeplabstream.video.video_reader import VideoReader, sample_rows

_SIDE = 32
_MOST_LOOKED_AT = 1000
"""Frames, spread evenly, among which is chosen."""


def pick(
    rows: VideoReader,
    count: int,
    seed: int = 0,
    among: NDArray[np.int64] | None = None,
    points: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """Return `count` rows, growing: one of each group of frames that look alike.

    `among` are the rows (growing) to choose from; None: all, or 1000 of them. K-means over
    small grey images, each frame the nearest to its group's middle, as DeepLabCut's
    `extract_frames` does it; or over `postures` of the `points` (row, animal, body part, 2).
    The same seed gives the same frames.
    """
    looked_at = candidates(rows) if among is None else among
    if len(looked_at) <= count:
        return looked_at
    if points is None:
        small, seen = [], []
        images = rows.images_at(looked_at)
        for picture in progress(images, "comparing frames", len(looked_at)):
            if picture.image is not None and not picture.damaged:
                small.append(_small(picture.image))
                seen.append(picture.row)
        values = np.array(small, np.float32)
        places = np.array(seen, np.int64)
    else:
        there = np.isfinite(points[looked_at]).any(axis=(1, 2, 3))
        places = looked_at[there]
        values = postures(points[places])
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


def postures(points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return (row, value) how animals lie, as numbers that can be compared.

    Of points (row, animal, body part, 2), px: half of what two rows differ by is where their
    middle is, half how the points lie around it. NaN counts as usual for its column.
    """
    flat = points.reshape(len(points), -1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row, a point without any
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


def _small(image: Image) -> NDArray[np.float32]:
    values = image.astype(np.float32)
    tiny = cv2.resize(values, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey = tiny if tiny.ndim == 2 else tiny.mean(axis=2)
    return np.asarray(grey, np.float32).ravel()


def image_path(rows: VideoReader, row: int, into: Path) -> Path:
    """Return where a row is written to."""
    return into / f"img{row:0{max(5, len(str(len(rows))))}d}.png"


def write_images(
    rows: VideoReader, wanted: NDArray[np.int64], into: Path
) -> list[Path]:
    """Write rows as PNG files named by their number; those that are there stay.

    Frames that can't be decoded, or only with damage, are left out: the reader warns of them.
    """
    into.mkdir(parents=True, exist_ok=True)
    written = []
    for picture in progress(rows.images_at(wanted), "writing frames", len(wanted)):
        path = image_path(rows, picture.row, into)
        if picture.image is None or picture.damaged:
            continue
        if not path.exists():
            good, data = cv2.imencode(".png", picture.image)
            if good:
                path.write_bytes(data.tobytes())
                written.append(path)
    return written
