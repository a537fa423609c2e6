"""Trigger contract for pairs: conditions on an actor and a target, each named, any or all.

A subclass of `PairTrigger` evaluates one pair of poses: `pair_holds`. Its base class
`DirectedPairs` determines which poses may be those of ACTOR and TARGET, and combines the answers;
it also serves conditions on pairs that need no body parts.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.displacement import Displacement
from deeplabstream.core.geometry import middle
from deeplabstream.core.motion_slope import MotionSlope
from deeplabstream.core.pose import Pose
from deeplabstream.plugins.trigger import (
    AnimalName,
    Answer,
    BodyPartTrigger,
    Trigger,
    pair_name,
)

ANY, ALL = "any", "all"


@dataclass(frozen=True, slots=True)
class PairAnimal:
    """One animal of a pair on one frame, in UNIT."""

    index: int
    """Its place in the pose."""
    places: Sequence[Sequence[float]]
    """[x, y] of each of BODYPARTS, of a target TARGET_BODYPARTS; NaN: not seen."""
    centre: tuple[float, float]
    """Their mean; NaN while one is not seen."""
    velocity: tuple[float, float] | None = None
    """Of the centre, UNIT per second; None: unknown, or not a `MovingPairTrigger`."""

    @property
    def back(self) -> tuple[float, float]:
        """Centre of all body parts but the last: the back of the head."""
        return middle(self.places[:-1])

    @property
    def axis(self) -> tuple[float, float]:
        """Vector from `back` to the last body part: direction of the head or the body."""
        (x, y), (tip_x, tip_y) = self.back, self.places[-1]
        return tip_x - x, tip_y - y

    def way_to(self, other: "PairAnimal") -> tuple[float, float]:
        """Return the vector from the centre to that of another animal."""
        return other.centre[0] - self.centre[0], other.centre[1] - self.centre[1]


@settings(kw_only=True)
class DirectedPairs(Trigger):
    """Settings of a condition on what an actor does to a target, and the answer for them.

    True as soon as one pair is certain to fulfil it, unknown while an animal that is lost or
    ambiguous could change the answer.
    """

    actor: AnimalName = Field(
        ANY,
        description="animal that acts: its name or number; any: one or more, all: each",
    )
    target: AnimalName = Field(
        ANY,
        description="animal at which the behaviour is directed: its name or number; any: "
        "one or more of the others, all: each of them",
    )
    _pairs: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.actor == self.target and self.actor not in (ANY, ALL):
            raise ValueError(
                f"TARGET = {self.target}: is the ACTOR; enter another animal, any or all"
            )

    @property
    def named_animals(self) -> Mapping[str, tuple[str, ...]]:
        """The animals that its settings name."""
        named = {"ACTOR": self.actor, "TARGET": self.target}
        return {key: (word,) for key, word in named.items() if word not in (ANY, ALL)}

    @property
    def fulfilled_by(self) -> tuple[str, ...]:
        """The pairs that fulfil it on the last frame, as `anna>bob`: actor, target.

        An ambiguous animal is `?`.
        """
        return self._pairs

    def reset(self) -> None:
        """Discard the pairs of the last frame."""
        self._pairs = ()
        super().reset()

    def combine_pairs(
        self, pose: Pose, evaluate: Callable[[int, int], Answer]
    ) -> Answer:
        """Return the answer for ACTOR and TARGET.

        `evaluate` gets the indices of an actor and a target in `pose`, for each pair that
        counts.
        """
        rows = range(len(pose.points))
        possible_actors = _possible(pose, self.actor)
        possible_targets = _possible(pose, self.target)
        named = {
            (actor, target)
            for actor in possible_actors
            for target in possible_targets
            if actor is None or actor != target
        }
        known: dict[tuple[int, int], Answer] = {}
        for actor, target in permutations(rows, 2):
            if any(a in (None, actor) and t in (None, target) for a, t in named):
                known[actor, target] = evaluate(actor, target)

        # an ambiguous animal has several possible poses: the answer is known if it is the
        # same for all of them
        answers = {self._answer_if(known, rows, *each) for each in named}
        answer = answers.pop() if len(answers) == 1 else None
        self._pairs = ()
        if answer:
            fulfilled = [pair for pair, holds in known.items() if holds]
            self._pairs = tuple(dict.fromkeys(_names(pose, fulfilled)))
        return answer

    def _answer_if(
        self,
        known: Mapping[tuple[int, int], Answer],
        rows: Sequence[int],
        actor: int | None,
        target: int | None,
    ) -> Answer:
        """Return the answer if ACTOR and TARGET are these poses; None: any or all of them."""
        answers = []
        for one in rows if actor is None else (actor,):
            if one != target:
                others = rows if target is None else (target,)
                pairs = [known[one, other] for other in others if other != one]
                answers.append(_combined(pairs, self.target))
        return _combined(answers, self.actor)


@settings(kw_only=True)
class PairTrigger(DirectedPairs, BodyPartTrigger):
    """A condition on the body parts of two animals."""

    partly_seen: ClassVar[bool] = False
    """Whether `pair_holds` is also called while body parts are not seen (NaN)."""
    has_target_bodyparts: ClassVar[bool] = True
    """Whether the body parts of the target may differ from those of the actor."""

    target_bodyparts: tuple[str, ...] = Field(
        (),
        description="body parts of the target; empty: BODYPARTS",
        title="Body parts of the target",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target_bodyparts and not self.has_target_bodyparts:
            raise ValueError(
                f"TARGET_BODYPARTS: {type(self).__name__} uses BODYPARTS for both animals; "
                "remove the key"
            )

    @abstractmethod
    def pair_holds(
        self, actor: PairAnimal, target: PairAnimal, time_s: float
    ) -> Answer:
        """Return the answer for one pair; None: unknown.

        Called on each frame for each pair that counts and whose body parts were seen. What is
        kept from frame to frame belongs to the animals' `index`: see `reset_animal`.
        """

    def reset_animal(self, index: int) -> None:
        """Discard what was kept of an animal: it was lost, or may be another one now."""

    @property
    def named_bodyparts(self) -> Mapping[str, tuple[str, ...]]:
        """The body parts that its settings name."""
        return {"BODYPARTS": self.bodyparts, "TARGET_BODYPARTS": self.target_bodyparts}

    def bodyparts_visible(self, pose: Pose) -> bool:
        """Return whether there are two animals; each of them may be lost."""
        return len(pose.points) > 1

    def holds(self, pose: Pose, time_s: float) -> Answer:
        """Return the answer for ACTOR and TARGET."""
        rows = range(len(pose.points))
        actors = [self.animal(pose, row, self.bodyparts, time_s) for row in rows]
        targets = actors
        if self.target_bodyparts and self.target_bodyparts != self.bodyparts:
            parts = self.target_bodyparts
            targets = [self.animal(pose, row, parts, time_s) for row in rows]

        def evaluate(actor: int, target: int) -> Answer:
            return self._pair(pose, actors[actor], targets[target], time_s)

        return self.combine_pairs(pose, evaluate)

    def animal(
        self, pose: Pose, row: int, bodyparts: tuple[str, ...], time_s: float
    ) -> PairAnimal:
        """Return an animal of this frame, as `pair_holds` gets it."""
        places = pose.places(bodyparts, row)
        centre = middle(places)
        if centre[0] != centre[0] or pose.may_be_another(row):
            self.reset_animal(row)
        return PairAnimal(row, places, centre)

    def _pair(
        self, pose: Pose, actor: PairAnimal, target: PairAnimal, time_s: float
    ) -> Answer:
        for animal in (actor, target):
            # a stray may be a false detection
            if pose.identity and pose.identity[animal.index].startswith("stray"):
                return None
            if not self.partly_seen and animal.centre[0] != animal.centre[0]:
                return None
        answer = self.pair_holds(actor, target, time_s)
        return None if answer is None else bool(answer)


@settings(kw_only=True)
class MovingPairTrigger(PairTrigger):
    """A condition on the movement of two animals: `pair_holds` gets their velocities.

    A velocity is that of the centre of the body parts. It is unknown until the animal was seen
    for WINDOW_S without an ambiguity.
    """

    window_s: float = Field(
        0.1, gt=0, description="seconds over which movement is measured"
    )
    velocity: Literal["displacement", "slope"] = Field(
        "displacement",
        description="measure of velocity: displacement within WINDOW_S by its duration, or "
        "slope of a line fitted to the positions within WINDOW_S, newer ones with more "
        "weight: less delay at the same noise",
    )
    _moved: dict[tuple[int, tuple[str, ...]], Displacement] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _slopes: dict[tuple[int, tuple[str, ...]], MotionSlope] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def animal(
        self, pose: Pose, row: int, bodyparts: tuple[str, ...], time_s: float
    ) -> PairAnimal:
        """Return an animal of this frame with its velocity."""
        seen = super().animal(pose, row, bodyparts, time_s)
        x, y = seen.centre
        if x != x or pose.is_ambiguous(row):
            return seen
        if self.velocity == "slope":
            slope = self._slopes.setdefault((row, bodyparts), MotionSlope())
            return replace(seen, velocity=slope.add(time_s, x, y, self.window_s))
        moved = self._moved.setdefault((row, bodyparts), Displacement())
        step = moved.add(time_s, x, y, self.window_s)
        if step is None:
            return seen
        seconds, step_x, step_y = step
        return replace(seen, velocity=(step_x / seconds, step_y / seconds))

    def reset_animal(self, index: int) -> None:
        """Discard the positions of an animal."""
        for past in (self._moved, self._slopes):
            for (row, _), positions in past.items():
                if row == index:
                    positions.clear()

    def reset(self) -> None:
        """Discard the positions of all animals."""
        super().reset()
        self._moved.clear()
        self._slopes.clear()


def _combined(answers: Sequence[Answer], word: str) -> Answer:
    """Return the three-valued `and` of the answers for the word `all`, else their `or`."""
    decisive = word != ALL
    if decisive in answers:
        return decisive
    return None if None in answers else not decisive


def _possible(pose: Pose, word: str) -> Sequence[int | None]:
    """Return the poses that may be those of an animal; [None]: the word is any or all."""
    if word in (ANY, ALL):
        return [None]
    row = pose.animal(word)
    if row is None:
        return []
    group = _group(pose.identity[row]) if pose.identity else ""
    if not group:
        return [row]
    return [n for n, state in enumerate(pose.identity) if _group(state) == group]


def _group(state: str) -> str:
    """Return the label that animals that may be swapped have in common; empty: none."""
    return next((part for part in state.split("+") if part.startswith("doubt")), "")


def _names(pose: Pose, pairs: Iterable[tuple[int, int]]) -> Iterator[str]:
    names = [
        "?" if pose.is_ambiguous(row) else name
        for row, name in enumerate(pose.skeleton.named(len(pose.points)))
    ]
    for actor, target in pairs:
        yield pair_name(names[actor], names[target])
