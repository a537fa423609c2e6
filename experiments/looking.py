"""Triggers that ask where the head points."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from core.geometry import angle_between, middle
from core.pose import Pose
from experiments.margins import Margins
from experiments.trigger import Trigger

Length = Annotated[float, Field(gt=0)]
Edge: TypeAlias = Literal[
    "left", "right", "top", "bottom", "west", "east", "north", "south"
]
_MIDDLES: dict[str, tuple[float, float]] = {
    "left": (0, 0.5),
    "west": (0, 0.5),
    "right": (1, 0.5),
    "east": (1, 0.5),
    "top": (0.5, 0),
    "north": (0.5, 0),
    "bottom": (0.5, 1),
    "south": (0.5, 1),
}


@settings(kw_only=True)
class Looking(Margins, Trigger):
    """The head's direction: from the middle of all body parts but the last, to the last."""

    bodyparts: tuple[str, ...] = Field(
        min_length=2,
        description="the back of the head (neck, or both ears), then its tip (nose)",
    )
    angle: float = Field(
        30.0,
        gt=0,
        le=180,
        description="degrees that the head may point past the target, to either side",
    )

    def faces(self, pose: Pose, target: tuple[float, float]) -> bool | None:
        """Return whether the head points to `target` (x, y).

        None when tip and back, or tip and target, are the same point: no direction.
        """
        *back, tip = pose.places(self.bodyparts)
        x, y = middle(back)
        way = target[0] - x, target[1] - y
        apart = angle_between((tip[0] - x, tip[1] - y), way)
        return None if apart != apart else self.past(self.angle - apart)


@settings(kw_only=True)
class HeadDirection(Looking):
    """Holds while the head points to a point of the picture, within ANGLE degrees."""

    point: tuple[float, float] = Field(description="X, Y in UNIT")

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the head points to the point."""
        return self.faces(pose, self.point)


@settings(kw_only=True)
class ScreenDirection(Looking):
    """Holds while the head points to the middle of an edge of the picture (a screen)."""

    edge: Edge = Field(
        description="left, right, top, bottom (or west, east, north, south)"
    )
    picture: tuple[Length, Length] = Field(
        description="width, height of the picture in UNIT"
    )

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the head points to the edge."""
        across, down = _MIDDLES[self.edge]
        width, height = self.picture
        return self.faces(pose, (across * width, down * height))
