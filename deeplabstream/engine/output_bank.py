"""Output bank: applies commands to all outputs and switches them off on every exit path.

`Line` is one open output with its state. `Answers` passes acknowledgements of devices from
their threads to the bank. `Ticker` is the thread that ends pulses on time while a frame is
being processed.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from deeplabstream.core.clock import Clock, ManualClock
from deeplabstream.core.command import Command, Mark, OutputName, Pulse, Set, Train
from deeplabstream.core.errors import DeviceError, ExperimentError, error_context
from deeplabstream.core.journal_entries import Acknowledged, Edge, Note
from deeplabstream.plugins.event_output import EventSenders
from deeplabstream.plugins.output import (
    AcknowledgingWrite,
    AutonomousWrite,
    DeviceReport,
    Output,
    Write,
)

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
        return not self.failed and isinstance(
            self.write, AcknowledgingWrite | AutonomousWrite
        )

    def beat(self, now_ns: int) -> bool:
        """Tell the device that the loop has come round; return whether it wants to know."""
        if self.failed or not isinstance(self.write, AutonomousWrite):
            return False
        with suppress(DeviceError):  # `look` raises it
            self.write.beat(now_ns)
        return True

    def begin(self, command: Pulse | Train, began_ns: int) -> None:
        """Expect the edges of a pulse or a train that has begun."""
        alone = isinstance(self.write, AutonomousWrite)
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
        return pulses is not None and isinstance(self.write, AutonomousWrite)

    def put(self, level: float, pulses: Pulse | Train | None = None) -> None:
        """Write a level; a device that can is given all the pulses that are to begin."""
        if pulses is None or not isinstance(self.write, AutonomousWrite):
            self.write(level)
        elif isinstance(pulses, Pulse):
            self.write.train(level, pulses.seconds, 0.0, 1)
        else:
            period_s = 1 / pulses.frequency
            self.write.train(level, pulses.width_s, period_s, pulses.count)

    def look(self) -> None:
        """Raise a DeviceError if it went wrong by itself."""
        if not self.failed and isinstance(
            self.write, AcknowledgingWrite | AutonomousWrite
        ):
            with error_context(f"Output {self.name}"):
                self.write.check()

    def close(self, problems: list[str]) -> None:
        """Close the device; add what goes wrong, if it is new."""
        try:
            with error_context(f"Output {self.name}"):
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


class Answers:
    """Passes on at once what a device did; keeps for the bank what it did by itself.

    A device's thread never waits for the bank, which may be waiting for the device.
    """

    def __init__(self, watch: Callable[[Acknowledged], object]) -> None:
        self._watch = watch
        self._ended: deque[tuple[str, DeviceReport]] = deque()

    def listen_to(self, line: Line) -> None:
        """Hear what this output's device says, if it says anything."""
        if isinstance(line.write, AutonomousWrite | AcknowledgingWrite):
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

    def _heard(self, name: str, done: DeviceReport) -> None:
        level, sent_ns, acted_ns = done.level, done.sent_ns, done.acted_ns
        if done.cause:
            self._ended.append((name, done))
        heard_ns, cause = done.heard_ns, done.cause
        self._watch(Acknowledged(name, level, sent_ns, acted_ns, heard_ns, cause))


Watch = Callable[[Edge | Acknowledged | Note], object]
"""Told of all that was written, right afterwards, by the thread that wrote it, and of what
devices acknowledge, by theirs."""


@contextmanager
def opened(
    outputs: Mapping[str, Output], clock: Clock, watch: Watch
) -> Iterator["Bank"]:
    """Open all outputs, switched off; they go off and are closed on every way out.

    What goes wrong while closing is a DeviceError, or a `Note` where another error is
    already on its way.
    """
    bank = Bank(clock, watch)
    try:
        for name, output in outputs.items():
            bank.open(name, output)
        yield bank
    except BaseException:
        for problem in bank.close():
            watch(Note("error", problem, clock.now_ns()))
        raise
    if problems := bank.close():
        raise DeviceError("\n".join(problems))


