"""Input contract: settings, and a context manager during which changes are reported."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import CameraName, TriggerName
from deeplabstream.plugins.device_address import DeviceAddress, port_of


@dataclass(frozen=True, slots=True)
class InputBroken:
    """The device has failed; the text says why."""

    text: str
    retries: bool = False
    """Whether the device is opened again: its failure is an alarm that ends no experiment."""


@dataclass(frozen=True, slots=True)
class InputLevel:
    """Level of an input from a time on."""

    active: bool
    began_ns: int
    """Time on the run's clock, measured by the device if it has a clock."""
    received_ns: int
    first: bool
    """The level at opening, not a change."""
    device_us: int = -1
    """Time of the change by the device's own clock, us; -1: not known."""


@dataclass(frozen=True, slots=True)
class InputPulse:
    """A pulse that the device has numbered."""

    number: int
    """From 0 since opening; a gap: pulses whose times are not known."""
    began_ns: int
    """Time on the run's clock, measured by the device."""
    received_ns: int
    device_us: int
    """Time of the pulse by the device's own clock, us."""


@dataclass(frozen=True, slots=True)
class InputTag:
    """A reader has read a tag."""

    number: str
    """As `core.tag_numbers.tag_number` returns it."""
    received_ns: int


@dataclass(frozen=True, slots=True)
class InputUnreadable:
    """A reader has sent a line that is not a tag number."""

    line: str


InputChange: TypeAlias = (
    InputLevel | InputPulse | InputTag | InputUnreadable | InputBroken
)
InputListener: TypeAlias = Callable[[InputChange], object]
"""Called with each change in order, from any thread. After `InputBroken` the level is unknown."""


class BoardPinAddress(NamedTuple):
    """A pin of a board with our firmware, which the sections of several devices share."""

    port: str
    """Serial port of the board."""
    pin: int


@settings(frozen=True, kw_only=True)
class Input(ABC):
    """A digital input of the rig, such as a lick sensor, a lever or a beam."""

    @property
    def board_pin(self) -> BoardPinAddress | None:
        """The pin of a board with our firmware that it uses; None: it uses none."""
        return None

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """Devices that no other rig can use meanwhile; by default its serial port."""
        return port_of(self)

    @abstractmethod
    def opened(self, listener: InputListener) -> AbstractContextManager[None]:
        """Open the device; `listener` gets the level at opening, then each change."""


@settings(frozen=True, kw_only=True)
class PulseInput(Input):
    """Pulses of exposures, numbered by a device; frames are matched to them.

    `listener` is called with an `InputPulse` for each.
    """

    generates: ClassVar[bool] = False
    """Whether the device makes the pulses, so that it misses none. Such an input is opened
    when all cameras are open, so that none misses the first pulse."""

    cameras: tuple[CameraName, ...] = Field(
        (),
        description="NAMEs of the cameras that expose on these pulses, or give them; "
        "empty: see the kind",
    )
    most_delay_ms: float = Field(
        100.0,
        gt=0,
        le=2000,
        description="longest possible time from a pulse to the recorded time of its frame",
    )


@settings(frozen=True, kw_only=True)
class TagInput(Input):
    """A reader of the animals' tags at one place. Its level is 0; `.count`: tags that it read.

    `listener` is called with an `InputTag` for each, or an `InputUnreadable`.
    """

    at: TriggerName | None = Field(
        None,
        description="trigger whose REGION is where the reader reads tags, in the camera of the "
        "trigger; the animal that is alone there has the tag's name ([Animals] TAGS); empty: "
        "tags are recorded only",
    )
