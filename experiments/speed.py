"""A trigger that asks how fast the animal is."""

from collections import deque
from dataclasses import field
from math import dist
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from core.pose import Pose
from experiments.trigger import Trigger


@settings(kw_only=True)
class Speed(Trigger):
    """Holds while the middle of the body parts moves faster (or slower) than SPEED.

    Speed is the distance from where it was WINDOW_S ago, divided by the time since then:
    skipped frames change nothing. Unknown until the animal was seen for WINDOW_S.
    """

    speed: float = Field(gt=0, description="pixels per second")
    when: Literal["above", "below"] = Field(
        "above", description="holds above SPEED, or below it"
    )
    window_s: float = Field(
        0.2, gt=0, description="seconds over which the speed is taken"
    )
    _past: deque[tuple[float, float, float]] = field(
        default_factory=deque, init=False, repr=False, compare=False
    )

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether it moves so."""
        x, y = pose.select(self.bodyparts).mean(axis=0, dtype=float).tolist()
        past = self._past
        past.append((time_s, x, y))
        while len(past) > 1 and time_s - past[1][0] >= self.window_s:
            past.popleft()
        then_s, then_x, then_y = past[0]
        if time_s - then_s < self.window_s:
            return None
        speed = dist((x, y), (then_x, then_y)) / (time_s - then_s)
        return speed > self.speed if self.when == "above" else speed < self.speed

    def forget(self) -> None:
        """Forget where it was."""
        self._past.clear()
