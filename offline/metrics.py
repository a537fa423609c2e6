"""How believable predictions are, without labels: Lightning Pose's measures.

One row per frame, one column per body part, in pixels. Source of the formulas: Biderman
et al., Nature Methods 2024 (temporal difference norm; reprojection errors of principal
components of the labelled poses).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import DeepLabStreamError

SINGLE_VIEW_VARIANCE = 0.99
"""Of the labels' variance, what the components of a single view explain."""
MULTI_VIEW_COMPONENTS = 3
"""A point seen from several sides has three coordinates."""

Numbers = NDArray[np.float64]


def temporal_norm(points: NDArray[np.floating]) -> Numbers:
    """Return (row, body part): how far each point moved since the row before.

    `points` (row, body part, 2). The first row, and what was not seen, is NaN.
    """
    moved = np.full(points.shape[:2], np.nan)
    moved[1:] = np.linalg.norm(np.diff(points.astype(np.float64), axis=0), axis=-1)
    return moved


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The poses that occurred among labels: a mean and directions of variation."""

    mean: Numbers
    """(dimension,)."""
    directions: Numbers
    """(component, dimension), orthonormal."""

    def residual(self, rows: Numbers) -> Numbers:
        """Return `rows` (row, dimension) less what the components can tell of them."""
        centred = rows - self.mean
        return np.asarray(centred - centred @ self.directions.T @ self.directions)


def components(rows: Numbers, keep: float) -> Components:
    """Fit to `rows` (row, dimension), which may have NaN.

    `keep` below 1 is the share of variance to explain, else the number of components.
    The covariance of two columns is taken over the rows that have both.
    DeepLabStreamError: there are fewer rows than columns.
    """
    if np.isfinite(rows).all(axis=1).sum() < 1 or len(rows) < rows.shape[1]:
        raise DeepLabStreamError(
            f"{len(rows)} labelled poses are too few for principal components of "
            f"{rows.shape[1]} numbers: label more frames"
        )
    mean = np.nanmean(rows, axis=0)
    known = np.isfinite(rows).astype(np.float64)
    centred = np.nan_to_num(rows - mean)
    both = known.T @ known
    covariance = (centred.T @ centred) / np.maximum(both - 1, 1)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = np.clip(values[::-1], 0, None), vectors[:, ::-1]
    count = int(keep)
    if keep < 1:
        explained = np.cumsum(values) / values.sum()
        count = int(np.searchsorted(explained, keep) + 1)
    return Components(mean, np.ascontiguousarray(vectors[:, :count].T))


def single_view_error(
    points: NDArray[np.floating], labels: NDArray[np.floating], columns: Sequence[int]
) -> Numbers:
    """Return (row, body part): how far the whole pose says each point is off.

    `points` and `labels` are (row, body part, 2); `columns` are the body parts that
    belong to the pose, the others are NaN.
    """
    error = np.full(points.shape[:2], np.nan)
    chosen = list(columns)
    fitted = components(_flat(labels, chosen), SINGLE_VIEW_VARIANCE)
    off = fitted.residual(_flat(points, chosen)).reshape(len(points), -1, 2)
    error[:, chosen] = np.linalg.norm(off, axis=-1)
    return error


def multi_view_error(
    points: NDArray[np.floating],
    labels: NDArray[np.floating],
    views: Sequence[Sequence[int]],
) -> Numbers:
    """Return (row, body part): how far the other views say each point is off.

    `views` has, for each view, the places of the same body parts in the same order.
    """
    error = np.full(points.shape[:2], np.nan)
    known = np.concatenate(
        [_flat(labels, list(each)) for each in zip(*views, strict=True)]
    )
    known = known[np.isfinite(known).all(axis=1)]
    fitted = components(known, MULTI_VIEW_COMPONENTS)
    for each in zip(*views, strict=True):
        places = list(each)
        off = fitted.residual(_flat(points, places)).reshape(len(points), -1, 2)
        error[:, places] = np.linalg.norm(off, axis=-1)
    return error


def write_metric(values: Numbers, bodyparts: Sequence[str], path: Path) -> None:
    """Write (row, body part) as Lightning Pose does: an index, a column per body part."""
    import pandas as pd

    table = pd.DataFrame(values, columns=list(bodyparts))
    table.to_csv(path, lineterminator="\n")


def _flat(points: NDArray[np.floating], places: list[int]) -> Numbers:
    return points[:, places].reshape(len(points), -1).astype(np.float64)
