"""Experiment record: what a run that was broken off has recorded of its experiment."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deeplabstream.core.command import Command, Mark, OutputName, Pulse


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """The commands of an experiment that was broken off, from which another run continues.

    Commands whose output could not be written count too, as in the plan.
    """

    commands: Sequence[tuple[float, Command]] = ()
    """Commands in order, each with the time since the experiment began, in seconds."""
    lasted_s: float = 0.0
    """Time from its first to its last frame, in seconds."""

    def marks(self, pattern: str) -> Iterator[tuple[float, re.Match[str]]]:
        """Yield time and match of each mark whose whole text matches a pattern."""
        for time_s, command in self.commands:
            if isinstance(command, Mark) and (
                found := re.fullmatch(pattern, command.text)
            ):
                yield time_s, found

    def switched_on(self, *outputs: OutputName) -> int:
        """Return the number of commands that switch one of the outputs on."""
        return sum(
            not isinstance(it, Mark) and it.output in outputs and it.level > 0
            for _, it in self.commands
        )

    def on_s(self, output: OutputName) -> float:
        """Return the time from commands that switch an output on until it is off, in seconds.

        A train lasts until the output is switched off. An output that was not switched off was
        on until the end.
        """
        total_s, since_s = 0.0, None
        for time_s, command in self.commands:
            if isinstance(command, Mark) or command.output != output:
                continue
            if since_s is not None:
                total_s, since_s = total_s + time_s - since_s, None
            if isinstance(command, Pulse):
                total_s += command.seconds
            elif command.level > 0:
                since_s = time_s
        return total_s if since_s is None else total_s + self.lasted_s - since_s
