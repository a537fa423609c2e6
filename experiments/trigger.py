"""What a trigger is: a question about a pose with three answers."""

from abc import ABC, abstractmethod
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings

from core.pose import Pose
from core.region import Region, parse_region
from experiments.hygiene import Hygiene

RegionSetting = Annotated[Region, BeforeValidator(parse_region)]
"""A `Region` that is written in one line of settings.ini."""


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class Trigger(Hygiene, ABC):
    """A question about the pose of the first animal, asked once per analysed frame.

    Made anew for each run, so it may remember what it saw.
    """

    bodyparts: tuple[str, ...] = Field(
        min_length=1,
        description="body parts that it looks at, as the network names them",
    )
    camera: str = Field(
        "", description="whose poses it sees; empty: the one that decides"
    )

    unit: Literal["px", "mm"] = Field(
        "px",
        description="what its places, lengths and speeds are in: pixels of the picture, or "
        "millimetres on the floor, for which the camera needs MM_PER_PIXEL or MARKS",
    )

    @abstractmethod
    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return the answer; called only when all of `bodyparts` were seen.

        `pose` is in UNIT; `time_s` is when the frame was taken. None when the pose does
        not tell, such as a speed on the first frame.
        """

    def sees(self, pose: Pose) -> bool:
        """Return whether all that `holds` looks at was seen: `bodyparts`."""
        if not len(pose.points):
            return False
        return all(x == x and y == y for x, y in pose.places(self.bodyparts))

    def ask(self, pose: Pose, time_s: float) -> bool | None:
        """Return the answer, None when the pose does not tell: unknown is not no."""
        if self.sees(pose):
            answer = self.holds(pose, time_s)
        else:
            self.forget()
            answer = None
        return self.clean(None if answer is None else bool(answer), time_s)
