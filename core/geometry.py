"""Angles and directions in the picture: x right, y down, in pixels.

Angles grow from +x (right) towards +y (down), hence clockwise on the screen.
"""

import numpy as np
from numpy.typing import ArrayLike


def angle_between(first: ArrayLike, second: ArrayLike) -> float:
    """Return the unsigned angle between two vectors, in degrees from 0 to 180.

    NaN when a vector has no length or a coordinate is NaN.

    >>> angle_between((1, 0), (0, 1))
    90.0
    """
    return abs(turn(first, second))


def turn(first: ArrayLike, second: ArrayLike) -> float:
    """Return by how much `second` is turned from `first`: above -180 to 180 degrees.

    Positive is clockwise on the screen. NaN as for `angle_between`.

    >>> turn((0, 1), (1, 0))
    -90.0
    """
    one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if not (one.any() and two.any()):
        return float("nan")
    cross = one[0] * two[1] - one[1] * two[0]
    return float(np.degrees(np.arctan2(cross, one @ two)))
