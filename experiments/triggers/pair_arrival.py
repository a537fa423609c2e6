"""A trigger on the order in which animals arrive in a region."""

from dataclasses import field
from itertools import permutations
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    AnimalName,
    Answer,
    PairAnimal,
    PairTrigger,
    Pose,
    RegionSetting,
)


@settings(kw_only=True)
class FirstToArrive(PairTrigger):
    """Holds from the actor's arrival in a region, while the target is elsewhere, to its exit.

    An animal has arrived once all BODYPARTS are inside after some were outside. Of two that
    arrive on the same frame none is the first. Unknown for an animal that was lost or ambiguous
    until it is seen outside.
    """

    partly_seen: ClassVar[bool] = True
    has_target_bodyparts: ClassVar[bool] = False

    target: AnimalName = Field(
        "all",
        description="animal that is not there yet: its name or number; all: none of the "
        "others is, any: one of them is not",
    )
    region: RegionSetting = Field(
        description="circle X Y R, ellipse X Y RX RY, ring X Y R1 R2, rectangle X Y W H "
        "or polygon X1 Y1 X2 Y2 X3 Y3 …, in UNIT"
    )
    _inside: dict[int, Answer] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _first: dict[tuple[int, int], Answer] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def holds(self, pose: Pose, time_s: float) -> Answer:
        """Find the arrivals of this frame, then evaluate the pairs."""
        rows = range(len(pose.points))
        inside = {row: self._is_inside(pose, row) for row in rows}
        for row in rows:
            if pose.may_be_another(row):
                self._discard(row)

        for actor, target in permutations(rows, 2):
            if inside[actor] is False:
                self._first[actor, target] = False
            elif inside[actor] is None:
                self._first[actor, target] = None
            elif self._inside.get(actor) is False:
                other = inside[target]
                self._first[actor, target] = None if other is None else not other
        self._inside = {
            row: None if pose.is_ambiguous(row) else inside[row] for row in rows
        }
        return super().holds(pose, time_s)

    def pair_holds(
        self, actor: PairAnimal, target: PairAnimal, time_s: float
    ) -> Answer:
        """Return whether the actor arrived first."""
        return self._first.get((actor.index, target.index))

    def reset(self) -> None:
        """Discard all arrivals."""
        super().reset()
        self._inside.clear()
        self._first.clear()

    def _is_inside(self, pose: Pose, row: int) -> Answer:
        places = pose.places(self.bodyparts, row)
        if any(x != x for x, _ in places):
            return None
        return all(self.region.has(x, y) for x, y in places)

    def _discard(self, index: int) -> None:
        """Discard whether an animal is inside, and whether it or another one was first."""
        self._inside.pop(index, None)
        for pair in self._first:
            if index in pair:
                self._first[pair] = None
