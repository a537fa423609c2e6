"""Triggers on speed, direction of movement and freezing."""

from dataclasses import field
from math import dist, hypot
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Displacement,
    Pose,
    PoseTrigger,
    angle_between,
    middle,
)

from .hysteresis import Hysteresis


@settings(kw_only=True)
class LocomotionTrigger(PoseTrigger):
    """Displacement of the centre of the body parts within WINDOW_S.

    Skipped frames do not change it. Unknown until the animal was seen for WINDOW_S.
    """

    window_s: float = Field(
        0.2, gt=0, description="seconds over which the displacement is measured"
    )
    _moved: Displacement = field(
        default_factory=Displacement, init=False, repr=False, compare=False
    )

    def displacement(
        self, pose: Pose, time_s: float
    ) -> tuple[float, float, float] | None:
        """Return duration, s, and displacement in x and y; None before WINDOW_S have passed."""
        x, y = middle(pose.places(self.bodyparts))
        return self._moved.add(time_s, x, y, self.window_s)

    def reset(self) -> None:
        """Discard the last position."""
        self._moved.clear()


@settings(kw_only=True)
class MovingTowards(Hysteresis, LocomotionTrigger):
    """Holds while the animal moves towards a point, within ANGLE degrees.

    False below MIN_SPEED.
    """

    point: tuple[float, float] = Field(description="X, Y in UNIT")
    angle: float = Field(
        30.0,
        gt=0,
        le=180,
        description="largest angle between movement and direction to the point, in degrees",
    )
    min_speed: float = Field(20.0, ge=0, description="UNIT per second")

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the condition holds."""
        moved = self.displacement(pose, time_s)
        if moved is None:
            return None
        seconds, *step = moved
        if hypot(*step) <= self.min_speed * seconds:
            return False
        x, y = middle(pose.places(self.bodyparts))
        apart = angle_between(step, (self.point[0] - x, self.point[1] - y))
        return self.update(self.angle - apart)


@settings(kw_only=True)
class Freezing(PoseTrigger):
    """Holds once all body parts have stayed within RADIUS for WINDOW_S.

    Unknown until the animal was seen for WINDOW_S, unless it moves.
    """

    radius: float = Field(3.0, gt=0, description="largest displacement, in UNIT")
    window_s: float = Field(1.0, gt=0, description="seconds without movement")
    _since: tuple[float, list[list[float]]] | None = field(
        default=None, init=False, repr=False, compare=False
    )
    _moved: bool = field(default=False, init=False, repr=False, compare=False)

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the animal has stayed still."""
        points = pose.places(self.bodyparts)
        if self._since is None:
            self._since = time_s, points
        elif max(map(dist, points, self._since[1])) > self.radius:
            self._since, self._moved = (time_s, points), True
        if time_s - self._since[0] >= self.window_s:
            return True
        return False if self._moved else None

    def reset(self) -> None:
        """Discard the last position."""
        self._since, self._moved = None, False


@settings(kw_only=True)
class Speed(Hysteresis, LocomotionTrigger):
    """Holds while the centre of the body parts moves faster (or slower) than SPEED.

    Speed is the displacement within WINDOW_S, divided by its duration.
    """

    speed: float = Field(gt=0, description="UNIT per second")
    when: Literal["above", "below"] = Field(
        "above", description="holds above SPEED, or below it"
    )

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the condition holds."""
        moved = self.displacement(pose, time_s)
        if moved is None:
            return None
        seconds, x, y = moved
        speed = hypot(x, y) / seconds
        over = speed - self.speed
        return self.update(over if self.when == "above" else -over)
