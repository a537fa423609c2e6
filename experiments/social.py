"""A trigger that asks how near two animals are, or two body parts of one."""

from math import dist
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from core.pose import Pose
from experiments.trigger import Trigger

Animal = Annotated[int, Field(gt=0)]


@settings(kw_only=True)
class Distance(Trigger):
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
    distance: float = Field(gt=0, description="pixels")
    when: Literal["nearer", "farther"] = Field(
        "nearer", description="holds at DISTANCE and nearer, or farther"
    )

    def sees(self, pose: Pose) -> bool:
        """Return whether both body parts were seen."""
        if max(self.animals) > len(pose.points):
            return False
        return bool(np.isfinite(self._places(pose)).all())

    def holds(self, pose: Pose, time_s: float) -> bool | None:
        """Return whether they are so near."""
        near = dist(*self._places(pose)) <= self.distance
        return near if self.when == "nearer" else not near

    def _places(self, pose: Pose) -> list[list[float]]:
        pairs = zip(self.bodyparts, self.animals, strict=True)
        return [pose.select([part], animal - 1)[0].tolist() for part, animal in pairs]
