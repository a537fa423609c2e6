"""Several networks' poses made into one, smoothed over time: ensemble Kalman smoothing.

Where the networks disagree, the past and the future of the video decide. Source:
Biderman et al., Nature Methods 2024. `smooth_single` and `smooth_paws` follow version 3.0.0
of the package `ensemble-kalman-smoother`: iblvideo 3.2 pins it, and the IBL's pipeline must
equal its results. Everything else follows version 4 (`ensemble_kalman_4`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.offline.smoothing.kalman import (
    Model,
    smooth,
    smooth_alone,
)

Numbers = NDArray[np.float64]

COLUMNS = (
    *("x", "y", "likelihood", "x_ens_median", "y_ens_median"),
    *("x_ens_var", "y_ens_var", "x_posterior_var", "y_posterior_var"),
)
"""Columns of a smoothed body part in a table."""


@dataclass(frozen=True, slots=True, eq=False)
class EnsemblePoses:
    """Combined predictions of several networks."""

    median: Numbers
    """(row, body part, 2), px; NaN where no network found a point."""
    variance: Numbers
    """(row, body part, 2): of the networks, divided by their mean confidence."""
    likelihood: Numbers
    """(row, body part): mean confidence."""


@dataclass(frozen=True, slots=True, eq=False)
class SmoothedPoses:
    """Poses after smoothing, and what they were made of."""

    points: Numbers
    """(row, body part, 2), px."""
    variance: Numbers
    """(row, body part, 2): how unsure the smoother is."""
    ensemble: EnsemblePoses

    def columns(self, part: int) -> dict[str, Numbers]:
        """Return `COLUMNS` of one body part."""
        ensemble = self.ensemble
        values = (
            *(self.points[:, part, axis] for axis in (0, 1)),
            ensemble.likelihood[:, part],
            *(ensemble.median[:, part, axis] for axis in (0, 1)),
            *(ensemble.variance[:, part, axis] for axis in (0, 1)),
            *(self.variance[:, part, axis] for axis in (0, 1)),
        )
        return dict(zip(COLUMNS, values, strict=True))


def ensemble_of(
    points: NDArray[np.floating], confidence: NDArray[np.floating]
) -> EnsemblePoses:
    """Return median, variance and mean confidence of the networks.

    `points` (network, row, body part, 2), `confidence` (network, row, body part); NaN:
    that network had no image.
    """
    points, confidence = points.astype(np.float64), confidence.astype(np.float64)
    blank = np.isnan(points).all(axis=0)
    filled = np.where(blank, 0.0, points)
    likelihood = np.mean(confidence, axis=0)
    median = np.where(blank, np.nan, np.nanmedian(filled, axis=0))
    spread = np.where(blank, np.nan, np.nanvar(filled, axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = spread / likelihood[..., None]
    return EnsemblePoses(median, variance, likelihood)


def smooth_single(ensemble: EnsemblePoses, s: float) -> SmoothedPoses:
    """Smooth each coordinate of one camera separately.

    `s` is the variance of a step from frame to frame, px². Body parts that are never
    visible stay NaN.
    """
    shape = ensemble.median.shape
    flat = ensemble.median.reshape(len(ensemble.median), -1)
    middle = _nanmean(flat)
    noise = ensemble.variance.reshape(flat.shape)
    mean, variance = smooth_alone(flat - np.nan_to_num(middle), noise, s)
    variance[:, np.isnan(middle)] = np.nan
    return SmoothedPoses(
        (mean + middle).reshape(shape), variance.reshape(shape), ensemble
    )


def smooth_latent(
    y: Numbers,
    noise: Numbers,
    learnt_from: Sequence[Numbers],
    learnt_noise: Sequence[Numbers],
    s: float,
    keep: float,
) -> tuple[Numbers, Numbers]:
    """Return mean and variance (row, number) of `y`, which follows three components.

    The components are learnt from the rows of all `learnt_from` in which the largest
    variance is among the lowest `keep` per cent; the steps' covariance from `y`'s.
    """
    good = [
        _good(values, var, keep)
        for values, var in zip(learnt_from, learnt_noise, strict=True)
    ]
    chosen = np.vstack(
        [values[rows] for values, rows in zip(learnt_from, good, strict=True)]
    )
    middle = chosen.mean(axis=0)
    _, _, right = np.linalg.svd(chosen - middle, full_matrices=False)
    components = right[: min(3, len(right))]
    latent = (y[_good(y, noise, keep)] - middle) @ components.T
    steps = np.atleast_2d(np.cov(np.diff(latent, axis=0).T))
    steps = steps + 1e-9 * np.eye(len(components))
    start = np.diag(latent.var(axis=0) + 1e-9)
    size = len(components)
    model = Model(np.eye(size), s * steps, components.T, np.zeros(size), start)
    found = smooth(model, y - middle, noise)
    return found.mean + middle, found.variance


def _good(y: Numbers, noise: Numbers, keep: float) -> NDArray[np.intp]:
    worst = noise.max(axis=1)
    known = np.isfinite(y).all(axis=1) & np.isfinite(worst)
    limit = np.percentile(worst[known], keep)
    return np.flatnonzero(known & (worst <= limit))


def smooth_paws(
    left: Mapping[str, EnsemblePoses],
    right: Mapping[str, EnsemblePoses],
    times_s: tuple[Numbers, Numbers],
    s: float = 2.0,
    keep: float = 95,
) -> dict[str, tuple[SmoothedPoses, SmoothedPoses]]:
    """Smooth IBL's paws, seen from two sides by cameras that do not tick together.

    `left` and `right` have one body part each under the name of the same paw; the right
    camera's points are interpolated to the left camera's times. Rows are those of the
    left camera; where the right one has no frames, only the left counts. Whether a
    camera's image is mirrored makes no difference to principal components.
    """
    others = {name: _at_times(right[name], times_s[1], times_s[0]) for name in left}
    both, noise = {}, {}
    for name, one in left.items():
        other = others[name]
        both[name] = np.hstack([one.median[:, 0], other.median[:, 0]])
        noise[name] = np.hstack([one.variance[:, 0], other.variance[:, 0]])
    found = {}
    for name in left:
        mean, variance = smooth_latent(
            both[name], noise[name], [*both.values()], [*noise.values()], s, keep
        )
        found[name] = (
            SmoothedPoses(mean[:, None, :2], variance[:, None, :2], left[name]),
            SmoothedPoses(mean[:, None, 2:], variance[:, None, 2:], others[name]),
        )
    return found


def _at_times(
    ensemble: EnsemblePoses, have_s: Numbers, want_s: Numbers
) -> EnsemblePoses:
    """Return the ensemble at other times, linearly between; NaN outside of them."""

    def moved(values: Numbers) -> Numbers:
        flat = values.reshape(len(values), -1).T
        rows = [np.interp(want_s, have_s, row, np.nan, np.nan) for row in flat]
        return np.array(rows).T.reshape(len(want_s), *values.shape[1:])

    return EnsemblePoses(
        moved(ensemble.median), moved(ensemble.variance), moved(ensemble.likelihood)
    )


def _nanmean(values: Numbers) -> Numbers:
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / count
    return np.asarray(np.where(known.any(axis=0), mean, np.nan))
