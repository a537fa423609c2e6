"""Trigger contract: conditions with three answers (true, false, unknown).

`PoseTrigger` is a condition on the pose of one animal, `BodyPartTrigger` one on body parts
of several. `ContextTrigger` needs no pose: it gets behaviours, inputs, and the answers of
other triggers (`TriggerCombination`). All inherit `DebounceSettings`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import TriggerName
from deeplabstream.core.pose import Pose
from deeplabstream.core.regions import Region, parse_region
from deeplabstream.plugins.debounce import DebounceSettings
from deeplabstream.plugins.experiment import NO_MEASURES, MeasuresSoFar

RegionSetting = Annotated[Region, BeforeValidator(parse_region)]
"""A `Region` that is written in one line of settings.ini."""

AnimalName = Annotated[str, BeforeValidator(str)]
"""The name of an animal, or its number, from 1 on."""

Answer: TypeAlias = bool | None
"""None: unknown."""


@settings(kw_only=True, config={"arbitrary_types_allowed": True})
class Trigger(DebounceSettings, ABC):
    """A condition that is evaluated once per analysed frame of one camera.

    Made again for each run, so it may keep what it saw. Derive from `PoseTrigger`,
    `BodyPartTrigger`, `ContextTrigger` or `TriggerCombination`.
    """

    former_keys: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Keys that earlier versions had, and the values with which they are ignored."""
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
        """Refuse a pose trigger that was written for an earlier version."""
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
    def measured_regions(self) -> Mapping[str, TriggerName]:
        """The triggers with a region that it measures, by key."""
        return {}

    @property
    def needs_mobility(self) -> bool:
        """Whether it needs thresholds of the speed: [Measures]."""
        return False


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

    def select_pose(self, pose: Pose) -> Pose | None:
        """Return the pose that `holds` gets; None: the animal is not known."""
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
    measures: MeasuresSoFar = NO_MEASURES
    """Measures of the animals before the deciding camera, up to the present frame."""


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


def named_by(trigger: Trigger) -> tuple[TriggerName, ...]:
    """Return the triggers that one combines."""
    return trigger.named if isinstance(trigger, TriggerCombination) else ()
