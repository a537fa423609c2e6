"""Trigger contract: conditions with three answers (true, false, unknown), and debouncing.

`PoseTrigger` is a condition on the pose of one animal, `BodyPartTrigger` one on body parts
of several. `ContextTrigger` needs no pose: it gets behaviours, inputs, and the answers of
other triggers (`TriggerCombination`). `Debounce` has the settings that all share.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import TriggerName
from deeplabstream.core.pose import Pose
from deeplabstream.core.regions import Region, parse_region
from deeplabstream.plugins.random_seed import SEED_WORDS, Seed

MINUTE_S = 60.0


class DebounceGate:
    """Follows the raw answers of one trigger and gives the clean ones."""

    def __init__(self, rules: "Debounce") -> None:
        self._rules = rules
        waits = (rules.hold_ms, rules.min_dwell_s, rules.exit_delay_s)
        limits = (rules.refractory_s, rules.max_rate_per_min, rules.max_total_s)
        self._idle = rules.probability == 1 and not any((*waits, *limits))
        self.sham = False
        self.holding = False
        self._random = Random(rules.seed)
        self._known: tuple[float, bool] | None = None
        self._course: tuple[float, bool] | None = None
        self._steady = False
        self._open = False
        self._before_s = 0.0
        self._ended_s = -inf
        self._onsets: deque[float] = deque()
        self._total_s = 0.0

    def answer(self, raw: bool | None, time_s: float) -> bool | None:
        """Return the answer to give; times never go back."""
        if self._idle:
            return raw
        if self._open and not self.sham:
            self._total_s += time_s - self._before_s
        self._before_s = time_s
        held = self._held(raw, time_s)
        self.holding = raw is None and held is not None
        if held is None:
            self._course, self._steady = None, False
        else:
            self._settle(held, time_s)
        spent = 0 < self._rules.max_total_s <= self._total_s
        if self._open and (spent or not self._steady):
            self._open, self.sham, self._ended_s = False, False, time_s
        elif (
            raw
            and self._steady
            and not self._open
            and not spent
            and (self._may_begin(time_s))
        ):
            self._open = True
            self._onsets.append(time_s)
            self.sham = self._random.random() >= self._rules.probability
        return None if held is None else self._open and not self.sham

    def _held(self, raw: bool | None, time_s: float) -> bool | None:
        if raw is not None:
            self._known = time_s, raw
        elif self._known and time_s - self._known[0] > self._rules.hold_ms / 1e3:
            self._known = None
        return self._known[1] if self._known else None

    def _settle(self, held: bool, time_s: float) -> None:
        """Follow `held` once it has lasted for the dwell, or the delay."""
        if self._course is None or self._course[1] is not held:
            self._course = time_s, held
        needed_s = self._rules.min_dwell_s if held else self._rules.exit_delay_s
        if time_s - self._course[0] >= needed_s:
            self._steady = held

    def _may_begin(self, time_s: float) -> bool:
        while self._onsets and time_s - self._onsets[0] >= MINUTE_S:
            self._onsets.popleft()
        most = self._rules.max_rate_per_min
        rested = time_s - self._ended_s >= self._rules.refractory_s
        return rested and not 0 < most <= len(self._onsets)


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class Debounce:
    """Settings of every trigger, applied to its raw answers.

    Once unknown for longer than HOLD_MS it is unknown, and dwell and delay begin afresh. An
    onset is a first yes, on a frame that shows it; one that comes too early or too often is
    a no until it may begin.
    What is sham is decided once per onset; a sham counts for rest and rate as a real one.
    """

    hold_ms: float = Field(
        0.0,
        ge=0,
        description="milliseconds for which the last answer stands while the animal is "
        "lost; unknown after that",
    )
    min_dwell_s: float = Field(
        0.0, ge=0, description="seconds for which it must hold before it is a yes"
    )
    exit_delay_s: float = Field(
        0.0, ge=0, description="seconds for which it must fail before it is a no"
    )
    refractory_s: float = Field(
        0.0, ge=0, description="seconds after a yes in which no other begins"
    )
    max_rate_per_min: int = Field(
        0, ge=0, description="yeses that may begin in any 60 seconds; 0: no limit"
    )
    max_total_s: float = Field(
        0.0,
        ge=0,
        description="seconds of yes, in all, after which it is no; 0: no limit",
    )
    probability: float = Field(
        1.0,
        ge=0,
        le=1,
        description="share of yeses that are real; the others are sham: a no, and a note "
        "in events",
    )
    seed: Seed = Field(0, description=f"another number, others are sham; {SEED_WORDS}")
    _gate: DebounceGate | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def debounced(self, raw: bool | None, time_s: float) -> bool | None:
        """Return the debounced answer for a raw one."""
        if self._gate is None:
            self._gate = DebounceGate(self)
        return self._gate.answer(raw, time_s)

    def forget(self) -> None:
        """Forget what was seen: the animal was lost, the next pose starts afresh."""

    @property
    def holding(self) -> bool:
        """Whether the answer is the last known one: HOLD_MS."""
        return self._gate is not None and self._gate.holding

    @property
    def sham(self) -> bool:
        """Whether it would be a yes now, had its onset not been drawn as a sham."""
        return self._gate is not None and self._gate.sham


RegionSetting = Annotated[Region, BeforeValidator(parse_region)]
"""A `Region` that is written in one line of settings.ini."""

AnimalName = Annotated[str, BeforeValidator(str)]
"""The name of an animal, or its number, from 1 on."""

Answer: TypeAlias = bool | None
"""None: unknown."""


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class Trigger(Debounce, ABC):
    """A condition that is evaluated once per analysed frame of one camera.

    Made again for each run, so it may keep what it saw. Derive from `PoseTrigger`,
    `BodyPartTrigger`, `ContextTrigger` or `TriggerCombination`.
    """

    former_keys: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Keys that earlier versions had, and the values with which they are ignored."""

    camera: str = Field(
        "",
        description="camera whose frames it is evaluated on; empty: the deciding one",
    )

    def __init_subclass__(cls) -> None:
        """Refuse a pose trigger that was written for an earlier version."""
        super().__init_subclass__()
        fields = [vars(kind).get("__annotations__", {}) for kind in cls.__mro__]
        if "holds" in vars(cls) and not any("bodyparts" in each for each in fields):
            raise TypeError(
                f"class {cls.__name__}(Trigger) has no body parts: "
                "derive it from PoseTrigger"
            )

    @property
    def named_animals(self) -> Mapping[str, tuple[str, ...]]:
        """The animals that its settings name, by key."""
        return {}


