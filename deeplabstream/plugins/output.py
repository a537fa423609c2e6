"""Output contract: settings, and a context manager that yields a function to set the level."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import OutputName
from deeplabstream.core.doses import DAY_S, HOUR_S, DoseLimit
from deeplabstream.plugins.device_address import DeviceAddress, port_of
from deeplabstream.plugins.input import BoardPinAddress, Input

Write: TypeAlias = Callable[[float], object]
"""Set the level, from 0 (off) to 1 (fully on). Returns within a millisecond."""


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """Report of a device: the level that it has set, and when."""

    level: float
    sent_ns: int
    """Time at which the command was sent; without a command, when the device acted."""
    acted_ns: int
    """Time of the change by the device's clock, converted to the run's clock."""
    received_ns: int
    """Time at which the device's answer arrived."""
    device_us: int = 0
    """Time of the change on the device's clock, unconverted."""
    cause: str = ""
    """Why the device acted on its own, as in `events.csv`; empty: it executed a command."""


@dataclass
class AcknowledgingWrite:
    """A `Write` to a device that can fail or report between two writes."""

    write: Write
    check: Callable[[], object]
    """Raises an error that occurred since the last call; called ten times a second."""
    on_report: Callable[[DeviceReport], object] = lambda done: None
    """Called when the device reports that it set a level; set by the output bank."""

    def __call__(self, level: float) -> None:
        """Set the level."""
        self.write(level)


@runtime_checkable
class AutonomousWrite(Protocol):
    """A `Write` to a device with its own pulses, reports and watchdog."""

    on_report: Callable[[DeviceReport], object]
    """Called with each report of the device, in another thread; set by the output bank."""

    def __call__(self, level: float) -> object:
        """Set the level."""

    def train(
        self, level: float, width_s: float, period_s: float, count: int
    ) -> object:
        """Start pulses; the device ends them, or `__call__` does."""

    def heartbeat(self, now_ns: int) -> object:
        """Report that the loop is running; otherwise the device switches off."""

    def check(self) -> object:
        """Raise an error that occurred since the last call, as `AcknowledgingWrite` does."""


@dataclass(frozen=True, slots=True)
class SelfTestResult:
    """Result of the self-test of a device."""

    text: str
    """A sentence for the record and the pre-flight checks."""
    passed: bool | None
    """None: it was not tested. False: the experiment can't start."""


_takes_over: ContextVar[bool] = ContextVar("takes_over", default=False)


@contextmanager
def taking_over() -> Iterator[None]:
    """Open outputs in this block, and thread, in place of an engine that has ended."""
    before = _takes_over.set(True)
    try:
        yield
    finally:
        _takes_over.reset(before)


def takes_over() -> bool:
    """Return whether an output is only opened to be switched off for an engine that has ended.

    No lock that another process holds may prevent that.
    """
    return _takes_over.get()


