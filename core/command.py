"""What an experiment may ask for: outputs and numbers, nothing else."""

from dataclasses import dataclass
from typing import NewType, TypeAlias

from core.packing import Packed

OutputName = NewType("OutputName", str)
"""The NAME of a section `[Output NAME]`."""
TriggerName = NewType("TriggerName", str)
"""The NAME of a section `[Trigger NAME]`."""


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
class Mark(Packed):
    """Write a word into the record: a trial begins, an answer was correct."""

    text: str


Command: TypeAlias = Set | Pulse | Mark


def on(output: OutputName, level: float = 1.0) -> Set:
    """Return the command that switches `output` on."""
    return Set(output, level)


def off(output: OutputName) -> Set:
    """Return the command that switches `output` off."""
    return Set(output, 0.0)
