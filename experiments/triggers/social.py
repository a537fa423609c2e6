"""Triggers on several animals."""

from collections.abc import Mapping
from math import dist
from typing import ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import AnimalName, BodyPartTrigger, Pose, RegionSetting

from .hysteresis import Hysteresis


@settings(kw_only=True)
class Distance(Hysteresis, BodyPartTrigger):
    """Holds while two body parts are nearer (or farther) than DISTANCE.

    ANIMALS = 1, 2 and BODYPARTS = snout, tailbase: the first animal's snout and the second
    one's tail base. ANIMALS = 1, 1: two parts of one animal. Unknown while the network
    finds fewer animals, and while the identity of one is ambiguous, except between two
    animals that may be swapped if both body parts are the same.
    """

    former_keys: ClassVar[Mapping[str, frozenset[str]]] = {"ANIMAL": frozenset({""})}

    bodyparts: tuple[str, str] = Field(
        description="a body part of each animal; may be the same"
    )
    animals: tuple[AnimalName, AnimalName] = Field(
        ("1", "2"), description="animals of the body parts: names, or numbers from 1"
    )
    in_doubt: Literal["unknown", "asked"] = Field(
        "unknown",
        description="answer while the identity of the animals is ambiguous: unknown, or "
        "asked: evaluate the animals that are taken for ANIMALS",
    )
    distance: float = Field(gt=0, description="limit, in UNIT")
    when: Literal["nearer", "farther"] = Field(
        "nearer",
        description="nearer: holds at DISTANCE or nearer; farther: at DISTANCE or farther",
    )

    @property
    def named_animals(self) -> Mapping[str, tuple[str, ...]]:
        """The animals of ANIMALS."""
        return {"ANIMALS": self.animals}

    def select_pose(self, pose: Pose) -> Pose | None:
        """Return the pose if the identities are known or make no difference."""
        one, other = (pose.animal(word) for word in self.animals)
        if one is None or other is None:
            return None
        if self.in_doubt == "unknown" and (
            pose.is_ambiguous(one) or pose.is_ambiguous(other)
        ):
            same = pose.identity[one] == pose.identity[other] != "stray"
            if not same or self.bodyparts[0] != self.bodyparts[1]:
                return None
        return pose

    def bodyparts_visible(self, pose: Pose) -> bool:
        """Return whether both body parts were seen."""
        return _known(self._places(pose))

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether the condition holds."""
        nearer = self.distance - dist(*self._places(pose))
        return self.update(nearer if self.when == "nearer" else -nearer)

    def _places(self, pose: Pose) -> list[list[float]]:
        pairs = zip(self.bodyparts, self.animals, strict=True)
        return [pose.places((part,), pose.animal(who) or 0)[0] for part, who in pairs]


@settings(kw_only=True)
class AnyAnimalInside(BodyPartTrigger):
    """Holds while all body parts of any animal are inside a region.

    Unknown while an animal is lost, unless another one is inside.
    """

    former_keys: ClassVar[Mapping[str, frozenset[str]]] = {
        "ANIMAL": frozenset({""}),
        "IN_DOUBT": frozenset({"asked"}),
    }

    region: RegionSetting = Field(
        description="circle X Y R, ellipse X Y RX RY, ring X Y R1 R2, rectangle X Y W H "
        "or polygon X1 Y1 X2 Y2 X3 Y3 …, in UNIT"
    )

    def bodyparts_visible(self, pose: Pose) -> bool:
        """Return whether the body parts of an animal were seen."""
        return len(pose.points) > 0 and pose.knows(self.bodyparts)

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether an animal is inside."""
        animals = [pose.places(self.bodyparts, n) for n in range(len(pose.points))]
        seen = [places for places in animals if _known(places)]
        if any(all(self.region.has(x, y) for x, y in places) for places in seen):
            return True
        return False if len(seen) == len(animals) else None


def _known(places: list[list[float]]) -> bool:
    return all(x == x and y == y for x, y in places)