@settings(frozen=True, kw_only=True)
class Output(ABC):
    """An output of the rig: its fields are its settings; `with` opens it."""

    reopens: ClassVar[bool] = True
    """Whether the guard can reopen it to switch it off after the engine has ended.
    False: it switches off by itself."""

    packages: ClassVar[tuple[str, ...]] = ()
    """Packages that `opened` imports; the guard imports them in advance."""

    exact: ClassVar[bool] = False
    """Whether its pulses can be shorter than the period of the bank's thread."""

    max_on_s: float = Field(
        60.0,
        gt=0,
        description="seconds after which it is switched off in any case, until the "
        "experiment commands 0 or its pulses would have ended",
        title="Maximum on-time (s)",
        json_schema_extra={"advanced": False},
    )
    then: OutputName | None = Field(
        None,
        description="another output, pulsed after this one has gone off, such as a pump "
        "that removes a reward; empty: none",
        title="Then pulse output",
    )
    then_after_s: float = Field(
        10.0,
        gt=0,
        description="seconds from off to the pulse of THEN",
        title="Delay of that pulse (s)",
    )
    then_s: float = Field(
        1.0,
        gt=0,
        description="duration of that pulse, in seconds",
        title="Duration of that pulse (s)",
    )
    max_pulses_per_hour: int = Field(
        0,
        ge=0,
        description="largest number of pulses in any 60 minutes, also over restarts; 0: no "
        "limit",
    )
    max_pulses_per_day: int = Field(
        0,
        ge=0,
        description="largest number of pulses in any 24 hours, also over restarts; 0: no limit",
    )
    max_on_s_per_hour: float = Field(
        0.0,
        ge=0,
        description="largest total on-time in any 60 minutes, in seconds; 0: no limit",
        title="Maximum on-time per hour (s)",
    )
    max_on_s_per_day: float = Field(
        0.0,
        ge=0,
        description="largest total on-time in any 24 hours, in seconds; 0: no limit",
        title="Maximum on-time per day (s)",
    )
    ul_per_s: float = Field(
        0.0,
        ge=0,
        description="volume that a pump or valve gives per second while it is on, in µl; 0: "
        "unknown",
        title="Flow (µl/s)",
    )
    max_ul_per_hour: float = Field(
        0.0,
        ge=0,
        description="largest volume in any 60 minutes, in µl; needs UL_PER_S; 0: no limit",
        title="Maximum volume per hour (µl)",
    )
    max_ul_per_day: float = Field(
        0.0,
        ge=0,
        description="largest volume in any 24 hours, in µl; needs UL_PER_S; 0: no limit",
        title="Maximum volume per day (µl)",
    )

    @property
    def dose_limits(self) -> tuple[DoseLimit, ...]:
        """The limits of what it may give in any hour and any day."""
        return tuple(limit for limit in self.declared_limits if limit.per_second)

    @property
    def declared_limits(self) -> tuple[DoseLimit, ...]:
        """The limits that are set, also those of a volume whose flow is unknown."""
        flow = self.ul_per_s
        limits = (
            DoseLimit(
                "MAX_PULSES_PER_HOUR",
                self.max_pulses_per_hour,
                HOUR_S,
                "pulses",
                "pulses",
            ),
            DoseLimit(
                "MAX_PULSES_PER_DAY", self.max_pulses_per_day, DAY_S, "pulses", "pulses"
            ),
            DoseLimit(
                "MAX_ON_S_PER_HOUR", self.max_on_s_per_hour, HOUR_S, "seconds", "s"
            ),
            DoseLimit("MAX_ON_S_PER_DAY", self.max_on_s_per_day, DAY_S, "seconds", "s"),
            DoseLimit(
                "MAX_UL_PER_HOUR", self.max_ul_per_hour, HOUR_S, "seconds", "µl", flow
            ),
            DoseLimit(
                "MAX_UL_PER_DAY", self.max_ul_per_day, DAY_S, "seconds", "µl", flow
            ),
        )
        return tuple(limit for limit in limits if limit.most)

    @property
    def board_pin(self) -> BoardPinAddress | None:
        """The pin of a board with our firmware that it uses; None: it uses none."""
        return None

    @property
    def own_end(self) -> str:
        """How it goes off without the guards, if it does not reopen; end of a sentence."""
        return "goes off by itself when the engine ends"

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """Devices that no other rig can use meanwhile; by default its serial port."""
        return port_of(self)

    @classmethod
    def self_test(
        cls, outputs: Mapping[str, "Output"], inputs: Mapping[str, Input]
    ) -> Iterator[SelfTestResult]:
        """Test the devices of this class, before any output or input is opened.

        Called once for each class at Start Stream, with all outputs and inputs of the rig
        by name: a test must not switch a pin that another section uses. By default nothing
        is tested.
        """
        return iter(())

    @abstractmethod
    def opened(self) -> AbstractContextManager[Write]:
        """Open the device, switched off; leaving the `with` closes it.

        Imports the vendor's package here, not at the top of the file. The bank writes 0
        after opening and before closing; a driver need not.
        """


def section_using(
    address: BoardPinAddress, outputs: Mapping[str, Output], inputs: Mapping[str, Input]
) -> str:
    """Return the section that uses a pin of a board; empty: none does."""
    sections: dict[str, Output | Input] = {
        **{f"[Output {name}]": output for name, output in outputs.items()},
        **{f"[Input {name}]": device for name, device in inputs.items()},
    }
    for section, device in sections.items():
        if device.board_pin == address:
            return section
    return ""
