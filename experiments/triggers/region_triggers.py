"""Triggers on the position of the animal."""

from dataclasses import field
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import Pose, PoseTrigger, RegionSetting


@settings(kw_only=True)
class RegionTrigger(PoseTrigger):
    """Position of body parts relative to a region.

    The state changes at the border, or at margins on both sides of it. Between the margins
    the last state persists; before the first one was passed the body parts are outside.
    """

    region: RegionSetting = Field(
        description="circle X Y R, ellipse X Y RX RY, ring X Y R1 R2, rectangle X Y W H "
        "or polygon X1 Y1 X2 Y2 X3 Y3 …, in UNIT"
    )
    enter_margin: float = Field(
        0.0,
        ge=0,
        description="distance inside the border at which a body part has entered, in UNIT",
    )
    exit_margin: float = Field(
        0.0,
        ge=0,
        description="distance outside the border at which a body part has left, in UNIT",
    )
    _inside: bool | None = field(default=None, init=False, repr=False, compare=False)

    def reset(self) -> None:
        """Discard the last position."""
        self._inside = None

    def inside_now(self, pose: Pose, how: Literal["all", "any"], first: bool) -> bool:
        """Return whether the body parts are inside; `first`: the first answer after a reset."""
        region, together = self.region, all if how == "all" else any
        places = pose.places(self.bodyparts)
        if self.enter_margin or self.exit_margin:
            was_inside = first if self._inside is None else self._inside
            margin = -self.exit_margin if was_inside else self.enter_margin
            self._inside = together(region.depth(x, y) >= margin for x, y in places)
        else:
            self._inside = together(region.has(x, y) for x, y in places)
        return self._inside


@settings(kw_only=True)
class InsideRegion(RegionTrigger):
    """Holds while the body parts are inside the region, border included."""

    inside: Literal["all", "any"] = Field(
        "all", description="all body parts must be inside, or any"
    )

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the body parts are inside."""
        return self.inside_now(pose, self.inside, first=False)


@settings(kw_only=True)
class OutsideRegion(RegionTrigger):
    """Holds while `InsideRegion` with the same values is false and the animal is seen."""

    inside: Literal["all", "any"] = Field(
        "any", description="any: false once one body part is inside; all: once all are"
    )

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the body parts are not inside."""
        return not self.inside_now(pose, self.inside, first=True)
