"""Points, angles and regions of the picture: x right, y down, in pixels.

Angles grow from +x (right) towards +y (down), hence clockwise on the screen.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def angle_between(first: ArrayLike, second: ArrayLike) -> float:
    """Return the unsigned angle between two vectors, in degrees from 0 to 180.

    NaN when a vector has no length or a coordinate is NaN.

    >>> angle_between((1, 0), (0, 1))
    90.0
    """
    one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if not (one.any() and two.any()):
        return float("nan")
    cross = one[0] * two[1] - one[1] * two[0]
    return float(abs(np.degrees(np.arctan2(cross, one @ two))))


def inside_ellipse(
    points: NDArray[np.float32], centre: Sequence[float], radii: Sequence[float]
) -> NDArray[np.bool_]:
    """Return for each of `points` (n, 2) whether it lies in the ellipse or on it.

    A NaN point lies nowhere.

    >>> inside_ellipse(np.array([[0, 0], [3, 0]], np.float32), (0, 0), (2, 1))
    array([ True, False])
    """
    scaled = (points - np.asarray(centre, np.float64)) / np.asarray(radii, np.float64)
    return np.asarray((scaled**2).sum(axis=-1) <= 1)


def inside_rectangle(
    points: NDArray[np.float32], corner: Sequence[float], size: Sequence[float]
) -> NDArray[np.bool_]:
    """Return for each of `points` (n, 2) whether it lies in the rectangle or on it.

    `corner` is the left upper one. A NaN point lies nowhere.
    """
    low = np.asarray(corner, np.float64)
    high = low + np.asarray(size, np.float64)
    return np.asarray(((points >= low) & (points <= high)).all(axis=-1))


def inside_polygon(
    points: NDArray[np.float32], corners: ArrayLike
) -> NDArray[np.bool_]:
    """Return for each of `points` (n, 2) whether it lies in the polygon.

    Even-odd rule: a ray to the right crosses the border an odd number of times. A
    NaN point lies nowhere.
    """
    ring = np.asarray(corners, np.float64)
    x, y = points[:, :1].astype(np.float64), points[:, 1:].astype(np.float64)
    (x1, y1), (x2, y2) = ring.T, np.roll(ring, -1, axis=0).T
    crosses = (y1 > y) != (y2 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at_x = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
    return np.asarray((crosses & (x < at_x)).sum(axis=1) % 2 == 1)
