"""Trigger contract: conditions with three answers (true, false, unknown), and debouncing.

`PoseTrigger` is a condition on the pose of one animal, `BodyPartTrigger` one on body parts
of several. `ContextTrigger` needs no pose: it gets behaviours, inputs, and the answers of
other triggers (`TriggerCombination`). All inherit `DebounceSettings`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import TriggerName
from deeplabstream.core.light_cycle import LightMoment
from deeplabstream.core.pose import Pose
from deeplabstream.core.regions import Region, parse_region
from deeplabstream.plugins.experiment import NO_MEASURES, MeasuresSoFar
from deeplabstream.plugins.onset_counter import OnsetCounter, OnsetCounts
from deeplabstream.plugins.random_seed import SEED_DESCRIPTION, Seed

RegionSetting = Annotated[Region, BeforeValidator(parse_region)]
"""A `Region` that is written in one line of settings.ini."""

AnimalName = Annotated[str, BeforeValidator(str)]
"""The name of an animal, or its number, from 1 on."""

Answer: TypeAlias = bool | None
"""State of a trigger; None: unknown."""


def pair_name(actor: str, target: str) -> str:
    """Return the name of a directed pair, as in tables.

    >>> pair_name("anna", "bob")
    'anna>bob'
    """
    return f"{actor}>{target}"


class BehaviourName(NamedTuple):
    """Behaviour of a classifier that a trigger names, and its animal."""

    behaviour: str
    animal: str = ""
    """Name of an animal, or of a pair; empty: the only one for which a classifier detects it."""

    @property
    def key(self) -> str:
        """Its key in `TriggerContext.behaviours`, if classifiers of several animals detect it.

        >>> BehaviourName("rearing", "left").key
        'left_rearing'
        """
        return f"{self.animal}_{self.behaviour}" if self.animal else self.behaviour


class Debouncer:
    """Debouncer of one trigger: hold, dwell, exit delay, refractory period, rate limit, sham."""

    def __init__(self, rules: "DebounceSettings") -> None:
        self._rules = rules
        delays = (rules.hold_ms, rules.min_dwell_s, rules.exit_delay_s)
        limits = (rules.refractory_s, rules.max_rate_per_min, rules.max_total_s)
        self._idle = rules.probability == 1 and not any((*delays, *limits))
        self.holding = False
        """Whether the state is the last known one."""
        self._random = Random(rules.seed)
        self._known: tuple[float, bool] | None = None
        """Last known raw state, and its time."""
        self._run: tuple[float, bool] | None = None
        """Present state, and since when it has not changed."""
        self._settled = False
        """The state after dwell and exit delay."""
        self._counter = OnsetCounter()

    def restore(self, counts: OnsetCounts) -> None:
        """Continue the counts of an earlier run, and its sequence of sham onsets."""
        self._counter = OnsetCounter(counts)
        for _ in range(counts.number):
            self._random.random()

    @property
    def sham(self) -> bool:
        """Whether the present onset was drawn as sham."""
        return self._counter.sham

    def answer(self, raw: bool | None, time_s: float) -> bool | None:
        """Return the debounced state; times never decrease."""
        if self._idle:
            return raw
        counter = self._counter
        counter.advance(time_s)

        held = self._held(raw, time_s)
        self.holding = raw is None and held is not None
        if held is None:
            # Unknown for too long: restart dwell time and exit delay
            self._run, self._settled = None, False
        else:
            self._settle(held, time_s)

        exhausted = 0 < self._rules.max_total_s <= counter.total_s
        if counter.on and (exhausted or not self._settled):
            counter.end(time_s)
        # Only a raw True starts an onset: a held state is not evidence of a new one
        elif (
            raw
            and self._settled
            and not (counter.on or exhausted)
            and self._may_begin(time_s)
        ):
            # Drawn once per onset, so that a sham does not flicker
            sham = self._random.random() >= self._rules.probability
            counter.begin(time_s, sham)
        return None if held is None else counter.on and not counter.sham

    def _held(self, raw: bool | None, time_s: float) -> bool | None:
        """Return the raw state, or the last known one for HOLD_MS; None: unknown."""
        if raw is not None:
            self._known = time_s, raw
        elif self._known and time_s - self._known[0] > self._rules.hold_ms / 1e3:
            self._known = None
        return self._known[1] if self._known else None

    def _settle(self, held: bool, time_s: float) -> None:
        """Accept `held` once it has lasted for the dwell, or the exit delay."""
        if self._run is None or self._run[1] is not held:
            self._run = time_s, held
        needed_s = self._rules.min_dwell_s if held else self._rules.exit_delay_s
        if time_s - self._run[0] >= needed_s:
            self._settled = held

    def _may_begin(self, time_s: float) -> bool:
        ended_s, most = self._counter.ended_s, self._rules.max_rate_per_min
        rested = ended_s is None or time_s - ended_s >= self._rules.refractory_s
        return rested and not 0 < most <= self._counter.in_last_minute(time_s)


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class DebounceSettings:
    """Debounce settings of every trigger, applied to its raw state.

    After HOLD_MS without a known state the trigger is unknown, and dwell and delay start
    again. An onset needs a frame on which the raw state is true; one that is too early or
    too frequent is false until it may begin. Sham is decided once per onset; a sham onset
    counts for refractory period and rate.
    """

    hold_ms: float = Field(
        0.0,
        ge=0,
        description="milliseconds for which the last state persists while the animal is "
        "lost; unknown after that",
    )
    min_dwell_s: float = Field(
        0.0, ge=0, description="minimum dwell: seconds true before the trigger is true"
    )
    exit_delay_s: float = Field(
        0.0, ge=0, description="exit delay: seconds false before the trigger is false"
    )
    refractory_s: float = Field(
        0.0,
        ge=0,
        description="refractory period after the trigger was true, in seconds",
    )
    max_rate_per_min: int = Field(
        0, ge=0, description="maximum number of onsets in 60 seconds; 0: no limit"
    )
    max_total_s: float = Field(
        0.0,
        ge=0,
        description="total seconds true, after which the trigger is false; 0: no limit",
    )
    probability: float = Field(
        1.0,
        ge=0,
        le=1,
        description="stimulation probability: share of onsets that are real; the others are "
        "sham: false, with a note in events",
    )
    seed: Seed = Field(0, description=f"seed of the sham onsets; {SEED_DESCRIPTION}")
    _debouncer: Debouncer | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def debounced(self, raw: bool | None, time_s: float) -> bool | None:
        """Return the debounced answer for a raw one."""
        if self._debouncer is None:
            self._debouncer = Debouncer(self)
        return self._debouncer.answer(raw, time_s)

    def restore(self, counts: OnsetCounts) -> None:
        """Continue the counts of an earlier run; called before the first pose."""
        self._debouncer = Debouncer(self)
        self._debouncer.restore(counts)

    def reset(self) -> None:
        """Reset the memory of earlier poses; called when the animal is lost."""

    @property
    def holding(self) -> bool:
        """Whether the state is the last known one: HOLD_MS."""
        return self._debouncer is not None and self._debouncer.holding

    @property
    def sham(self) -> bool:
        """Whether it would be true if its onset had not been drawn as sham."""
        return self._debouncer is not None and self._debouncer.sham


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class Trigger(DebounceSettings, ABC):
    """A condition that is evaluated once per analysed frame of one camera.

    Made again for each run, so it may keep what it saw. Derive from `PoseTrigger`,
    `BodyPartTrigger`, `ContextTrigger` or `TriggerCombination`.
    """

    former_keys: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Keys of earlier versions, and the values with which they are ignored."""
    former_methods: ClassVar[Mapping[str, str]] = {
        "forget": "reset",
        "ask": "answer",
        "sees": "bodyparts_visible",
        "selected": "select_pose",
    }
    """Methods by their names in earlier versions."""

    camera: str = Field(
        "",
        description="camera whose frames it is evaluated on; empty: the deciding one",
    )

    def __init_subclass__(cls) -> None:
        """Reject a pose trigger that was written for an earlier version."""
        super().__init_subclass__()
        fields = [vars(kind).get("__annotations__", {}) for kind in cls.__mro__]
        if "holds" in vars(cls) and not any("bodyparts" in names for names in fields):
            raise TypeError(
                f"class {cls.__name__}(Trigger) has no body parts: "
                "derive it from PoseTrigger"
            )

    @property
    def named_animals(self) -> Mapping[str, tuple[str, ...]]:
        """The animals that its settings name, by key."""
        return {}

    @property
    def named_behaviour(self) -> BehaviourName | None:
        """The behaviour that its settings name; None: it evaluates none."""
        return None

    @property
    def measured_regions(self) -> Mapping[str, TriggerName]:
        """The triggers with a region that it measures, by key."""
        return {}

    @property
    def needs_mobility(self) -> bool:
        """Whether it needs thresholds of the speed: [Measures]."""
        return False

    @property
    def needs_contacts(self) -> bool:
        """Whether it needs the distance of a contact: [Measures]."""
        return False

    @property
    def needs_light_cycle(self) -> bool:
        """Whether it needs the times of the lamps: [Light Cycle]."""
        return False

    @property
    def fulfilled_by(self) -> tuple[str, ...]:
        """The pairs of animals that fulfil it on the last frame, as `anna>bob`: for the record."""
        return ()


