"""What an experiment may ask for: outputs and numbers, nothing else."""

from dataclasses import dataclass
from typing import NewType, TypeAlias

from deeplabstream.core.packing import Packed

OutputName = NewType("OutputName", str)
"""The NAME of a section `[Output NAME]`."""
TriggerName = NewType("TriggerName", str)
"""The NAME of a section `[Trigger NAME]`."""

InputName = NewType("InputName", str)
"""The NAME of a section `[Input NAME]`."""


@dataclass(frozen=True, slots=True)
class Set(Packed):
    """Put an output to a level and leave it there."""

    output: OutputName
    level: float
    """0 is off, 1 is all the way on."""


@dataclass(frozen=True, slots=True)
class Pulse(Packed):
    """Switch an output on, and off again after `seconds` by the clock."""

    output: OutputName
    seconds: float
    level: float = 1.0


@dataclass(frozen=True, slots=True)
class Train(Packed):
    """Pulse an output: `count` pulses of `width_s`, `frequency` of them a second.

    A board with our firmware makes them itself, to the microsecond; for all other outputs
    the program does, each edge when the computer gets round to it.
    """

    output: OutputName
    frequency: float
    """In Hz."""
    width_s: float
    count: int
    level: float = 1.0

    @property
    def seconds(self) -> float:
        """From the first pulse's begin to the last one's end."""
        return (self.count - 1) / self.frequency + self.width_s


@dataclass(frozen=True, slots=True)
class Mark(Packed):
    """Write a word into the record: a trial begins, an answer was correct."""

    text: str


Command: TypeAlias = Set | Pulse | Train | Mark


def on(output: OutputName, level: float = 1.0) -> Set:
    """Return the command that switches `output` on."""
    return Set(output, level)


def off(output: OutputName) -> Set:
    """Return the command that switches `output` off."""
    return Set(output, 0.0)
