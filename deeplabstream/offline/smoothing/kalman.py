"""Kalman filter and Rauch-Tung-Striebel smoother for a few states and many frames.

The state z moves by z' = A z + e, e ~ N(0, Q), and is seen as y = C z + n, where n has
an own variance for each frame and number. NaN: not observed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
_LEAST = 1e-9
"""Least variance of an observation: networks that agree entirely are not infallible."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """State-space model: transition and observation of a state."""

    step: Numbers
    """A (state, state)."""
    noise: Numbers
    """Q (state, state)."""
    seen: Numbers
    """C (observation, state)."""
    mean: Numbers
    """(state,) before the first frame."""
    variance: Numbers
    """(state, state) before the first frame."""
    first_variance: str = "correct"
    """compat: after the first frame, as the published pupil smoother has it, the change
    of the mean is taken from each row of the variance."""


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """Smoothed estimates of the observed values, from all frames."""

    mean: Numbers
    """(row, observation)."""
    variance: Numbers
    """(row, observation)."""


def smooth(model: Model, y: Numbers, variance: Numbers) -> Smoothed:
    """Return the smoothed observations; `y` and `variance` are (row, observation)."""
    means, covariances, predicted, _ = _filtered(model, y, variance)
    step = model.step
    for row in range(len(y) - 2, -1, -1):
        gain = np.linalg.solve(predicted[row + 1], step @ covariances[row]).T
        means[row] += gain @ (means[row + 1] - step @ means[row])
        covariances[row] += gain @ (covariances[row + 1] - predicted[row + 1]) @ gain.T
    seen = model.seen
    own = np.einsum("ij,tjk,ik->ti", seen, covariances, seen)
    return Smoothed(means @ seen.T, own)


def negative_log_likelihood(model: Model, y: Numbers, variance: Numbers) -> float:
    """Return the negative log likelihood of the observations."""
    return float(_filtered(model, y, variance)[3])


def smooth_alone(
    y: Numbers, variance: Numbers, s: float | Numbers
) -> tuple[Numbers, Numbers]:
    """Return mean and variance (row, number) of numbers that walk at random, each alone.

    `s` is the variance of a step: the smaller, the smoother. `y` has mean 0; before the
    first frame its variance is that of all frames.
    """
    start = variance_of(y)
    noise = np.broadcast_to(np.asarray(s, np.float64), start.shape)
    known = np.isfinite(y) & np.isfinite(variance)
    weight = np.where(known, 1 / np.maximum(variance, _LEAST), 0.0)
    y = np.where(known, y, 0.0)
    means, spreads = np.empty_like(y), np.empty_like(y)
    ahead = np.empty_like(y)
    mean, spread = np.zeros_like(start), start
    for row in range(len(y)):
        spread = spread + noise
        ahead[row] = spread
        spread = 1 / (1 / np.maximum(spread, _LEAST) + weight[row])
        mean = mean + spread * weight[row] * (y[row] - mean)
        means[row], spreads[row] = mean, spread
    for row in range(len(y) - 2, -1, -1):
        gain = spreads[row] / ahead[row + 1]
        means[row] += gain * (means[row + 1] - means[row])
        spreads[row] += gain * gain * (spreads[row + 1] - ahead[row + 1])
    return means, spreads


def variance_of(y: Numbers) -> Numbers:
    """Return (number,) the variance of the known values of `y` (row, number); 1: none."""
    known = np.isfinite(y).any(axis=0)
    return np.where(known, np.nanvar(np.where(known, y, 0.0), axis=0), 1.0)


def _filtered(model: Model, y: Numbers, variance: Numbers) -> Any:
    """Return filtered means, covariances, those predicted, and the negative log likelihood."""
    states = len(model.mean)
    means, covariances = np.empty((len(y), states)), np.empty((len(y), states, states))
    predicted = np.empty_like(covariances)
    known = np.isfinite(y) & np.isfinite(variance)
    noise = np.where(known, np.maximum(variance, _LEAST), 1.0)
    weight = np.where(known, 1 / noise, 0.0)
    seen, step, move = model.seen, model.step, model.noise
    mean, covariance = model.mean, model.variance
    cost = 0.0
    for row in range(len(y)):
        if row:
            mean = step @ mean
            covariance = step @ covariance @ step.T + move
        predicted[row] = covariance
        off = np.where(known[row], y[row] - seen @ mean, 0.0)
        weighted = seen.T * weight[row]
        inverse = np.linalg.inv(covariance) + weighted @ seen
        updated = np.linalg.inv(inverse)
        change = updated @ (weighted @ off)
        # log det and quadratic form of the innovation, by the matrix determinant lemma
        spread = np.linalg.slogdet(inverse)[1] + np.linalg.slogdet(covariance)[1]
        spread += np.log(noise[row][known[row]]).sum()
        square = off @ (weight[row] * off) - (weighted @ off) @ change
        cost += 0.5 * (spread + square + known[row].sum() * np.log(2 * np.pi))
        mean = mean + change
        if row == 0 and model.first_variance == "compat":
            covariance = model.variance - change
        else:
            covariance = updated
        means[row], covariances[row] = mean, covariance
    return means, covariances, predicted, float(cost)