@settings(kw_only=True)
class BodyPartTrigger(Trigger):
    """A condition on body parts; by default the pose of all animals is given to `holds`."""

    bodyparts: tuple[str, ...] = Field(
        min_length=1,
        description="body parts, as the network names them",
        title="Body parts",
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

    @property
    def named_bodyparts(self) -> Mapping[str, tuple[str, ...]]:
        """The body parts that its settings name, by key."""
        return {"BODYPARTS": self.bodyparts}

    def select_pose(self, pose: Pose) -> Pose | None:
        """Return the pose that `holds` gets; None: the identity is unknown."""
        return pose

    def bodyparts_visible(self, pose: Pose) -> bool:
        """Return whether all of `bodyparts` were seen."""
        if not len(pose.points):
            return False
        return all(x == x and y == y for x, y in pose.places(self.bodyparts))

    def answer(self, pose: Pose, time_s: float) -> Answer:
        """Return the debounced answer; None: unknown."""
        selected = self.select_pose(pose)
        if selected is not None and self.bodyparts_visible(selected):
            answer = self.holds(selected, time_s)
        else:
            self.reset()
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
        title="While identity is ambiguous",
    )

    @property
    def named_animals(self) -> Mapping[str, tuple[str, ...]]:
        """The animals that its settings name, by key."""
        return {"ANIMAL": (self.animal,)} if self.animal else {}

    def select_pose(self, pose: Pose) -> Pose | None:
        """Return ANIMAL's pose; None: its identity is unknown."""
        if len(pose.points) == 1 and self.animal == "1":
            return pose
        place = pose.animal(self.animal)
        if place is None or (self.in_doubt == "unknown" and pose.is_ambiguous(place)):
            return None
        return pose.of(place)


