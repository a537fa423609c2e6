"""What devices with a mind of their own answer, on its way from their threads to the bank."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from core.record import Acknowledged, Edge
from outputs.line import NEVER, Line
from outputs.output import Autonomous, Done, Watched


class Answers:
    """Passes on at once what a device did; keeps for the bank what it did by itself.

    A device's thread never waits for the bank, which may be waiting for the device.
    """

    def __init__(self, watch: Callable[[Acknowledged], object]) -> None:
        self._watch = watch
        self._ended: deque[tuple[str, Done]] = deque()

    def listen_to(self, line: Line) -> None:
        """Hear what this output's device says, if it says anything."""
        if isinstance(line.write, Autonomous | Watched):
            line.write.hear = lambda done: self._heard(line.name, done)

    def follow(self, lines: Mapping[str, Line]) -> Iterator[Edge]:
        """Take note of outputs that went off by themselves, and yield that."""
        while self._ended:
            name, done = self._ended.popleft()
            line, at_ns = lines.get(name), done.acted_ns
            if line is not None and line.put_ns <= at_ns:
                line.halt()
                line.level, line.limit_ns = 0.0, NEVER
                line.went_off(at_ns, done.cause)
                yield Edge(name, 0.0, done.cause, at_ns, at_ns)

    def _heard(self, name: str, done: Done) -> None:
        level, sent_ns, acted_ns = done.level, done.sent_ns, done.acted_ns
        if done.cause:
            self._ended.append((name, done))
        heard_ns, cause = done.heard_ns, done.cause
        self._watch(Acknowledged(name, level, sent_ns, acted_ns, heard_ns, cause))
