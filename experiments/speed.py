"""A trigger that asks how fast the animal is."""

from math import hypot
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from core.pose import Pose
from experiments.margins import Margins
from experiments.moving import Moving


@settings(kw_only=True)
class Speed(Margins, Moving):
    """Holds while the middle of the body parts moves faster (or slower) than SPEED.

    Speed is the distance from where it was WINDOW_S ago, divided by the time since then.
    """

    speed: float = Field(gt=0, description="UNIT per second")
    when: Literal["above", "below"] = Field(
        "above", description="holds above SPEED, or below it"
    )

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether it moves so."""
        way = self.way(pose, time_s)
        if way is None:
            return None
        seconds, x, y = way
        speed = hypot(x, y) / seconds
        over = speed - self.speed
        return self.past(over if self.when == "above" else -over)
