"""Experiment contract: a generator of commands, what it observes, and its building blocks."""

import typing
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import inf, nan
from pathlib import Path
from types import GeneratorType
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import Command, Mark, Pulse, Set, Train, TriggerName
from deeplabstream.core.errors import ExperimentError
from deeplabstream.core.light_cycle import LightMoment
from deeplabstream.core.pose import Pose
from deeplabstream.plugins.experiment_record import ExperimentRecord

MOST_PER_FRAME = 1000
"""Largest number of commands and requests that a plan may yield for one frame."""


class ObservationRequest(Enum):
    """Requests of a plan for an observation."""

    NEXT = "next"
    """Wait for the next frame and return its observation."""
    NOW = "now"
    """Return the observation of the present frame at once."""


class MeasuresSoFar(Protocol):
    """Measures of the animals before the deciding camera, up to the present frame.

    They begin with the first frame of the experiment (docs/results.md), and are computed
    from the poses alone, so replays repeat them.
    """

    def value(self, measure: str, of: str = "", animal: str = "1") -> float:
        """Return a measure so far; NaN: not defined, such as a latency before the first entry.

        `of`: for a measure of a region, the trigger with the region; for one of two animals,
        the name or number of the other one. `animal`: its name or number.
        ExperimentError: there is no such measure, region or animal.
        """
        ...

    def is_known(self, of: str = "", animal: str = "1") -> bool:
        """Return whether the position of the animal is known on the present frame.

        `of`, the trigger with a region: whether it is known if the animal is inside.
        """
        ...


class NoMeasures:
    """Undefined measures, for a rig that measures nothing."""

    def value(self, measure: str, of: str = "", animal: str = "1") -> float:
        """Return NaN, because nothing is measured."""
        return nan

    def is_known(self, of: str = "", animal: str = "1") -> bool:
        """Return False, because nothing is measured."""
        return False


NO_MEASURES = NoMeasures()


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that a decision may use. All of it is recorded for replay."""

    time_s: float
    """Time of the deciding camera's frame, in seconds since the start of the stream."""
    triggers: Mapping[str, bool | None] = field(default_factory=dict)
    """States of the triggers by name; None: unknown."""
    poses: Mapping[str, Pose] = field(default_factory=dict)
    """By camera; NaN below the confidence threshold."""
    inputs: Mapping[str, float] = field(default_factory=dict)
    """Of the rig's digital inputs: `NAME` is its level, 0 or 1, `NAME.count` how often it
    became active since the stream began; NaN: unknown."""
    behaviours: Mapping[str, float] = field(default_factory=dict)
    """Probabilities of behaviours, by name; NaN: unknown, which is neither high nor low."""

    measures: MeasuresSoFar = NO_MEASURES
    """Measures up to this frame: time in a region, entries, distance …"""
    light: LightMoment | None = None
    """Place of the frame in the light cycle of the room; None: not known."""

    def holds(self, trigger: str) -> bool:
        """Return whether the trigger is known to be true."""
        return self.triggers[trigger] is True

    def fails(self, trigger: str) -> bool:
        """Return whether the trigger is known to be false; with a lost animal it is unknown."""
        return self.triggers[trigger] is False


T = TypeVar("T")
Plan: TypeAlias = Generator[Command | ObservationRequest, Observation, T]


Reached: TypeAlias = Mapping[str, float]
"""What an experiment has reached when it was broken off: numbers by name."""


@settings(kw_only=True)
class Experiment(ABC):
    """An experiment: its fields are its settings, its plan is the protocol.

    Every field of type `TriggerName` or `OutputName` names a section of settings.ini.
    """

    progress: ClassVar[Mapping[str, str]] = {}
    """Fields that an animal keeps for its next session on any rig, each with the pattern of the
    marks whose first group is its new value."""

    _reached: Reached = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def reached(self, record: ExperimentRecord) -> Reached | None:
        """Return what it has reached, from which a run that continues this one begins.

        The numbers of the run before are among `at_start`. None: it keeps nothing, and starts
        from its beginning.
        """
        return None

    def restore(self, reached: Reached) -> None:
        """Continue what an earlier run has reached; called before `plan`."""
        self._reached = reached

    def at_start(self, name: str) -> float:
        """Return a number that an earlier run has reached; 0: this run continues none."""
        return self._reached.get(name, 0)

    @property
    def continues(self) -> bool:
        """Whether this run continues an earlier one."""
        return bool(self._reached)

    @abstractmethod
    def plan(self) -> Plan[None]:
        """Yield commands and requests; returning ends the experiment.

        The engine switches all outputs off afterwards; the plan need not.
        """


