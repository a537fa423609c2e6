"""Input contract: settings, and a context manager during which changes are reported."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from pydantic.dataclasses import dataclass as settings


@dataclass(frozen=True, slots=True)
class InputBroken:
    """The device can't be relied on any more; a sentence says why."""

    text: str


@dataclass(frozen=True, slots=True)
class InputLevel:
    """What an input shows from a moment on."""

    active: bool
    began_ns: int
    """On the run's clock, by the device's own if it has one."""
    heard_ns: int
    first: bool
    """Nothing changed: it is what was found when it was opened."""


Hear: TypeAlias = Callable[[InputLevel | InputBroken], object]
"""Told of each change in its order, from any thread. After `InputBroken`, nothing is known."""


@settings(frozen=True, kw_only=True)
class Input(ABC):
    """A digital input of the rig, such as a lick sensor, a lever or a beam."""

    @abstractmethod
    def opened(self, hear: Hear) -> AbstractContextManager[None]:
        """Open the device and have `hear` told; its level first of all."""