@settings(kw_only=True)
class BodyPartTrigger(Trigger):
    """A condition on body parts; by default the pose of all animals is given to `holds`."""

    bodyparts: tuple[str, ...] = Field(
        min_length=1, description="body parts, as the network names them"
    )
    unit: Literal["px", "mm"] = Field(
        "px",
        description="unit of positions, lengths and speeds: pixels, or millimetres on the "
        "floor, for which the camera needs MM_PER_PIXEL or MARKS",
    )

    @abstractmethod
    def holds(self, pose: Pose, time_s: float) -> Answer:
        """Return the answer; called only when all of `bodyparts` were seen.

        `pose` is in UNIT; `time_s` is the frame's time. None when the pose does not
        suffice, such as for a speed on the first frame.
        """

    def selected(self, pose: Pose) -> Pose | None:
        """Return the pose that `holds` gets; None: the animal is not known."""
        return pose

    def sees(self, pose: Pose) -> bool:
        """Return whether all of `bodyparts` were seen."""
        if not len(pose.points):
            return False
        return all(x == x and y == y for x, y in pose.places(self.bodyparts))

    def ask(self, pose: Pose, time_s: float) -> Answer:
        """Return the debounced answer; None: unknown."""
        own = self.selected(pose)
        if own is not None and self.sees(own):
            answer = self.holds(own, time_s)
        else:
            self.forget()
            answer = None
        return self.debounced(None if answer is None else bool(answer), time_s)


