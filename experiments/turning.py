"""Triggers that ask for the head's direction and something more."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from core.geometry import turn
from core.pose import Pose
from experiments.looking import HeadDirection
from experiments.margins import Margins
from experiments.trigger import RegionSetting, Trigger


@settings(kw_only=True)
class EgoHeadDirection(Margins, Trigger):
    """Holds while the head is turned from the body's axis, to the animal's own SIDE.

    Left and right are the animal's, as a camera above it sees them (not mirrored).
    """

    bodyparts: tuple[str, str, str] = Field(
        description="back of the body (tail base), neck, tip of the head (nose)"
    )
    side: Literal["left", "right", "both"] = Field(
        "both", description="to which side the head is turned"
    )
    angle: float = Field(
        30.0, gt=0, lt=180, description="degrees by which it is turned at least"
    )

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether it is turned so; None when body or head has no length."""
        tail, neck, nose = pose.places(self.bodyparts)
        body = neck[0] - tail[0], neck[1] - tail[1]
        turned = turn(body, (nose[0] - neck[0], nose[1] - neck[1]))
        if turned != turned:
            return None
        sides = {"left": -turned, "right": turned, "both": abs(turned)}
        return self.past(sides[self.side] - self.angle)


@settings(kw_only=True)
class HeadDirectionRegion(HeadDirection):
    """Holds while the head points to a point, and the head is inside (outside) a region."""

    region: RegionSetting = Field(
        description="circle X Y R, ellipse X Y RX RY, ring X Y R1 R2, rectangle X Y W H "
        "or polygon X1 Y1 X2 Y2 X3 Y3 …, in UNIT"
    )
    head: Literal["inside", "outside"] = Field(
        "outside", description="where all of BODYPARTS must be"
    )

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether both are so; one that is not is enough for a no."""
        inside = [self.region.has(x, y) for x, y in pose.places(self.bodyparts)]
        there = all(inside) if self.head == "inside" else not any(inside)
        return self.faces(pose, self.point) if there else False
