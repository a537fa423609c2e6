"""An output that only remembers: for demonstrations, replays and tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field

from pydantic.dataclasses import dataclass as settings

from outputs.output import Output, Write


@settings(frozen=True, kw_only=True)
class SimulatedOutput(Output):
    """No device at all; `levels` is all that was written to it."""

    levels: list[float] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Give a function that remembers the levels."""
        yield self.levels.append
