"""What an experiment is (a generator of commands), what it sees, and who drives it."""

import typing
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias, TypeVar

from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import Command, Mark, Pulse, Set, Train, TriggerName
from deeplabstream.core.errors import ExperimentError
from deeplabstream.core.pose import Pose

MOST_PER_FRAME = 64
"""Commands and questions that a plan may yield without waiting for a frame."""


class Ask(Enum):
    """What a plan yields to look."""

    NEXT = "next"
    """Wait for the next frame and return what it shows."""
    NOW = "now"
    """Return at once what the present frame shows."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that a decision may use; all of it is recorded, so replay needs no more."""

    time_s: float
    """When the deciding camera's frame was taken, in seconds since the stream began."""
    triggers: Mapping[str, bool | None] = field(default_factory=dict)
    """Each trigger's answer; None: unknown."""
    poses: Mapping[str, Pose] = field(default_factory=dict)
    """By camera; NaN where the network was not sure."""
    inputs: Mapping[str, float] = field(default_factory=dict)
    """Of the rig's digital inputs: `NAME` is its level, 0 or 1, `NAME.count` how often it
    became active since the stream began; NaN: unknown."""
    behaviours: Mapping[str, float] = field(default_factory=dict)
    """Probabilities of behaviours, by name; NaN: unknown, which is neither high nor low."""

    def holds(self, trigger: str) -> bool:
        """Return whether the trigger is known to hold."""
        return self.triggers[trigger] is True

    def fails(self, trigger: str) -> bool:
        """Return whether the trigger is known not to hold; a lost animal does not fail."""
        return self.triggers[trigger] is False


T = TypeVar("T")
Plan: TypeAlias = Generator[Command | Ask, Observation, T]


@settings(kw_only=True)
class Experiment(ABC):
    """An experiment: its fields are its settings, its plan is the protocol.

    Every field of type `TriggerName` or `OutputName` names a section of settings.ini.
    """

    @abstractmethod
    def plan(self) -> Plan[None]:
        """Yield commands and questions; returning ends the experiment.

        The engine cleans up, never the plan: all outputs are off afterwards.
        """


def triggers_of(experiment: Experiment) -> frozenset[str]:
    """Return the triggers that an experiment's settings name."""
    hints = typing.get_type_hints(type(experiment), include_extras=False)
    named: set[str] = set()
    for name, hint in hints.items():
        if hint is TriggerName:
            named.add(getattr(experiment, name))
        elif TriggerName in typing.get_args(hint):
            named.update(getattr(experiment, name))
    return frozenset(name for name in named if name)


class Stepper:
    """Drives one plan, frame by frame. Pure: same observations, same commands."""

    def __init__(self, plan: Plan[None]) -> None:
        self._plan = plan
        self._started = False
        self.finished = False

    def step(self, observation: Observation) -> tuple[Command, ...]:
        """Show the plan one frame and return what it wants done, in its order."""
        commands: list[Command] = []
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
            if wish is Ask.NEXT:
                break
            if isinstance(wish, Set | Pulse | Train | Mark):
                commands.append(wish)
            elif wish is not Ask.NOW:
                raise ExperimentError(f"the plan yielded {wish!r}, which is no command")
        else:
            raise ExperimentError(
                f"the plan asked for more than {MOST_PER_FRAME} things in one frame; "
                "it must wait for the next frame somewhere"
            )
        return tuple(commands)
