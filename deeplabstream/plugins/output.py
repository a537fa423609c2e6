"""Output contract: settings, and a context manager that yields a function to set the level."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import OutputName

Write: TypeAlias = Callable[[float], object]
"""Set the level, from 0 (off) to 1 (all the way on). Returns within a millisecond."""


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """A level that a device has set, in its own words."""

    level: float
    sent_ns: int
    """When the command left; when the device acted, if it did so by itself."""
    acted_ns: int
    """When the level changed, by the device's clock, on the run's."""
    heard_ns: int
    """When the device's answer came."""
    device_us: int = 0
    """When it changed, by the device's clock as it is."""
    cause: str = ""
    """Why the device acted by itself, as in `events.csv`; empty: a command was carried out."""


@dataclass
class AcknowledgingWrite:
    """A `Write` of a device that can go wrong, or be done, between two writes."""

    write: Write
    check: Callable[[], object]
    """Raises what went wrong since it was asked last; called ten times a second."""
    hear: Callable[[DeviceReport], object] = lambda done: None
    """Told when a level was set in fact, where that is known; the bank puts its ear here."""

    def __call__(self, level: float) -> None:
        """Set the level."""
        self.write(level)


@runtime_checkable
class AutonomousWrite(Protocol):
    """A `Write` to a device that pulses by itself, tells what it did, and wants to be fed."""

    hear: Callable[[DeviceReport], object]
    """Told what the device did, by a thread of its own; the bank puts its ear here."""

    def __call__(self, level: float) -> object:
        """Set the level."""

    def train(
        self, level: float, width_s: float, period_s: float, count: int
    ) -> object:
        """Begin with pulses; the device ends them, or `__call__` does."""

    def beat(self, now_ns: int) -> object:
        """Say that the loop has come round: without that the device switches off."""

    def check(self) -> object:
        """Raise what went wrong since it was asked last, as `AcknowledgingWrite` does."""


@settings(frozen=True, kw_only=True)
class Output(ABC):
    """An output of the rig: fields are its settings, opening it is a `with`."""

    reopens: ClassVar[bool] = True
    """Whether the guard can switch it off by opening it anew when the engine has died.
    False: it goes off by itself then."""

    packages: ClassVar[tuple[str, ...]] = ()
    """What `opened` imports; the guard does so beforehand, to be quick when it counts."""

    exact: ClassVar[bool] = False
    """Whether it can make pulses shorter than the bank's thread comes round."""

    max_on_s: float = Field(
        60.0, gt=0, description="seconds after which it is switched off, whoever asked"
    )
    then: OutputName | None = Field(
        None,
        description="another output, which is pulsed once this one has gone off: a pump "
        "that takes a reward away which was not eaten; empty: none",
    )
    then_after_s: float = Field(
        10.0, gt=0, description="seconds from its going off to the pulse of THEN"
    )
    then_s: float = Field(1.0, gt=0, description="seconds of that pulse")

    @abstractmethod
    def opened(self) -> AbstractContextManager[Write]:
        """Open the device, switched off; leaving the `with` closes it.

        Imports the vendor's package here, not at the top of the file. The bank writes 0
        on every way in and out; a driver need not.
        """
