"""Triggers that ask where the animal is."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from core.pose import Pose
from core.region import Region
from experiments.trigger import RegionSetting, Trigger


@settings(kw_only=True)
class InsideRegion(Trigger):
    """Holds while the body parts are inside the region; its border belongs to it."""

    region: RegionSetting = Field(
        description="circle X Y R, ellipse X Y RX RY, rectangle X Y W H "
        "or polygon X1 Y1 X2 Y2 X3 Y3 …, in pixels from the left upper corner"
    )
    inside: Literal["all", "any"] = Field(
        "all", description="whether all of the body parts must be inside, or any"
    )

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the body parts are inside."""
        return _inside(pose, self.bodyparts, self.region, self.inside)


@settings(kw_only=True)
class OutsideRegion(Trigger):
    """Holds while `InsideRegion` with the same values does not, and the animal is seen."""

    region: RegionSetting = Field(description="as for InsideRegion")
    inside: Literal["all", "any"] = Field(
        "any", description="any: one body part inside ends it; all: the last one does"
    )

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the body parts are not inside."""
        return not _inside(pose, self.bodyparts, self.region, self.inside)


def _inside(
    pose: Pose, bodyparts: tuple[str, ...], region: Region, how: Literal["all", "any"]
) -> bool:
    inside = region.contains(pose.select(bodyparts))
    return bool(inside.all() if how == "all" else inside.any())
