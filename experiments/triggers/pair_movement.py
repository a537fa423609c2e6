"""Triggers on what one animal does to another by moving: approach, withdrawal, following."""

from dataclasses import field
from typing import Literal, TypeAlias

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

_Vector: TypeAlias = tuple[float, float]
_Phase: TypeAlias = Literal["moving", "passing"]
"""Whether a movement within the angle lasts, or one outside it."""


@settings(kw_only=True)
class RadialMovement(MovingPairTrigger):
    """Movement of the actor along the line to the target.

    It begins at SPEED within ANGLE, and lasts while the speed is EXIT_SHARE of SPEED or more
    and the angle is EXIT_ANGLE or less. One that reaches SPEED outside ANGLE, or ends by its
    angle, is of an animal that passes by: until it slows down, it begins within PASSING_ANGLE.
    PREDICT_S makes up for the delay of a longer WINDOW_S, which has less noise.
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
    predict_s: float = Field(
        0.0,
        ge=0,
        description="seconds by which the speed at the beginning of a movement is extrapolated "
        "with its change since the frame before; 0: none",
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
    passing_angle: float = Field(
        90.0,
        gt=0,
        le=90,
        description="hysteresis: largest angle at the beginning of a movement that reached SPEED "
        "outside ANGLE and has not slowed down to EXIT_SHARE of it, in degrees; ANGLE or more: "
        "none",
    )
    max_distance: float = Field(
        0.0,
        ge=0,
        description="distance up to which it counts, in UNIT; 0: any distance",
    )
    min_distance: float = Field(
        0.0, ge=0, description="distance from which on it counts, in UNIT"
    )
    _phases: dict[tuple[int, int], _Phase] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Phases of actor and target on this frame, as far as they were evaluated."""
    _phases_before: dict[tuple[int, int], _Phase] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """The same of the frame before."""
    _velocities: dict[int, tuple[float, _Vector]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Time and velocity of each animal on its last frame."""
    _predicted: dict[int, _Vector] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Velocities on this frame, extrapolated by PREDICT_S."""

    def holds(self, pose: Pose, time_s: float) -> Answer:
        """Evaluate the pairs; a phase lasts only from one frame to the next."""
        self._phases_before, self._phases = self._phases, {}
        self._predicted.clear()
        return super().holds(pose, time_s)

    def animal(
        self, pose: Pose, row: int, bodyparts: tuple[str, ...], time_s: float
    ) -> PairAnimal:
        """Return an animal of this frame; extrapolate the velocity of a possible actor."""
        seen = super().animal(pose, row, bodyparts, time_s)
        if self.predict_s and bodyparts == self.bodyparts:
            before = self._velocities.pop(row, None)
            if seen.velocity is not None:
                self._velocities[row] = time_s, seen.velocity
                if before is not None:
                    self._predicted[row] = self._extrapolated(
                        *before, time_s, seen.velocity
                    )
        return seen

    def _extrapolated(
        self, before_s: float, before: _Vector, time_s: float, velocity: _Vector
    ) -> _Vector:
        """Return the velocity after PREDICT_S if it goes on changing as since `before_s`."""
        steps = self.predict_s / (time_s - before_s)
        (x, y), (before_x, before_y) = velocity, before
        return x + steps * (x - before_x), y + steps * (y - before_y)

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

        pair = actor.index, target.index
        way = sense * x, sense * y
        predicted = self._predicted.get(actor.index, actor.velocity)
        begins = speed_towards(predicted, way) >= self.speed
        before = self._phases_before.get(pair)
        phase = self._phase(before, actor.velocity, way, begins=begins)
        if phase is not None:
            self._phases[pair] = phase
        return phase == "moving"

    def _phase(
        self, before: _Phase | None, velocity: _Vector, way: _Vector, *, begins: bool
    ) -> _Phase | None:
        """Return the phase of a pair after `before`; None: neither.

        `begins`: whether a movement has the speed to begin.
        """
        speed, exit_speed = speed_towards(velocity, way), self.speed * self.exit_share
        exit_angle = max(self.angle, self.exit_angle)
        if before == "moving":
            if speed >= exit_speed and is_within(velocity, way, exit_angle):
                return "moving"
        elif begins:
            # The direction of a movement at the edge of ANGLE is on either side of it by noise,
            # so an animal that passes by would begin to approach on some later frame.
            passes = before == "passing"
            angle = min(self.angle, self.passing_angle) if passes else self.angle
            return "moving" if is_within(velocity, way, angle) else "passing"

        # A movement that ends by its angle while the animal is fast passes by from then on.
        x, y = velocity
        fast = (x * x + y * y) ** 0.5 >= exit_speed
        return "passing" if before is not None and fast else None

    def reset_animal(self, index: int) -> None:
        """Discard the positions of an animal and its movements."""
        super().reset_animal(index)
        self._velocities.pop(index, None)
        self._phases_before = {
            pair: phase
            for pair, phase in self._phases_before.items()
            if index not in pair
        }

    def reset(self) -> None:
        """Discard the positions and movements of all animals."""
        super().reset()
        self._phases.clear()
        self._velocities.clear()


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
