"""Principal components of labelled poses, and reprojection errors of predicted ones.

Source: Biderman et al., Nature Methods 2024. Training minimises these errors; reports and
predictions state them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError

SINGLE_VIEW_VARIANCE = 0.99
"""Share of the labels' variance that the components of a single view explain."""
MULTI_VIEW_COMPONENTS = 3
"""Components for several views: a point in space has three coordinates."""
Centring = Literal["mean", "median"] | None


@dataclass(frozen=True, slots=True, eq=False)
class PosePca:
    """Mean and principal components of poses."""

    mean: NDArray[np.float64]
    """(d,)"""
    components: NDArray[np.float64]
    """(kept, d), orthonormal."""
    epsilon: float
    """Errors below it, in pixels, are not penalised."""

    def reprojected(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the projections of poses onto the components.

        Parameters
        ----------
        rows : numpy.ndarray of float64, shape (n, d)
            Points as x, y, x, y, …, in pixels.

        Returns
        -------
        numpy.ndarray of float64, shape (n, d)
            In pixels. A row with a NaN is NaN.
        """
        away = rows - self.mean
        return self.mean + away @ self.components.T @ self.components

    def error(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reprojection error of each point.

        Parameters
        ----------
        rows : numpy.ndarray of float64, shape (n, d)
            Points as x, y, x, y, …, in pixels.

        Returns
        -------
        numpy.ndarray of float64, shape (n, d / 2)
            Distance to the projection in pixels. A row with a NaN is NaN.
        """
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
    """Return the principal components of labelled poses.

    Parameters
    ----------
    rows : numpy.ndarray of float64, shape (n, d)
        Points as x, y, x, y, …, in pixels; NaN: not labelled. Covariances use the rows in
        which both coordinates are labelled.
    keep : float
        Number of components (1 or more), or share of variance to explain (below 1).
    epsilon : float, optional
        Errors below it, in pixels, are not penalised. Left out: `percentile` of the errors
        of `rows`, times `multiplier`.
    percentile : float
        From 0 to 100.
    multiplier : float
        See `epsilon`.

    Returns
    -------
    PosePca
        Mean and components.

    Raises
    ------
    DeepLabStreamError
        There are fewer rows than dimensions, or a body part is never labelled.
    """
    n, d = rows.shape
    if n < d:
        raise DeepLabStreamError(
            f"PCA of {d} coordinates needs {d} labelled rows at least, there are {n}: "
            "label more frames"
        )
    known = np.isfinite(rows)
    if not known.any(axis=0).all():
        raise DeepLabStreamError("PCA needs at least one label of every body part")
    mean = np.nanmean(rows, axis=0)
    centred = np.where(known, rows - mean, 0.0)
    together = known.astype(np.float64).T @ known
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
    """Return poses of a single view as rows.

    Parameters
    ----------
    points : numpy.ndarray of float, shape (n, body part, 2)
        In pixels; NaN: not labelled.
    columns : sequence of int
        Body parts to use.
    centring : {"mean", "median"}, optional
        Subtract the centre of each pose.

    Returns
    -------
    numpy.ndarray of float64, shape (n, 2 * len(columns))
        x, y, x, y, …, in pixels. A centred pose that lacks a point is NaN, because its
        centre is not comparable.
    """
    own = points[:, list(columns)].astype(np.float64)
    if centring == "mean":
        own = own - own.mean(axis=1, keepdims=True)
    elif centring == "median":
        own = own - np.median(own, axis=1, keepdims=True)
    return np.asarray(own.reshape(len(own), 2 * len(columns)))


def walks_about(labels: NDArray[np.floating]) -> bool:
    """Return whether the position of an animal varies more than the extent of its pose.

    Parameters
    ----------
    labels : numpy.ndarray of float, shape (n, body part, 2)
        In pixels. Poses with a NaN are left out.

    Returns
    -------
    bool
        Whether the variance of the poses' centres exceeds that of the points about them.
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
    """Return each body part in all views as rows.

    Parameters
    ----------
    points : numpy.ndarray of float, shape (n, body part, 2)
        In pixels; NaN stays NaN.
    views : sequence of sequence of int
        For each view its columns of `points`, the same body parts in the same order
        (Lightning Pose's mirrored_column_matches).

    Returns
    -------
    numpy.ndarray of float64, shape (n * body part, 2 * view)
        In pixels.
    """
    own = np.stack([points[:, list(view)] for view in views], axis=2)
    return np.asarray(own.reshape(-1, 2 * len(views)), np.float64)


def single_view_error(
    points: NDArray[np.floating], labels: NDArray[np.floating], columns: Sequence[int]
) -> NDArray[np.float64]:
    """Return the single-view PCA error of each point.

    Poses of an animal that `walks_about` are centred first. Otherwise the components would
    mainly explain its position.

    Parameters
    ----------
    points : numpy.ndarray of float, shape (row, body part, 2)
        Predicted points in pixels.
    labels : numpy.ndarray of float, shape (n, body part, 2)
        Labelled points in pixels; NaN: not labelled.
    columns : sequence of int
        Body parts that belong to the pose.

    Returns
    -------
    numpy.ndarray of float64, shape (row, body part)
        In pixels. NaN for other body parts and incomplete poses.

    Raises
    ------
    DeepLabStreamError
        There are too few labels.
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
    """Return the multi-view PCA error of each point.

    Parameters
    ----------
    points : numpy.ndarray of float, shape (row, body part, 2)
        Predicted points in pixels.
    labels : numpy.ndarray of float, shape (n, body part, 2)
        Labelled points in pixels. Only points labelled in all views are used.
    views : sequence of sequence of int
        For each view the indices of the same body parts in the same order.

    Returns
    -------
    numpy.ndarray of float64, shape (row, body part)
        In pixels. NaN for other body parts and points missing in a view.

    Raises
    ------
    DeepLabStreamError
        There are too few labels.
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
