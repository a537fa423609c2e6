"""Triggers on what one animal does to another by moving: approach, withdrawal, following."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Answer,
    FollowLimits,
    MovingPairTrigger,
    PairAnimal,
    is_following,
    is_within,
    speed_towards,
)


@settings(kw_only=True)
class RadialMovement(MovingPairTrigger):
    """Movement of the actor along the line to the target."""

    speed: float = Field(
        gt=0,
        description="speed of the actor along the line to the target, UNIT per second",
    )
    angle: float = Field(
        45.0,
        gt=0,
        le=90,
        description="largest angle between the actor's movement and that line, in degrees",
    )
    max_distance: float = Field(
        0.0,
        ge=0,
        description="distance up to which it counts, in UNIT; 0: any distance",
    )
    min_distance: float = Field(
        0.0, ge=0, description="distance from which on it counts, in UNIT"
    )

    def moves(
        self, actor: PairAnimal, target: PairAnimal, sense: Literal[1, -1]
    ) -> Answer:
        """Return whether the actor moves towards the target (1), or away from it (-1)."""
        x, y = actor.way_to(target)
        distance = (x * x + y * y) ** 0.5
        if distance < self.min_distance or 0 < self.max_distance < distance:
            return False
        if actor.velocity is None:
            return None
        if not distance:
            return False
        way = sense * x, sense * y
        is_fast = speed_towards(actor.velocity, way) >= self.speed
        return is_fast and is_within(actor.velocity, way, self.angle)


@settings(kw_only=True)
class Approach(RadialMovement):
    """Holds while the actor moves towards the target; the target may stand, come or go.

    Positions are the centres of BODYPARTS, and of TARGET_BODYPARTS.
    """

    def pair_holds(
        self, actor: PairAnimal, target: PairAnimal, time_s: float
    ) -> Answer:
        """Return whether the actor moves towards the target."""
        return self.moves(actor, target, 1)


@settings(kw_only=True)
class Withdrawal(RadialMovement):
    """Holds while the actor moves away from the target, as from an animal that stands or comes.

    MAX_DISTANCE separates withdrawal from walking about elsewhere.
    """

    def pair_holds(
        self, actor: PairAnimal, target: PairAnimal, time_s: float
    ) -> Answer:
        """Return whether the actor moves away from the target."""
        return self.moves(actor, target, -1)


@settings(kw_only=True)
class Following(MovingPairTrigger):
    """Holds while the actor walks behind a target that walks in the same direction.

    Both move at SPEED or faster; the actor moves towards the target within ANGLE, and in the
    direction in which the target moves within ANGLE.
    """

    speed: float = Field(gt=0, description="least speed of both, UNIT per second")
    distance: float = Field(gt=0, description="largest distance, in UNIT")
    angle: float = Field(
        45.0, gt=0, le=90, description="largest angle of the directions, in degrees"
    )

    def pair_holds(
        self, actor: PairAnimal, target: PairAnimal, time_s: float
    ) -> Answer:
        """Return whether the actor follows the target."""
        way = actor.way_to(target)
        if way[0] * way[0] + way[1] * way[1] > self.distance * self.distance:
            return False
        if actor.velocity is None or target.velocity is None:
            return None
        limits = FollowLimits(self.speed, self.distance, self.angle)
        return is_following(actor.velocity, target.velocity, way, limits)


@settings(kw_only=True)
class Chasing(Following):
    """Holds while the actor follows a target at speed: following in which both run.

    SPEED is that of a run; a wider ANGLE than for following allows for turns.
    """

    angle: float = Field(
        60.0, gt=0, le=90, description="largest angle of the directions, in degrees"
    )