@dataclass(frozen=True, slots=True)
class TriggerContext:
    """Context of a frame; values that are too old are unknown."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    """Answers of the triggers that the trigger names."""
    behaviours: Mapping[str, float] = field(default_factory=dict)
    """Probabilities; NaN: unknown."""
    inputs: Mapping[str, float] = field(default_factory=dict)
    """Levels of the inputs; NaN: unknown."""
    measures: MeasuresSoFar = NO_MEASURES
    """Measures of the animals before the deciding camera, up to the present frame."""
    pose: Pose | None = None
    """Pose of the frame, px; None: none."""
    light: LightMoment | None = None
    """Place of the frame in the light cycle; None: not known."""


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
        """Return the answer; None when `context` is not sufficient."""

    def answer(self, context: TriggerContext, time_s: float) -> Answer:
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


def with_combined(name: str, triggers: Mapping[str, Trigger]) -> Iterator[str]:
    """Yield a trigger and those that it combines, directly or not, by name."""
    yield name
    for other in named_by(triggers[name]) if name in triggers else ():
        yield from with_combined(other, triggers)


def named_by(trigger: Trigger) -> tuple[TriggerName, ...]:
    """Return the triggers that one combines."""
    return trigger.named if isinstance(trigger, TriggerCombination) else ()
