"""Which poses there are: a plane through the labelled ones.

Source: Biderman et al., Nature Methods 2024 (reprojection errors of principal components of
the labelled poses). Training makes these errors small, reports and predictions tell them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError

SINGLE_VIEW_VARIANCE = 0.99
"""Of the labels' variance, what the components of a single view explain."""
MULTI_VIEW_COMPONENTS = 3
"""A point seen from several sides has three coordinates."""
Centring = Literal["mean", "median"] | None


@dataclass(frozen=True, slots=True, eq=False)
class PosePca:
    """A mean and the directions along which poses vary."""

    mean: NDArray[np.float64]
    """(d,)"""
    components: NDArray[np.float64]
    """(kept, d), of length 1, at right angles."""
    epsilon: float
    """px: misses smaller than this cost nothing."""

    def reprojected(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, d): the nearest poses in the plane; NaN where anything is NaN."""
        away = rows - self.mean
        return self.mean + away @ self.components.T @ self.components

    def error(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, d / 2): how far each point is from the plane's, px."""
        away = rows - self.reprojected(rows)
        away = away.reshape(len(rows), len(self.mean) // 2, 2)
        return np.asarray(np.linalg.norm(away, axis=2))


def fit_pose_pca(
    rows: NDArray[np.float64],
    keep: float,
    epsilon: float | None = None,
    percentile: float = 99.0,
    multiplier: float = 1.0,
) -> PosePca:
    """Return the plane through `rows` (n, d), points as x, y, x, y, …; NaN: not labelled.

    `keep` is a number of components (1 or more) or the share of variance to explain (below
    1). Covariances are taken over the rows where both coordinates are there. `epsilon`
    None: the given percentile of the labelled rows' own errors, times `multiplier`.
    DeepLabStreamError when there are fewer rows than dimensions.
    """
    n, d = rows.shape
    if n < d:
        raise DeepLabStreamError(
            f"PCA of {d} coordinates needs {d} labelled rows at least, there are {n}: "
            "label more frames"
        )
    there = np.isfinite(rows)
    if not there.any(axis=0).all():
        raise DeepLabStreamError("PCA needs every body part to be labelled somewhere")
    mean = np.nanmean(rows, axis=0)
    centred = np.where(there, rows - mean, 0.0)
    together = there.astype(np.float64).T @ there
    covariance = centred.T @ centred / np.maximum(together - 1, 1)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
    if keep >= 1:
        count = min(int(keep), d)
    else:
        explained = np.cumsum(values) / max(values.sum(), 1e-12)
        count = int(np.searchsorted(explained, keep - 1e-9) + 1)
    axes = np.ascontiguousarray(vectors[:, : min(count, d)].T)
    whole = PosePca(mean, axes, epsilon or 0.0)
    if epsilon is not None:
        return whole
    misses = whole.error(rows)
    misses = misses[np.isfinite(misses)]
    if not len(misses):
        raise DeepLabStreamError(
            "PCA needs some frames in which all body parts are labelled"
        )
    own = multiplier * float(np.percentile(misses, percentile))
    return PosePca(whole.mean, whole.components, own)


def single_view_rows(
    points: NDArray[np.floating], columns: Sequence[int], centring: Centring = None
) -> NDArray[np.float64]:
    """Return (n, 2 · len(columns)) of points (n, bodypart, 2).

    Where poses are centred, one that lacks a point is NaN altogether: without it, the
    middle of the others is another one.
    """
    own = points[:, list(columns)].astype(np.float64)
    if centring == "mean":
        own = own - own.mean(axis=1, keepdims=True)
    elif centring == "median":
        own = own - np.median(own, axis=1, keepdims=True)
    return np.asarray(own.reshape(len(own), 2 * len(columns)))


def walks_about(labels: NDArray[np.floating]) -> bool:
    """Return whether the animal's place differs by more than its points lie apart.

    `labels` are (n, bodypart, 2); those that lack a point do not count. The standard
    deviation of the poses' middles is compared with that of the points about them.
    """
    whole = labels[np.isfinite(labels).all(axis=(1, 2))].astype(np.float64)
    if not len(whole):
        return False
    middles = whole.mean(axis=1, keepdims=True)
    return bool(
        ((middles - middles.mean(axis=0)) ** 2).mean() > np.var(whole - middles)
    )


def multi_view_rows(
    points: NDArray[np.floating], views: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """Return (n · bodypart, 2 · view): each body part in all views.

    `views` names for each view its columns of `points`, the same body parts in the same
    order (Lightning Pose's mirrored_column_matches).
    """
    own = np.stack([points[:, list(view)] for view in views], axis=2)
    return np.asarray(own.reshape(-1, 2 * len(views)), np.float64)


def single_view_error(
    points: NDArray[np.floating], labels: NDArray[np.floating], columns: Sequence[int]
) -> NDArray[np.float64]:
    """Return (row, body part): how far the whole pose says each point is off, px.

    `points` and `labels` are (row, body part, 2); `columns` are the body parts that
    belong to the pose, the others are NaN. Poses of an animal that `walks_about` are
    centred first: where it is would else be all that the components explain.
    DeepLabStreamError: there are too few labels.
    """
    chosen = list(columns)
    centring: Centring = "mean" if walks_about(labels[:, chosen]) else None
    known = single_view_rows(labels, chosen, centring)
    known = known[np.isfinite(known).any(axis=1)]
    plane = fit_pose_pca(known, SINGLE_VIEW_VARIANCE, 0.0)
    error = np.full(points.shape[:2], np.nan)
    error[:, chosen] = plane.error(single_view_rows(points, chosen, centring))
    return error


def multi_view_error(
    points: NDArray[np.floating],
    labels: NDArray[np.floating],
    views: Sequence[Sequence[int]],
) -> NDArray[np.float64]:
    """Return (row, body part): how far the other views say each point is off, px.

    `views` has, for each view, the places of the same body parts in the same order.
    Learned from the labels that all views have. DeepLabStreamError: these are too few.
    """
    known = multi_view_rows(labels, views)
    known = known[np.isfinite(known).all(axis=1)]
    plane = fit_pose_pca(known, MULTI_VIEW_COMPONENTS, 0.0)
    off = plane.error(multi_view_rows(points, views))
    off = off.reshape(len(points), len(views[0]), len(views))
    error = np.full(points.shape[:2], np.nan)
    for place, view in enumerate(views):
        error[:, list(view)] = off[:, :, place]
    return error
