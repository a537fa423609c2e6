"""Triggers on how two animals stand to each other: contact, facing, side by side, huddle."""

from collections import deque
from dataclasses import field
from math import dist, inf
from typing import ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    Answer,
    PairAnimal,
    PairTrigger,
    Pose,
    angle_between,
    middle,
)


@settings(kw_only=True)
class Contact(PairTrigger):
    """Holds while a body part of the actor is at DISTANCE or nearer to one of the target.

    BODYPARTS = snout, TARGET_BODYPARTS = tailbase: the actor sniffs the target from behind.
    Unknown while no two parts are near and one was not seen.
    """

    partly_seen: ClassVar[bool] = True

    distance: float = Field(gt=0, description="largest distance, in UNIT")

    def pair_holds(
        self, actor: PairAnimal, target: PairAnimal, time_s: float
    ) -> Answer:
        """Return whether two body parts touch."""
        gaps = [dist(one, other) for one in actor.places for other in target.places]
        if any(gap <= self.distance for gap in gaps):
            return True
        return None if any(gap != gap for gap in gaps) else False


@settings(kw_only=True)
class Facing(PairTrigger):
    """Holds while the actor's head points to the target.

    The head points from the centre of all BODYPARTS but the last to the last (leftear,
    rightear, snout). The target is the centre of TARGET_BODYPARTS.
    """

    bodyparts: tuple[str, ...] = Field(
        min_length=2,
        description="back of the head (one body part or several), then its tip",
        title="Body parts",
    )
    angle: float = Field(
        30.0,
        gt=0,
        le=180,
        description="largest angle between head and direction to the target, in degrees",
    )
    max_distance: float = Field(
        0.0, ge=0, description="largest distance, in UNIT; 0: any distance"
    )

    def pair_holds(
        self, actor: PairAnimal, target: PairAnimal, time_s: float
    ) -> Answer:
        """Return whether the actor faces the target."""
        x, y = actor.back
        way = target.centre[0] - x, target.centre[1] - y
        if 0 < self.max_distance < dist(actor.back, target.centre):
            return False
        return angle_between(actor.axis, way) <= self.angle


@settings(kw_only=True)
class SideBySide(PairTrigger):
    """Holds while two animals stand parallel, each at the other's side.

    Their axes point from the centre of all BODYPARTS but the last to the last (tailbase,
    neck). The line between their centres crosses the actor's axis at 90 degrees, less or more
    by ANGLE at most.
    """

    has_target_bodyparts: ClassVar[bool] = False

    bodyparts: tuple[str, ...] = Field(
        min_length=2,
        description="rear end of the body (one body part or several), then its front end",
        title="Body parts",
    )
    distance: float = Field(
        gt=0, description="largest distance of the centres, in UNIT"
    )
    angle: float = Field(
        30.0, gt=0, le=90, description="largest deviation of the directions, in degrees"
    )
    heads: Literal["same", "opposite", "either"] = Field(
        "either", description="directions of the axes: same, opposite, or either"
    )

    def pair_holds(
        self, actor: PairAnimal, target: PairAnimal, time_s: float
    ) -> Answer:
        """Return whether they stand side by side."""
        if dist(actor.centre, target.centre) > self.distance:
            return False
        apart = angle_between(actor.axis, target.axis)
        deviations = {
            "same": apart,
            "opposite": 180 - apart,
            "either": min(apart, 180 - apart),
        }
        way = actor.way_to(target)
        beside = [
            abs(angle_between(animal.axis, way) - 90) <= self.angle
            for animal in (actor, target)
        ]
        return deviations[self.heads] <= self.angle and all(beside)


@settings(kw_only=True)
class Huddle(PairTrigger):
    """Holds while two animals rest close together: at DISTANCE or nearer, and both still.

    An animal is still while it has moved by RADIUS at most within WINDOW_S. ACTOR = all and
    TARGET = any: no animal is alone. An ambiguous animal is still if any animal was within
    RADIUS of its position.
    """

    has_target_bodyparts: ClassVar[bool] = False

    distance: float = Field(
        gt=0, description="largest distance of the centres, in UNIT"
    )
    radius: float = Field(gt=0, description="largest displacement, in UNIT")
    window_s: float = Field(1.0, gt=0, description="seconds without movement")
    _past: deque[tuple[float, list[tuple[float, float]]]] = field(
        default_factory=deque, init=False, repr=False, compare=False
    )
    _ambiguous_s: dict[int, float] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def holds(self, pose: Pose, time_s: float) -> Answer:
        """Keep the positions of this frame, then evaluate the pairs."""
        centres = [
            middle(pose.places(self.bodyparts, row)) for row in range(len(pose.points))
        ]
        self._past.append((time_s, centres))
        while len(self._past) > 1 and time_s - self._past[1][0] >= self.window_s:
            self._past.popleft()
        for row in range(len(pose.points)):
            if pose.may_be_another(row):
                self._ambiguous_s[row] = time_s
        return super().holds(pose, time_s)

    def pair_holds(
        self, actor: PairAnimal, target: PairAnimal, time_s: float
    ) -> Answer:
        """Return whether both rest close together."""
        if dist(actor.centre, target.centre) > self.distance:
            return False
        answers = self._is_still(actor, time_s), self._is_still(target, time_s)
        return False if False in answers else None if None in answers else True

    def reset(self) -> None:
        """Discard the positions of all animals."""
        super().reset()
        self._past.clear()
        self._ambiguous_s.clear()

    def _is_still(self, animal: PairAnimal, time_s: float) -> Answer:
        then_s, centres = self._past[0]
        if time_s - then_s < self.window_s:
            return None
        is_known = self._ambiguous_s.get(animal.index, -inf) < then_s
        before = [centres[animal.index]] if is_known else centres
        moved = [dist(animal.centre, centre) for centre in before]
        if any(step <= self.radius for step in moved):
            return True
        return None if any(step != step for step in moved) else False
