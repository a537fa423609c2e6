"""Geometry of an actor and its target: speed towards it, and whether the actor follows it.

The same functions take single numbers, for triggers, and arrays of frames, for results. Vectors
are pairs (x, y): x right, y down. Comparisons with NaN are false.
"""

from dataclasses import dataclass
from math import cos, radians
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = tuple[float, float]
Vectors: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FollowLimits:
    """Limits of following."""

    speed: float
    """Speed of both from which on they move, per second."""
    distance: float
    """Largest distance."""
    angle: float
    """Largest angle of the actor's movement to the direction of the target, and to the
    target's movement, in degrees."""


@overload
def speed_towards(velocity: Vector, way: Vector) -> float: ...
@overload
def speed_towards(velocity: Vectors, way: Vectors) -> NDArray[np.float64]: ...
def speed_towards(velocity: Any, way: Any) -> Any:
    """Return the part of the actor's velocity along `way`; negative: away from the target.

    `way` leads from the actor to the target, and has a length.

    >>> speed_towards((3.0, 4.0), (10.0, 0.0))
    3.0
    """
    return _dot(velocity, way) / _length(way)


@overload
def is_within(first: Vector, second: Vector, angle: float) -> bool: ...
@overload
def is_within(first: Vectors, second: Vectors, angle: float) -> Bools: ...
def is_within(first: Any, second: Any, angle: float) -> Any:
    """Return whether the angle between two vectors is at most `angle` degrees.

    A vector without a length is within every angle.

    >>> is_within((1.0, 0.0), (1.0, 1.0), 50), is_within((1.0, 0.0), (1.0, 1.0), 40)
    (True, False)
    """
    return _dot(first, second) >= cos(radians(angle)) * _length(first) * _length(second)


@overload
def is_following(
    velocity: Vector, target_velocity: Vector, way: Vector, limits: FollowLimits
) -> bool: ...
@overload
def is_following(
    velocity: Vectors, target_velocity: Vectors, way: Vectors, limits: FollowLimits
) -> Bools: ...
def is_following(
    velocity: Any, target_velocity: Any, way: Any, limits: FollowLimits
) -> Any:
    """Return whether the actor moves towards a target that moves in the same direction."""
    return (
        (_length(velocity) >= limits.speed)
        & (_length(target_velocity) >= limits.speed)
        & (_length(way) <= limits.distance)
        & is_within(velocity, way, limits.angle)
        & is_within(velocity, target_velocity, limits.angle)
    )


def _dot(first: Any, second: Any) -> Any:
    return first[0] * second[0] + first[1] * second[1]


def _length(vector: Any) -> Any:
    return (vector[0] * vector[0] + vector[1] * vector[1]) ** 0.5
