"""Triggers that look at more animals than the first."""

from math import dist
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from core.pose import Pose
from experiments.margins import Margins
from experiments.trigger import RegionSetting, Trigger

Animal = Annotated[int, Field(gt=0)]


@settings(kw_only=True)
class Distance(Margins, Trigger):
    """Holds while two body parts are nearer (or farther) than DISTANCE.

    ANIMALS = 1, 2 is social: BODYPARTS = snout, tailbase is the first animal's snout at the
    second one's tail base. ANIMALS = 1, 1 are two parts of one. Unknown while the network
    sees fewer animals.
    """

    bodyparts: tuple[str, str] = Field(
        description="a body part of the one and of the other; may be the same"
    )
    animals: tuple[Animal, Animal] = Field(
        (1, 2), description="whose body parts, counted from 1 as the network does"
    )
    distance: float = Field(gt=0, description="in UNIT")
    when: Literal["nearer", "farther"] = Field(
        "nearer", description="holds at DISTANCE and nearer, or farther"
    )

    def sees(self, pose: Pose) -> bool:
        """Return whether both body parts were seen."""
        if max(self.animals) > len(pose.points):
            return False
        return _known(self._places(pose))

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether they are so near."""
        nearer = self.distance - dist(*self._places(pose))
        return self.past(nearer if self.when == "nearer" else -nearer)

    def _places(self, pose: Pose) -> list[list[float]]:
        pairs = zip(self.bodyparts, self.animals, strict=True)
        return [pose.places((part,), animal - 1)[0] for part, animal in pairs]


@settings(kw_only=True)
class AnyAnimalInside(Trigger):
    """Holds while all body parts of one animal, whichever, are inside a region.

    Unknown while an animal is lost, unless another one is inside.
    """

    region: RegionSetting = Field(
        description="circle X Y R, ellipse X Y RX RY, ring X Y R1 R2, rectangle X Y W H "
        "or polygon X1 Y1 X2 Y2 X3 Y3 …, in UNIT"
    )

    def sees(self, pose: Pose) -> bool:
        """Return whether the body parts of an animal were seen."""
        return len(pose.points) > 0 and pose.knows(self.bodyparts)

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether one is inside."""
        animals = [pose.places(self.bodyparts, n) for n in range(len(pose.points))]
        seen = [places for places in animals if _known(places)]
        if any(all(self.region.has(x, y) for x, y in places) for places in seen):
            return True
        return False if len(seen) == len(animals) else None


def _known(places: list[list[float]]) -> bool:
    return all(x == x and y == y for x, y in places)
