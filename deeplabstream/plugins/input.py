"""Input contract: settings, and a context manager during which changes are reported."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from pydantic.dataclasses import dataclass as settings


@dataclass(frozen=True, slots=True)
class InputBroken:
    """The device has failed; the text says why."""

    text: str


@dataclass(frozen=True, slots=True)
class InputLevel:
    """Level of an input from a time on."""

    active: bool
    began_ns: int
    """On the run's clock, by the device's own if it has one."""
    heard_ns: int
    first: bool
    """The level at opening, not a change."""
    device_us: int = -1
    """Time of the change by the device's own clock, us; -1: not known."""


Hear: TypeAlias = Callable[[InputLevel | InputBroken], object]
"""Called with each change in order, from any thread. After `InputBroken` the level is unknown."""


@settings(frozen=True, kw_only=True)
class Input(ABC):
    """A digital input of the rig, such as a lick sensor, a lever or a beam."""

    @abstractmethod
    def opened(self, hear: Hear) -> AbstractContextManager[None]:
        """Open the device; `hear` is called with the level at opening, then with each change."""
