"""Triggers on the direction of the head."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Pose,
    PoseTrigger,
    RegionSetting,
    angle_between,
    middle,
    turn,
)

from .hysteresis import Hysteresis

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
class HeadDirectionTrigger(Hysteresis, PoseTrigger):
    """Head direction: from the centre of all body parts except the last, to the last."""

    bodyparts: tuple[str, ...] = Field(
        min_length=2,
        description="back of the head (neck, or both ears), then its tip (nose)",
    )
    angle: float = Field(
        30.0,
        gt=0,
        le=180,
        description="largest angle between head and target direction, in degrees",
    )

    def faces(self, pose: Pose, target: tuple[float, float]) -> bool | None:
        """Return whether the head points to `target` (x, y).

        None when tip and back, or tip and target, are the same point: no direction.
        """
        *back, tip = pose.places(self.bodyparts)
        x, y = middle(back)
        way = target[0] - x, target[1] - y
        apart = angle_between((tip[0] - x, tip[1] - y), way)
        return None if apart != apart else self.update(self.angle - apart)


@settings(kw_only=True)
class HeadDirection(HeadDirectionTrigger):
    """Holds while the head points to a point of the frame, within ANGLE degrees."""

    point: tuple[float, float] = Field(description="X, Y in UNIT")

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the head points to the point."""
        return self.faces(pose, self.point)


@settings(kw_only=True)
class ScreenDirection(HeadDirectionTrigger):
    """Holds while the head points to the middle of an edge of the frame (a screen)."""

    edge: Edge = Field(
        description="left, right, top, bottom (or west, east, north, south)"
    )
    picture: tuple[Length, Length] = Field(
        description="width, height of the frame in UNIT"
    )

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the head points to the edge."""
        across, down = _MIDDLES[self.edge]
        width, height = self.picture
        return self.faces(pose, (across * width, down * height))


@settings(kw_only=True)
class EgoHeadDirection(Hysteresis, PoseTrigger):
    """Holds while the head is turned from the body's axis, to the animal's own SIDE.

    Left and right are the animal's, as a camera above it sees them (not mirrored).
    """

    bodyparts: tuple[str, str, str] = Field(
        description="back of the body (tail base), neck, tip of the head (nose)"
    )
    side: Literal["left", "right", "both"] = Field(
        "both", description="to which side the head is turned"
    )
    angle: float = Field(30.0, gt=0, lt=180, description="minimum angle, in degrees")

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the head is turned; None when body or head has no length."""
        tail, neck, nose = pose.places(self.bodyparts)
        body = neck[0] - tail[0], neck[1] - tail[1]
        turned = turn(body, (nose[0] - neck[0], nose[1] - neck[1]))
        if turned != turned:
            return None
        sides = {"left": -turned, "right": turned, "both": abs(turned)}
        return self.update(sides[self.side] - self.angle)


@settings(kw_only=True)
class HeadDirectionRegion(HeadDirection):
    """Holds while the head points to a point, and the head is inside (outside) a region."""

    region: RegionSetting = Field(
        description="circle X Y R, ellipse X Y RX RY, ring X Y R1 R2, rectangle X Y W H "
        "or polygon X1 Y1 X2 Y2 X3 Y3 …, in UNIT"
    )
    head: Literal["inside", "outside"] = Field(
        "outside", description="required position of all BODYPARTS"
    )

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether both conditions hold; False if one is known to fail."""
        inside = [self.region.has(x, y) for x, y in pose.places(self.bodyparts)]
        in_place = all(inside) if self.head == "inside" else not any(inside)
        return self.faces(pose, self.point) if in_place else False
