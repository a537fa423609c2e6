"""Lens distortion: radial, tangential and thin prism, by the model of OpenCV, and its inverse.

Without OpenCV, which settings and experiments do not load. Points are in the plane at distance
1 from the camera, in focal lengths from the optical axis.

Sources: Hartley and Zisserman, Multiple View Geometry, 2nd edition (section 7.4: radial
distortion); OpenCV, module calib3d (tangential and rational distortion, thin prism).
"""

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DISTORTIONS = (
    *("k1", "k2", "p1", "p2", "k3"),
    *("k4", "k5", "k6"),
    *("s1", "s2", "s3", "s4"),
)
"""Names of the coefficients of a lens, in the order of OpenCV."""
LENGTHS = (5, 8, 12)
"""Numbers of coefficients that a lens can have."""
STEPS = 20
"""Most steps of a method that undistorts."""
_CONVERGED = 1e-9
"""Newton's method ends below this error, in focal lengths."""
_UNDISTORTED = 1e-6
"""Largest error, in focal lengths, of a point that counts as undistorted."""


def padded(distortion: Floats, length: int = 0) -> Floats:
    """Return so many coefficients of a lens, those that it does not have as 0.

    `length`: one of `LENGTHS`; 0: the shortest that has all.
    """
    length = length or next(it for it in LENGTHS if len(distortion) <= it)
    return np.pad(distortion, (0, length - len(distortion)))


