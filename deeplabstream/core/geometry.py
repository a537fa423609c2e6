"""Angles and directions in the image or on the floor: x right, y down.

Angles grow from +x (right) towards +y (down), hence clockwise on the screen.
"""

from collections.abc import Iterable, Sequence
from math import atan2, degrees, nan


def angle_between(first: Iterable[float], second: Iterable[float]) -> float:
    """Return the unsigned angle between two vectors, in degrees from 0 to 180.

    NaN when a vector has no length or a coordinate is NaN.

    >>> angle_between((1, 0), (0, 1))
    90.0
    """
    return abs(turn(first, second))


def turn(first: Iterable[float], second: Iterable[float]) -> float:
    """Return the signed angle from `first` to `second`, in degrees, above -180 to 180.

    Positive is clockwise on the screen. NaN as for `angle_between`.

    >>> turn((0, 1), (1, 0))
    -90.0
    """
    x1, y1 = map(float, first)
    x2, y2 = map(float, second)
    if not ((x1 or y1) and (x2 or y2)):
        return nan
    return degrees(atan2(x1 * y2 - y1 * x2, x1 * x2 + y1 * y2))


def middle(points: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the mean of points [x, y], one at least; NaN when a coordinate is NaN.

    >>> middle([(0, 0), (1, 3)])
    (0.5, 1.5)
    """
    count = len(points)
    return sum(x for x, _ in points) / count, sum(y for _, y in points) / count