def triggers_of(experiment: Experiment) -> frozenset[str]:
    """Return the names of the triggers in an experiment's settings."""
    hints = typing.get_type_hints(type(experiment), include_extras=False)
    named: set[str] = set()
    for name, hint in hints.items():
        if hint is not TriggerName and TriggerName not in typing.get_args(hint):
            continue
        value = getattr(experiment, name)
        if isinstance(value, str):
            named.add(value)
        elif value is not None:  # an optional trigger that is not set
            named.update(value)
    return frozenset(name for name in named if name)


class PlanRunner:
    """Runs a plan frame by frame. Pure: equal observations give equal commands."""

    def __init__(self, plan: Plan[None]) -> None:
        self._plan = plan
        self._started = False
        self.finished = False

    def step(self, observation: Observation) -> tuple[Command, ...]:
        """Pass one observation to the plan and return its commands in order."""
        commands: list[Command] = []
        if not isinstance(self._plan, GeneratorType):
            raise ExperimentError("plan() is not a generator: it has no yield")
        for _ in range(MOST_PER_FRAME):
            if self.finished:
                break
            try:
                if self._started:
                    wish = self._plan.send(observation)
                else:
                    self._started = True
                    wish = next(self._plan)
            except StopIteration:
                self.finished = True
                break
            if wish is ObservationRequest.NEXT:
                break
            if isinstance(wish, Set | Pulse | Train | Mark):
                commands.append(wish)
            elif wish is not ObservationRequest.NOW:
                raise ExperimentError(self._about(wish))
        else:
            raise ExperimentError(
                f"the plan yielded more than {MOST_PER_FRAME} commands in one frame; "
                "it must wait for the next frame somewhere"
            )
        return tuple(commands)

    def _about(self, wish: object) -> str:
        """Return the problem with what the plan yielded, and the line of code."""
        plan: Any = self._plan
        while isinstance(plan.gi_yieldfrom, GeneratorType):
            plan = plan.gi_yieldfrom
        frame = plan.gi_frame
        place = f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
        if isinstance(wish, GeneratorType):
            name = wish.__name__
            return f"{place}: write yield from {name}(...), not yield {name}(...)"
        return f"{place}: the plan yielded {wish!r}, which is not a command"


def until(trigger: str, at_most_s: float = inf) -> Plan[bool]:
    """Wait until the trigger is true; return False after `at_most_s`."""
    start_s = (yield ObservationRequest.NOW).time_s
    while True:
        seen = yield ObservationRequest.NEXT
        if seen.holds(trigger):
            return True
        if seen.time_s - start_s >= at_most_s:
            return False


def during(trigger: str, at_most_s: float = inf) -> Plan[bool]:
    """Wait until the trigger is false; return whether it lasted `at_most_s`.

    A lost animal does not end the wait: the loop switches the outputs off.
    """
    start_s = (yield ObservationRequest.NOW).time_s
    while True:
        seen = yield ObservationRequest.NEXT
        if seen.fails(trigger):
            return False
        if seen.time_s - start_s >= at_most_s:
            return True


def wait(seconds: float) -> Plan[None]:
    """Wait for `seconds` of frame time, at least one frame."""
    start_s = (yield ObservationRequest.NOW).time_s
    while (yield ObservationRequest.NEXT).time_s - start_s < seconds:
        pass


def until_known(trigger: str) -> Plan[bool]:
    """Wait until the trigger is true or false, and return the answer."""
    seen = yield ObservationRequest.NOW
    while (answer := seen.triggers[trigger]) is None:
        seen = yield ObservationRequest.NEXT
    return answer