class Bank:
    """The open outputs of a run; any thread may call it.

    One lock guards them all: a write is short, and what was written is told in its order.
    A write that fails switches everything off, is tried again by `tick` until it is off,
    and from then on nothing can be switched on; switching off is never refused.
    """

    def __init__(self, clock: Clock, watch: Watch) -> None:
        self.sooner = threading.Condition()
        """The lock; notified when something falls due before `tick` said."""
        self.left_on: tuple[str, ...] = ()
        """After closing: outputs that could not be written, and may still be on."""
        self._clock = clock
        self._watch = watch
        self._lines: dict[str, Line] = {}
        self._answers, self._heralds = Answers(watch), EventSenders()
        self._untold: list[Edge | Note | Mark] = []
        self._said_ns = NEVER
        self._broken = ""

    @property
    def levels(self) -> Mapping[str, float]:
        """The level of every output; the worst it may be where a write failed."""
        with self.sooner:
            return {name: line.level for name, line in self._lines.items()}

    @property
    def broken(self) -> str:
        """Why nothing can be switched on any more; empty: it can."""
        return self._broken

    def apply(
        self, commands: Sequence[Command], now_ns: int, cause: str = "plan"
    ) -> int | None:
        """Do what was due by `now_ns`, then the commands in their order.

        Returns when the last write was over, None if nothing had to be written: a level
        that an output has already is not written again, but 0 always is. Whatever goes
        wrong, a device or a command that can't be carried out, switches everything off.
        """
        written_ns = None
        with self._door(now_ns):
            self._do_due(now_ns)
            for command in commands:
                if isinstance(command, Mark):
                    self._untold.append(command)
                    continue
                at_ns = self._obey(command, now_ns, cause)
                written_ns = written_ns if at_ns is None else at_ns
        return written_ns

    def tick(self, now_ns: int) -> int | None:
        """Switch off what is due; return when to come again, None: nothing is pending.

        Outputs that went wrong by themselves are noticed here: all are switched off.
        """
        with self._door(now_ns):
            self._do_due(now_ns)
            lines = self._lines.values()
            for line in lines:
                self._look_after(line)
            self._said_ns = min((line.due_ns for line in lines), default=NEVER)
            if any(line.watched for line in lines):
                self._said_ns = min(self._said_ns, now_ns + LOOK_NS)
            return None if self._said_ns == NEVER else self._said_ns

    def all_off(self, now_ns: int, cause: str) -> None:
        """Do what was due by `now_ns`; then write 0 to all, each even if another fails."""
        with self._door(now_ns):
            self._do_due(now_ns)
            problems = self._all_off(now_ns, cause)
        if problems:
            raise DeviceError("\n".join(problems))

    def beat(self, now_ns: int) -> bool:
        """Tell devices with a watchdog, if there are any, that the loop has come round."""
        fed = [line.beat(now_ns) for line in [*self._lines.values()]]
        return any(fed)

    def fail(self, why: str, now_ns: int) -> None:
        """Refuse to switch anything on from now on, and tell why."""
        with self.sooner:
            self._broken = self._broken or why
            self._watch(Note("error", why, now_ns))

    def shut(self, why: str, now_ns: int, cause: str) -> None:
        """Write 0 to all outputs, then refuse to switch anything on, and tell why."""
        with self._door(now_ns):
            self._broken = self._broken or why
            problems = self._all_off(now_ns, cause)
            self._untold.append(Note("error", "\n".join([why, *problems]), now_ns))

    def open(self, name: str, output: Output) -> None:
        """Open one more output and write 0 to it."""
        now_ns = self._clock.now_ns()
        with self._door(now_ns):
            with error_context(f"Output {name}"):
                device = output.opened()
                write = device.__enter__()
            line = Line(name, output, device, write)
            self._lines[name] = line
            self._answers.listen_to(line)
            self._write(line, 0.0, now_ns, "open")
            self._heralds.add(name, write)

    def close(self) -> list[str]:
        """Switch everything off, close it, and return what is not yet known to fail."""
        now_ns = self._clock.now_ns()
        problems: list[str] = []
        with self.sooner, ExitStack() as afterwards:
            lines, self._lines = self._lines, {}
            for line in lines.values():
                afterwards.callback(line.close, problems)
            afterwards.callback(self._tell)
            self._broken = self._broken or "the outputs are closed"
            problems += self._off(lines.values(), now_ns, "close")
            self.left_on = tuple(name for name, line in lines.items() if line.level > 0)
        return problems

    @contextmanager
    def _door(self, now_ns: int) -> Iterator[None]:
        with self.sooner:
            try:
                yield
            except BaseException:
                for problem in self._all_off(now_ns, "error"):
                    self._untold.append(Note("error", problem, now_ns))
                raise
            finally:
                self._tell()

    def _tell(self) -> None:
        told, self._untold = self._untold, []
        try:
            for entry in told:
                if not isinstance(entry, Mark):
                    self._watch(entry)
        except BaseException:  # what can't be recorded must not go on
            self._all_off(self._clock.now_ns(), "error")
            self._untold.clear()
            raise
        try:
            for entry in told:
                if not isinstance(entry, Note):
                    self._heralds.tell(entry)
        except BaseException as error:
            self._broken = self._broken or str(error)
            self._heralds = EventSenders()
            self._all_off(self._clock.now_ns(), "error")
            self._tell()
            raise

    def _obey(
        self, command: Set | Pulse | Train, now_ns: int, cause: str
    ) -> int | None:
        line = self._lines.get(command.output)
        level = command.level
        if self._broken and (level > 0 or line is None):
            raise DeviceError(self._broken)
        if line is None:
            raise ExperimentError(f"there is no [Output {command.output}]")
        check(command, line.output.exact)
        was_on, written_ns = line.going, None
        pulses = None if isinstance(command, Set) or level == 0 else command
        line.halt()
        if level == 0 or level != line.level or line.makes(pulses):
            written_ns = self._write(line, level, now_ns, cause, pulses)
        if level > 0:
            line.then_ns = NEVER
        elif was_on and written_ns is not None:
            line.went_off(written_ns)
        if pulses is not None:
            line.begin(pulses, now_ns if written_ns is None else written_ns)
        self._expect(line)
        return written_ns

    def _expect(self, line: Line) -> None:
        if line.due_ns < self._said_ns:
            self._said_ns = line.due_ns
            self.sooner.notify_all()

    def _do_due(self, now_ns: int) -> None:
        self._untold += self._answers.follow(self._lines)
        for line in self._lines.values():
            if line.due_ns > now_ns:
                continue
            if line.failed:
                self._off([line], line.due_ns, "error")
            while line.due_ns <= now_ns and not line.failed:
                self._do_next(line)

    def _do_next(self, line: Line) -> None:
        due_ns = line.due_ns
        if line.then_ns <= due_ns:
            self._follow(line)
        elif edge := line.edge(may_go_on=not self._broken):
            written_ns = self._write(line, edge[0], due_ns, edge[1])
            line.went_off(written_ns, edge[1])

    def _follow(self, line: Line) -> None:
        """Pulse the output that another one names."""
        asked_ns, line.then_ns = line.then_ns, NEVER
        taker = self._lines.get(line.output.then or "")
        if taker is not None and not self._broken:
            pulse = Pulse(OutputName(taker.name), line.output.then_s)
            taker.begin(pulse, self._write(taker, 1.0, asked_ns, "then", pulse))
            self._expect(taker)

    def _all_off(self, now_ns: int, cause: str) -> list[str]:
        return self._off(self._lines.values(), now_ns, cause)

    def _off(self, lines: Iterable[Line], now_ns: int, cause: str) -> list[str]:
        """Write 0 to all; return the failures of those that had not failed before."""
        problems = []
        for line in lines:
            known, line.then_ns = line.failed, NEVER
            line.halt()
            try:
                self._write(line, 0.0, now_ns, cause)
            except Exception as error:
                if not known:
                    problems.append(str(error))
        return problems

    def _look_after(self, line: Line) -> None:
        try:
            line.look()
        except DeviceError as error:
            self._note_failure(line, line.level, error)
            raise

    def _note_failure(self, line: Line, level: float, error: BaseException) -> None:
        line.failed = True
        line.level = max(line.level, level)
        line.halt()
        line.limit_ns = self._clock.now_ns() + RETRY_NS
        self._expect(line)
        self._broken = self._broken or str(error) or type(error).__name__

    def _write(
        self,
        line: Line,
        level: float,
        asked_ns: int,
        cause: str,
        pulses: Pulse | Train | None = None,
    ) -> int:
        line.put_ns = self._clock.now_ns()
        try:
            with error_context(f"Output {line.name}"):
                line.put(level, pulses)
        except BaseException as error:
            self._note_failure(line, level, error)
            raise
        written_ns = self._clock.now_ns()
        if level == 0 and line.turn_ns == NEVER:
            line.limit_ns = NEVER
        elif line.limit_ns == NEVER:
            line.limit_ns = written_ns + line.longest_ns
        line.level = level
        self._untold.append(Edge(line.name, level, cause, asked_ns, written_ns))
        return written_ns


