"""What a trigger is: a question about a pose with three answers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.pose import Pose
from deeplabstream.core.regions import Region, parse_region
from deeplabstream.plugins.debounce import Debounce

RegionSetting = Annotated[Region, BeforeValidator(parse_region)]
"""A `Region` that is written in one line of settings.ini."""


AnimalName = Annotated[str, BeforeValidator(str)]
"""The name of an animal, or its number, from 1 on."""


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class Trigger(Debounce, ABC):
    """A question about the pose of one animal, asked once per analysed frame.

    Made anew for each run, so it may remember what it saw.
    """

    bodyparts: tuple[str, ...] = Field(
        min_length=1,
        description="body parts that it looks at, as the network names them",
    )
    camera: str = Field(
        "", description="whose poses it sees; empty: the one that decides"
    )

    animal: AnimalName = Field(
        "1", description="of several animals the one it looks at: its name or number"
    )
    in_doubt: Literal["unknown", "asked"] = Field(
        "unknown",
        description="what it is while it is in doubt who of several animals is who: "
        "unknown, or asked all the same of the one that is taken for ANIMAL",
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

    @property
    def named_animals(self) -> Mapping[str, tuple[str, ...]]:
        """The animals that it names, by key."""
        return {"ANIMAL": (self.animal,)} if self.animal else {}

    def whose(self, pose: Pose) -> Pose | None:
        """Return the pose that is looked at, ANIMAL's; None: nobody knows which that is."""
        if len(pose.points) == 1 and self.animal == "1":
            return pose
        place = pose.animal(self.animal)
        if place is None or (self.in_doubt == "unknown" and pose.is_ambiguous(place)):
            return None
        return pose.of(place)

    def sees(self, pose: Pose) -> bool:
        """Return whether all that `holds` looks at was seen: `bodyparts`."""
        if not len(pose.points):
            return False
        return all(x == x and y == y for x, y in pose.places(self.bodyparts))

    def ask(self, pose: Pose, time_s: float) -> bool | None:
        """Return the answer, None when the pose does not tell: unknown is not no."""
        own = self.whose(pose)
        if own is not None and self.sees(own):
            answer = self.holds(own, time_s)
        else:
            self.forget()
            answer = None
        return self.clean(None if answer is None else bool(answer), time_s)
