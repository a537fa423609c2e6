"""Smoothing of one animal's poses over a video: each body part by its own posterior.

A Kalman smoother with constant velocity, whose changes are random (Rauch, Tung and Striebel
1965). How smooth a body part moves is sought by maximum likelihood, so a part that jitters is
smoothed more than one that is fast. A point with a low confidence, or far from where the frames
beside it expect it, counts less: observations have a t distribution, fitted by repeated
weighting (Lange, Little and Taylor 1989).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deeplabstream.recording.pose_table import PoseTable

Numbers = NDArray[np.float64]

RATIOS = 2.0 ** np.arange(-10, 7, 2)
"""Variances of a change of velocity to choose from, in variances of a point."""
SOUGHT_IN = 2000
"""Frames in which the ratio is sought, from the first frame with a point."""
ROUNDS = 2
"""Repetitions with new weights."""
FREEDOM = 4.0
"""Degrees of freedom of the t distribution."""
LEAST_CONFIDENCE = 0.05
EXACT = 0.25
"""Least variance of a point, px²: points half a pixel off are not outliers."""
_FLAT = 1e6
"""Variance of position and velocity before the first frame."""
_STEP = np.array([[1.0, 1.0], [0.0, 1.0]])
_CHANGE = np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]])


def smoothed_table(poses: PoseTable) -> PoseTable:
    """Return the poses of a video with smoothed points; several animals stay as they are.

    Several animals may be mistaken for each other, and a smoothed track hides that.
    """
    if poses.points.shape[1] > 1:
        return poses
    points = smoothed_track(poses.points[:, 0], poses.confidence[:, 0])
    return replace(poses, points=points[:, None])


def smoothed_track(
    points: NDArray[np.floating], confidence: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the points of one animal, smoothed.

    Parameters
    ----------
    points
        (row, bodypart, 2), px; NaN: not found, or the frame could not be decoded.
    confidence
        (row, bodypart), 0 to 1.

    Returns
    -------
    points
        (row, bodypart, 2), px. NaN stays NaN: nothing is invented where nothing was found.
    """
    y = np.asarray(points, np.float64)
    known = np.asarray(np.isfinite(y).all(axis=2), np.bool_)
    some = known.sum(axis=0) > 2
    if not some.any():
        return np.asarray(points, np.float32)

    # A point's variance, in those of a point of confidence 1.
    sure = np.clip(np.nan_to_num(confidence[:, some]), LEAST_CONFIDENCE, 1)
    own, seen = y[:, some], known[:, some]
    relative = np.where(seen, 1 / np.square(sure.astype(np.float64)), np.inf)
    first = int(seen.any(axis=1).argmax())
    sought = slice(first, first + SOUGHT_IN)
    ratio = _likeliest_ratios(own[sought], relative[sought])

    weighted, found = relative, _smooth(own, relative, ratio)
    for _ in range(ROUNDS):
        weighted = relative / _weights(own - found.mean, relative, seen)
        found = _smooth(own, weighted, ratio)

    out = np.array(y)
    out[:, some] = np.where(seen[..., None], found.mean, np.nan)
    return np.asarray(out, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Filtered:
    """Result of a filter, or of the smoother after it."""

    mean: Numbers
    """(row, …, 2): positions."""
    cost: Numbers
    """(…): negative log likelihood, with the most likely variance of a point."""


def _weights(off: Numbers, relative: Numbers, seen: NDArray[np.bool_]) -> Numbers:
    """Return the weights (row, bodypart) of points that are `off` their expected place."""
    square = np.square(np.nan_to_num(off)).sum(axis=2) / relative
    square = np.where(seen, square, np.nan)
    # The median of two squared normal numbers is 2 log 2 times their variance.
    variance = np.maximum(np.nanmedian(square, axis=0) / (2 * np.log(2)), EXACT)
    weight = (FREEDOM + 2) / (FREEDOM + np.nan_to_num(square) / variance)
    return np.asarray(weight, np.float64)


def _likeliest_ratios(y: Numbers, relative: Numbers) -> Numbers:
    """Return for each body part that of `RATIOS` which makes the points most likely."""
    ratios = np.broadcast_to(RATIOS[:, None], (len(RATIOS), y.shape[1]))
    costs = _filter(y[:, None], relative[:, None], ratios)[0].cost
    return np.asarray(RATIOS[costs.argmin(axis=0)], np.float64)


def _smooth(y: Numbers, relative: Numbers, ratio: Numbers) -> _Filtered:
    """Return the smoothed positions (row, bodypart, 2)."""
    filtered, means, spreads, expected, ahead = _filter(y, relative, ratio)
    for row in range(len(y) - 2, -1, -1):
        gain = spreads[row] @ _STEP.T @ np.linalg.inv(ahead[row + 1])
        means[row] += gain @ (means[row + 1] - expected[row + 1])
    return _Filtered(means[..., 0, :], filtered.cost)


def _filter(
    y: Numbers, relative: Numbers, ratio: Numbers
) -> tuple[_Filtered, Numbers, Numbers, Numbers, Numbers]:
    """Return the filter's result, and its states and covariances, also those expected.

    A state is position and velocity, (row, …, 2, 2): the last axis is x and y. Covariances
    are in variances of a point, and the same for x and y.
    """
    shape = ratio.shape
    noise = ratio[..., None, None] * _CHANGE
    mean = np.zeros((*shape, 2, 2))
    mean[..., 0, :] = _first_points(y)
    spread = np.broadcast_to(_FLAT * np.eye(2), (*shape, 2, 2))
    means, spreads = np.empty((2, len(y), *shape, 2, 2))
    expected, ahead = np.empty((2, len(y), *shape, 2, 2))
    squares, logs, count = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for row in range(len(y)):
        if row:
            mean = _STEP @ mean
            spread = _STEP @ spread @ _STEP.T + noise
        expected[row], ahead[row] = mean, spread

        # Without a point the gain is 0, as its variance is infinite.
        seen = np.isfinite(relative[row])
        total = spread[..., 0, 0] + relative[row]
        off = np.where(seen[..., None], np.nan_to_num(y[row]) - mean[..., 0, :], 0.0)
        gain = np.where(seen[..., None], spread[..., 0] / total[..., None], 0.0)
        mean = mean + gain[..., None] * off[..., None, :]
        spread = spread - gain[..., None] * spread[..., :1, :]
        means[row], spreads[row] = mean, spread

        squares += np.where(seen, np.square(off).sum(axis=-1) / total, 0)
        logs += np.where(seen, 2 * np.log(np.where(seen, total, 1)), 0)
        count += 2 * seen
    variance = np.maximum(squares / np.maximum(count, 1), 1e-6)
    cost = (logs + count * np.log(variance)) / 2
    return _Filtered(means[..., 0, :], cost), means, spreads, expected, ahead


def _first_points(y: Numbers) -> Numbers:
    """Return (…, 2): the first point of each body part that has one."""
    known = np.isfinite(y).all(axis=-1)
    first = known.argmax(axis=0)[None, ..., None]
    return np.asarray(np.take_along_axis(y, first, axis=0)[0], np.float64)
