"""Triggers on what one animal does to another by moving: approach, withdrawal, following."""

from dataclasses import field
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Answer,
    FollowLimits,
    MovingPairTrigger,
    PairAnimal,
    Pose,
    is_following,
    is_within,
    speed_towards,
)


@settings(kw_only=True)
class RadialMovement(MovingPairTrigger):
    """Movement of the actor along the line to the target.

    It begins at SPEED within ANGLE, and lasts while the speed is EXIT_SHARE of SPEED or more
    and the angle is EXIT_ANGLE or less.
    """

    velocity: Literal["displacement", "slope"] = Field(
        "slope",
        description="measure of velocity: slope of a line fitted to the positions within "
        "WINDOW_S, newer ones with more weight, or displacement within WINDOW_S by its duration",
    )
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
    exit_share: float = Field(
        0.35,
        gt=0,
        le=1,
        description="hysteresis: share of SPEED from which on a movement that has begun lasts; "
        "1: none",
    )
    exit_angle: float = Field(
        75.0,
        gt=0,
        le=90,
        description="hysteresis: largest angle of a movement that has begun, in degrees; "
        "ANGLE or less: none",
    )
    max_distance: float = Field(
        0.0,
        ge=0,
        description="distance up to which it counts, in UNIT; 0: any distance",
    )
    min_distance: float = Field(
        0.0, ge=0, description="distance from which on it counts, in UNIT"
    )
    _moving: set[tuple[int, int]] = field(
        default_factory=set, init=False, repr=False, compare=False
    )
    """Actor and target of the movements of this frame, as far as they were evaluated."""
    _moved_before: set[tuple[int, int]] = field(
        default_factory=set, init=False, repr=False, compare=False
    )
    """The same of the frame before."""

    def holds(self, pose: Pose, time_s: float) -> Answer:
        """Evaluate the pairs; a movement lasts only from one frame to the next."""
        self._moved_before, self._moving = self._moving, set()
        return super().holds(pose, time_s)

    def moves(
        self, actor: PairAnimal, target: PairAnimal, sense: Literal[1, -1]
    ) -> Answer:
        """Return whether the actor moves towards the target (1), or away from it (-1)."""
        pair = actor.index, target.index
        has_begun = pair in self._moved_before
        x, y = actor.way_to(target)
        distance = (x * x + y * y) ** 0.5
        if distance < self.min_distance or 0 < self.max_distance < distance:
            return False
        if actor.velocity is None:
            return None
        if not distance:
            return False

        way = sense * x, sense * y
        speed = self.speed * self.exit_share if has_begun else self.speed
        angle = max(self.angle, self.exit_angle) if has_begun else self.angle
        is_fast = speed_towards(actor.velocity, way) >= speed
        moves = is_fast and is_within(actor.velocity, way, angle)
        if moves:
            self._moving.add(pair)
        return moves

    def reset_animal(self, index: int) -> None:
        """Discard the positions of an animal and its movements."""
        super().reset_animal(index)
        self._moved_before = {pair for pair in self._moved_before if index not in pair}

    def reset(self) -> None:
        """Discard the positions and movements of all animals."""
        super().reset()
        self._moving.clear()


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