@settings(kw_only=True)
class PoseTrigger(BodyPartTrigger):
    """A condition on the pose of one animal."""

    animal: AnimalName = Field(
        "1", description="which of several animals: its name or number"
    )
    in_doubt: Literal["unknown", "asked"] = Field(
        "unknown",
        description="answer while the identity of several animals is ambiguous: unknown, "
        "or asked: evaluate the animal that is taken for ANIMAL",
    )

    @property
    def named_animals(self) -> Mapping[str, tuple[str, ...]]:
        """The animals that its settings name, by key."""
        return {"ANIMAL": (self.animal,)} if self.animal else {}

    def selected(self, pose: Pose) -> Pose | None:
        """Return ANIMAL's pose; None: its identity is not known."""
        if len(pose.points) == 1 and self.animal == "1":
            return pose
        place = pose.animal(self.animal)
        if place is None or (self.in_doubt == "unknown" and pose.is_ambiguous(place)):
            return None
        return pose.of(place)


@dataclass(frozen=True, slots=True)
class TriggerContext:
    """What is known on one frame besides the pose; values that are too old are unknown."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    """Answers of the triggers that the trigger names."""
    behaviours: Mapping[str, float] = field(default_factory=dict)
    """Probabilities; NaN: unknown."""
    inputs: Mapping[str, float] = field(default_factory=dict)
    """Levels of the inputs; NaN: unknown."""


@settings(kw_only=True)
class ContextTrigger(Trigger):
    """A condition that needs no pose, evaluated on the frames of its camera."""

    former_keys: ClassVar[Mapping[str, frozenset[str]]] = {
        "BODYPARTS": frozenset({""}),
        "ANIMAL": frozenset({""}),
        "IN_DOUBT": frozenset({"asked"}),
        "UNIT": frozenset({"px", "mm"}),
    }

    @abstractmethod
    def evaluate(self, context: TriggerContext, time_s: float) -> Answer:
        """Return the answer; None when `context` does not suffice."""

    def ask(self, context: TriggerContext, time_s: float) -> Answer:
        """Return the debounced answer; None: unknown."""
        return self.debounced(self.evaluate(context, time_s), time_s)


@settings(kw_only=True)
class TriggerCombination(ContextTrigger):
    """A condition on other triggers, evaluated after them.

    It gets their last answers, on the frames of its own camera. Unknown is not false.
    """

    @property
    @abstractmethod
    def named(self) -> tuple[TriggerName, ...]:
        """The triggers that it combines."""

    @abstractmethod
    def combine(self, answers: Mapping[str, Answer], time_s: float) -> Answer:
        """Return the answer; `answers` has those of `named`."""

    def evaluate(self, context: TriggerContext, time_s: float) -> Answer:
        """Return the combination of the answers."""
        return self.combine(context.answers, time_s)


def in_order(triggers: Mapping[str, Trigger]) -> dict[str, Trigger]:
    """Return the triggers so that each comes after those that it combines.

    The order is kept otherwise; triggers that name each other in a circle come last.
    """
    ordered: dict[str, Trigger] = {}
    while len(ordered) < len(triggers):
        ready = {
            name: trigger
            for name, trigger in triggers.items()
            if name not in ordered
            and ordered.keys() >= set(named_by(trigger)) & triggers.keys()
        }
        if not ready:
            return {**ordered, **triggers}
        ordered |= ready
    return ordered


def named_by(trigger: Trigger) -> tuple[TriggerName, ...]:
    """Return the triggers that one combines."""
    return trigger.named if isinstance(trigger, TriggerCombination) else ()
