"""An output that fails at a write, and who listens to a bank."""

from collections.abc import Callable
from dataclasses import field

from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import OutputName
from deeplabstream.core.journal_entries import Edge, Note
from outputs.simulated_output import SimulatedOutput

LASER, LAMP, NOBODY = OutputName("laser"), OutputName("lamp"), OutputName("nobody")
SECOND = 1_000_000_000


@settings(frozen=True, kw_only=True)
class Stubborn(SimulatedOutput):
    """Fails at one write, counted from 0, or from there on."""

    fails_at: int = -1
    for_good: bool = False
    asked: list[float] = field(default_factory=list, init=False)

    def opened(self):
        return _Refusing(self)


class _Refusing:
    def __init__(self, output: Stubborn) -> None:
        self.output = output

    def __enter__(self) -> Callable[[float], object]:
        return self.write

    def __exit__(self, *error: object) -> None:
        assert error == (None, None, None)

    def write(self, level: float) -> None:
        place = len(self.output.asked)
        self.output.asked.append(level)
        at = self.output.fails_at
        if place == at or (self.output.for_good and place > at >= 0):
            raise OSError("the cable is out")
        self.output.levels.append(level)


class Watcher(list[Edge | Note]):
    @property
    def edges(self) -> list[tuple[str, float, str]]:
        return [(e.output, e.level, e.cause) for e in self if isinstance(e, Edge)]

    @property
    def notes(self) -> list[str]:
        return [e.text for e in self if isinstance(e, Note)]
