"""One output of a bank, open, with what the bank remembers of it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

from core.command import Pulse, Set, Train
from core.errors import DeviceError, ExperimentError, blaming
from outputs.output import Autonomous, Output, Watched, Write

NEVER = 2**63 - 1
RETRY_NS = 200_000_000
"""An output that could not be written is told to go off again and again, so often."""
LOOK_NS = 100_000_000
"""How often an output is asked whether it went wrong by itself."""
SHORTEST_S = 0.002
"""Pulses and pauses of a train that the bank makes itself, an edge at a time."""
BACKSTOP_NS, BACKSTOP_SHARE = 100_000_000, 0.02
"""A device that ends its pulses itself is told to be off if it has not said so by then."""


@dataclass(slots=True)
class Line:
    """An open output."""

    name: str
    output: Output
    device: AbstractContextManager[Write]
    write: Write
    level: float = 0.0
    """The worst that it may be, where a write failed."""
    turn_ns: int = NEVER
    """When it is to go to `turn_level`: its pulse ends, or a pulse of its train."""
    turn_level: float = 0.0
    course: Iterator[tuple[int, float]] = field(default_factory=lambda: iter(()))
    """What comes after that: moments and levels."""
    put_ns: int = 0
    """When it was last about to be written."""
    limit_ns: int = NEVER
    """When it will have been on for too long, or is to be tried again."""
    then_ns: int = NEVER
    """When the output that it names is to be pulsed."""
    failed: bool = False

    @property
    def due_ns(self) -> int:
        """When something is to be done."""
        return min(self.turn_ns, self.limit_ns, self.then_ns)

    @property
    def going(self) -> bool:
        """Whether it is on, or between two pulses."""
        return self.level > 0 or self.turn_ns < NEVER

    @property
    def longest_ns(self) -> int:
        """How long it may be on."""
        return round(self.output.max_on_s * 1e9)

    def went_off(self, at_ns: int, cause: str = "pulse end") -> None:
        """Have the output that it names pulsed, later, if it went off as planned."""
        if self.output.then and cause == "pulse end":
            self.then_ns = at_ns + round(self.output.then_after_s * 1e9)

    @property
    def watched(self) -> bool:
        """Whether it is to be looked after."""
        return not self.failed and isinstance(self.write, Watched | Autonomous)

    def beat(self, now_ns: int) -> bool:
        """Tell the device that the loop has come round; return whether it wants to know."""
        if self.failed or not isinstance(self.write, Autonomous):
            return False
        with suppress(DeviceError):  # `look` raises it
            self.write.beat(now_ns)
        return True

    def begin(self, command: Pulse | Train, began_ns: int) -> None:
        """Expect the edges of a pulse or a train that has begun."""
        alone = isinstance(self.write, Autonomous)
        self.course = _last(command, began_ns) if alone else _turns(command, began_ns)
        self.turn()

    def turn(self) -> bool:
        """Expect the next edge instead of this one; return whether there is one."""
        self.turn_ns, self.turn_level = next(self.course, (NEVER, 0.0))
        return self.turn_ns < NEVER

    def edge(self, may_go_on: bool) -> tuple[float, str] | None:
        """Return what is due now, and its cause; None: nothing after all."""
        level = self.turn_level
        if self.turn_ns > self.limit_ns or (level > 0 and not may_go_on):
            late = self.turn_ns > self.limit_ns
            self.halt()
            return (0.0, "limit") if late else None
        return level, "train" if self.turn() else "pulse end"

    def halt(self) -> None:
        """Expect no more edges."""
        self.course = iter(())
        self.turn()

    def makes(self, pulses: Pulse | Train | None) -> bool:
        """Return whether the device makes these pulses itself."""
        return pulses is not None and isinstance(self.write, Autonomous)

    def put(self, level: float, pulses: Pulse | Train | None = None) -> None:
        """Write a level; a device that can is given all the pulses that are to begin."""
        if pulses is None or not isinstance(self.write, Autonomous):
            self.write(level)
        elif isinstance(pulses, Pulse):
            self.write.train(level, pulses.seconds, 0.0, 1)
        else:
            period_s = 1 / pulses.frequency
            self.write.train(level, pulses.width_s, period_s, pulses.count)

    def look(self) -> None:
        """Raise a DeviceError if it went wrong by itself."""
        if not self.failed and isinstance(self.write, Watched | Autonomous):
            with blaming(f"Output {self.name}"):
                self.write.check()

    def close(self, problems: list[str]) -> None:
        """Close the device; add what goes wrong, if it is new."""
        try:
            with blaming(f"Output {self.name}"):
                self.device.__exit__(None, None, None)
        except DeviceError as error:
            if not self.failed:
                problems.append(str(error))


def _turns(command: Pulse | Train, began_ns: int) -> Iterator[tuple[int, float]]:
    """Yield all edges but the first: when, and to which level."""
    if isinstance(command, Pulse):
        yield began_ns + round(command.seconds * 1e9), 0.0
        return
    for number in range(command.count):
        start_ns = began_ns + round(number * 1e9 / command.frequency)
        if number:
            yield start_ns, command.level
        yield start_ns + round(command.width_s * 1e9), 0.0


def _last(command: Pulse | Train, began_ns: int) -> Iterator[tuple[int, float]]:
    """Yield when a device must have ended by itself: its clock may be a little slow."""
    lasts_ns = round(command.seconds * 1e9 * (1 + BACKSTOP_SHARE))
    yield began_ns + lasts_ns + BACKSTOP_NS, 0.0


def check(command: Set | Pulse | Train, exact: bool) -> None:
    """Raise an ExperimentError for what can't be done; `exact` is the output's."""
    if not 0 <= command.level <= 1:
        raise ExperimentError(f"{command}: a level is from 0 to 1")
    if isinstance(command, Pulse) and not 0 < command.seconds < 1e9:
        raise ExperimentError(f"{command}: a pulse takes more than 0 seconds")
    if not isinstance(command, Train):
        return
    if command.count < 1 or not 0 < command.frequency < 1e6:
        raise ExperimentError(
            f"{command}: at least one pulse, and more than 0 a second"
        )
    pause_s = 1 / command.frequency - command.width_s
    if not 0 < command.width_s < 1e9 or pause_s <= 0:
        raise ExperimentError(f"{command}: a pulse must end before the next begins")
    shortest_s = min(command.width_s, pause_s if command.count > 1 else command.width_s)
    if not exact and shortest_s < SHORTEST_S:
        raise ExperimentError(
            f"{command}: its pulses and pauses take {1000 * SHORTEST_S:g} ms at the least "
            "here; a pin of a board with our firmware (KIND = BoardPin) makes shorter ones"
        )