LONGEST_WAIT_S = 3600.0


class Ticker:
    """Sleeps to the bank's next deadline and ticks it; `with Ticker(bank, clock): …`.

    An output that fails meanwhile becomes a `Note("error", …)`, and the bank refuses to
    switch anything on, so that the loop learns of it with its next command.
    """

    def __init__(self, bank: Bank, clock: Clock) -> None:
        self._bank = bank
        self._clock = clock
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def __enter__(self) -> "Ticker":
        """Start the thread."""
        _set_timer(fine=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread; what is still pending stays pending."""
        with self._bank.sooner:
            self._stopped = True
            self._bank.sooner.notify_all()
        self._thread.join()
        _set_timer(fine=False)

    def _run(self) -> None:
        with self._bank.sooner:
            while not self._stopped:
                due_ns = self._tick()
                wait_s = None
                if due_ns is not None:
                    wait_s = (due_ns - self._clock.now_ns()) / 1e9
                    wait_s = min(max(wait_s, 0.0), LONGEST_WAIT_S)
                self._bank.sooner.wait(wait_s)

    def _tick(self) -> int | None:
        now_ns = self._clock.now_ns()
        try:
            return self._bank.tick(now_ns)
        except Exception as error:
            self._bank.fail(str(error) or type(error).__name__, now_ns)
            return now_ns + RETRY_NS


def catch_up(bank: Bank, clock: ManualClock, until_ns: int) -> None:
    """Put a manual clock forward, and do on the way what falls due, when it is due.

    It does for a replay what a `Ticker` does for a live run; to be called before a frame.
    """
    while (due_ns := bank.tick(clock.now_ns())) is not None and due_ns <= until_ns:
        clock.set(due_ns)
    clock.set(until_ns)


def _set_timer(fine: bool) -> None:
    """Let waits on Windows end within 1 ms instead of 16 ms, or no longer."""
    if sys.platform == "win32":
        import ctypes

        if fine:
            ctypes.windll.winmm.timeBeginPeriod(1)
        else:
            ctypes.windll.winmm.timeEndPeriod(1)
