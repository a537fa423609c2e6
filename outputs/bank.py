"""All the outputs of a run behind one door that closes by itself."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from core.clock import Clock
from core.command import Command, Mark, OutputName, Pulse, Set, Train
from core.errors import DeviceError, ExperimentError, blaming
from core.record import Acknowledged, Edge, Note
from outputs.answers import Answers
from outputs.events import Heralds
from outputs.line import LOOK_NS, NEVER, RETRY_NS, Line, check
from outputs.output import Output

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
        self._answers, self._heralds = Answers(watch), Heralds()
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
            with blaming(f"Output {name}"):
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
            self._heralds = Heralds()
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
            with blaming(f"Output {line.name}"):
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