def turns_back(flat: Floats, k: Floats) -> NDArray[np.bool_]:
    """Return whether points further from the axis are imaged nearer to it, (...)."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        square = (flat * flat).sum(axis=-1)
        return np.asarray(
            _radial(square, k) + 2 * square * _radial_slope(square, k) <= 0
        )


def distorted(flat: Floats, k: Floats) -> Floats:
    """Return distorted points (..., 2) in the plane at distance 1."""
    # A point far outside the image may overflow: it is not finite, and so not seen.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return np.stack(bend(flat[..., 0], flat[..., 1], k), axis=-1)


def undistorted(bent: Floats, k: Floats, start: Floats | None = None) -> Floats:
    """Return the points whose images by lenses are `bent`, by Newton's method.

    Parameters
    ----------
    bent : numpy.ndarray of float64, shape (..., 2)
        Distorted points in the plane at distance 1. NaN stays NaN.
    k : numpy.ndarray of float64, shape (5, ...), (8, ...) or (12, ...)
        Coefficients in the order of `DISTORTIONS`, for all points, or for each.
    start : numpy.ndarray of float64, shape (..., 2), optional
        Points that may be the solutions; from those that are not, the method does not start.

    Returns
    -------
    numpy.ndarray of float64, shape (..., 2)
        NaN: the lens shows no direction there.
    """
    if not k.any():
        return bent
    flat = bent.copy()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if start is not None:
            close = np.abs(bent - distorted(start, k)) <= _CONVERGED
            if close.all():
                return start
            flat = np.where(close.all(axis=-1, keepdims=True), start, bent)
        for _ in range(STEPS):
            miss = bent - distorted(flat, k)
            if not (np.abs(miss) > _CONVERGED).any():
                break
            flat = flat + _newton_step(flat, miss, k)
        else:
            miss = bent - distorted(flat, k)
        miss = np.abs(miss).max(axis=-1, keepdims=True)
    # where the model turns back, it gives a second point that no camera sees
    known = (miss <= _UNDISTORTED) & ~turns_back(flat, k)[..., None]
    return np.where(known, flat, np.nan)


def _newton_step(flat: Floats, miss: Floats, k: Floats) -> Floats:
    """Return the change (..., 2) of points that removes an error, to first order."""
    at, away = (flat[..., 0], flat[..., 1]), (miss[..., 0], miss[..., 1])
    return np.stack(newton_step(at, away, k), axis=-1)


def bend(x: Any, y: Any, k: Any) -> tuple[Any, Any]:
    """Return a distorted point of the plane at distance 1.

    `x`, `y`: numbers, or arrays; `k`: 5, 8 or 12 coefficients, each as `x`. The fewer, the
    faster.
    """
    p1, p2 = k[2:4]
    square = x * x + y * y
    along = _radial(square, k) + 2 * (p2 * x + p1 * y)
    if len(k) <= LENGTHS[1]:
        return along * x + p2 * square, along * y + p1 * square
    s1, s2, s3, s4 = k[8:]
    across_x, across_y = p2 + s1 + s2 * square, p1 + s3 + s4 * square
    return along * x + across_x * square, along * y + across_y * square


def newton_step(at: tuple[Any, Any], away: tuple[Any, Any], k: Any) -> tuple[Any, Any]:
    """Return the change of a point that removes its error `away`, to first order.

    Of numbers, or arrays, as `bend`.
    """
    p1, p2 = k[2:4]
    s1, s2, s3, s4 = k[8:] if len(k) > LENGTHS[1] else (0.0,) * 4
    x, y = at
    square = x * x + y * y
    radial, by_square = _radial(square, k), _radial_slope(square, k)
    prism_x, prism_y = s1 + 2 * s2 * square, s3 + 2 * s4 * square

    xx = radial + 2 * x * x * by_square + 2 * p1 * y + 6 * p2 * x + 2 * x * prism_x
    xy = 2 * x * y * by_square + 2 * p1 * x + 2 * p2 * y + 2 * y * prism_x
    yx = 2 * x * y * by_square + 2 * p1 * x + 2 * p2 * y + 2 * x * prism_y
    yy = radial + 2 * y * y * by_square + 6 * p1 * y + 2 * p2 * x + 2 * y * prism_y
    area = xx * yy - xy * yx
    away_x, away_y = away
    return (yy * away_x - xy * away_y) / area, (xx * away_y - yx * away_x) / area


def undistorted_point(u: float, v: float, k: Sequence[float]) -> tuple[float, float]:
    """Return the point whose image is u, v: as `undistorted`, faster for single points."""
    x, y = u, v
    try:
        for _ in range(STEPS):
            bent_x, bent_y = bend(x, y, k)
            away = u - bent_x, v - bent_y
            if not max(abs(away[0]), abs(away[1])) > _CONVERGED:
                break
            step_x, step_y = newton_step((x, y), away, k)
            x, y = x + step_x, y + step_y
        else:
            bent_x, bent_y = bend(x, y, k)
            away = u - bent_x, v - bent_y
        square = x * x + y * y
        is_known = max(abs(away[0]), abs(away[1])) <= _UNDISTORTED
        grows = _radial(square, k) + 2 * square * _radial_slope(square, k) > 0
    except (ZeroDivisionError, OverflowError):
        return nan, nan
    return (x, y) if is_known and grows else (nan, nan)


def _radial(square: Any, k: Any) -> Any:
    """Return the radial factor of a lens."""
    k1, k2, _, _, k3 = k[:5]
    above = 1 + square * (k1 + square * (k2 + square * k3))
    if len(k) <= LENGTHS[0]:
        return above
    k4, k5, k6 = k[5:8]
    return above / (1 + square * (k4 + square * (k5 + square * k6)))


def _radial_slope(square: Any, k: Any) -> Any:
    """Return the derivative of the radial factor by the squared radius."""
    k1, k2, _, _, k3 = k[:5]
    k4, k5, k6 = k[5:8] if len(k) > LENGTHS[0] else (0.0,) * 3
    above = 1 + square * (k1 + square * (k2 + square * k3))
    below = 1 + square * (k4 + square * (k5 + square * k6))
    above_by = k1 + square * (2 * k2 + square * 3 * k3)
    below_by = k4 + square * (2 * k5 + square * 3 * k6)
    return (above_by * below - above * below_by) / below**2
