"""Commands: what an experiment may request of outputs."""

from dataclasses import dataclass
from typing import NewType, TypeAlias

from deeplabstream.core.packing import Packed

OutputName = NewType("OutputName", str)
"""The NAME of a section `[Output NAME]`."""
TriggerName = NewType("TriggerName", str)
"""The NAME of a section `[Trigger NAME]`."""

InputName = NewType("InputName", str)
"""The NAME of a section `[Input NAME]`."""
CameraName = NewType("CameraName", str)
"""The NAME of a section `[Camera NAME]`."""


@dataclass(frozen=True, slots=True)
class Set(Packed):
    """Set an output to a level."""

    output: OutputName
    level: float
    """From 0 (off) to 1."""


@dataclass(frozen=True, slots=True)
class Pulse(Packed):
    """Switch an output on, and off again after `seconds`."""

    output: OutputName
    seconds: float
    level: float = 1.0


@dataclass(frozen=True, slots=True)
class Train(Packed):
    """Pulse an output: `count` pulses of `width_s`, `frequency` of them a second.

    A board with our firmware times them itself, to the microsecond. For other outputs the
    program times each edge.
    """

    output: OutputName
    frequency: float
    """Pulses per second, Hz."""
    width_s: float
    count: int
    level: float = 1.0

    @property
    def seconds(self) -> float:
        """Duration from the start of the first pulse to the end of the last."""
        return (self.count - 1) / self.frequency + self.width_s


@dataclass(frozen=True, slots=True)
class Mark(Packed):
    """Write a text into the record, such as the start of a trial."""

    text: str


Command: TypeAlias = Set | Pulse | Train | Mark


def on(output: OutputName, level: float = 1.0) -> Set:
    """Return the command that switches `output` on."""
    return Set(output, level)


def off(output: OutputName) -> Set:
    """Return the command that switches `output` off."""
    return Set(output, 0.0)
