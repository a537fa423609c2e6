"""Attempts to switch off, until the program ends, what may still be on after a stream.

One list for the whole program: a new stream of any session opens the outputs itself.
"""

from collections.abc import Mapping

from deeplabstream.core.journal_entries import Edge
from deeplabstream.engine.processes.guard import SwitchOff
from deeplabstream.plugins.output import Output

_attempts: list[SwitchOff] = []


def begin(outputs: Mapping[str, Output]) -> None:
    """Try to switch these outputs off, each in a thread of its own."""
    for name, output in outputs.items():
        _attempts.append(SwitchOff(name, output, "main process"))


def edges() -> list[Edge]:
    """Return what was switched off since the last call."""
    ended = [attempt for attempt in _attempts if isinstance(attempt.result, Edge)]
    for attempt in ended:
        _attempts.remove(attempt)
    return [attempt.result for attempt in ended if isinstance(attempt.result, Edge)]


def stop() -> None:
    """Give up: from now on an engine may use the outputs."""
    for attempt in _attempts:
        attempt.stop()
    _attempts.clear()
