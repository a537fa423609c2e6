"""Output bank: applies commands to all outputs and switches them off on every exit path.

`OutputChannel` is the state of one open output. `AcknowledgementRouter` passes
acknowledgements of devices from their threads to the bank. `PulseTimer` is the thread that
ends pulses on time while a frame is processed.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace

from deeplabstream.analysis.live_measures import RunningPulses
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
class OutputChannel:
    """State of one open output: level, next pulse edge, on-time limit, fault."""

    name: str
    output: Output
    device: AbstractContextManager[Write]
    write: Write
    level: float = 0.0
    """The worst that it may be, where a write failed."""
    pulses: RunningPulses = field(default_factory=RunningPulses)
    """Pulses since the experiment began, for its measures."""
    next_edge_ns: int = NEVER
    """When it is to go to `next_edge_level`: its pulse ends, or a pulse of its train."""
    next_edge_level: float = 0.0
    pending_edges: Iterator[tuple[int, float]] = field(default_factory=lambda: iter(()))
    """What comes after that: moments and levels."""
    begun: Pulse | Train | None = None
    """The pulse or train that was begun last; None: it was replaced or broken off."""
    begun_end_ns: int = NEVER
    """When it ends, without the margin for a device's clock."""
    put_ns: int = 0
    """When it was last about to be written."""
    raised: float = 0.0
    """The highest level since the last 0 that its device acknowledged."""
    raised_ns: int = 0
    """When a level above 0 was last about to be written."""
    acknowledged_off_ns: int = NEVER
    """When that 0 was sent, as the device's thread heard; NEVER: no 0 was acknowledged yet."""
    limit_ns: int = NEVER
    """When it will have been on for too long, or is to be tried again."""
    commanded_until_ns: int = 0
    """When what the plan commanded last ends; NEVER: not before it commands 0."""
    limited: bool = False
    """Whether it reached its on-time limit, and what was commanded has not ended since."""
    follow_up_ns: int = NEVER
    """When the output that it names is to be pulsed."""
    failed: bool = False
    autonomous: AutonomousWrite | None = field(init=False)
    """`write`, if its device makes pulses itself."""
    reporting: AcknowledgingWrite | AutonomousWrite | None = field(init=False)
    """`write`, if its device reports what it does."""

    def __post_init__(self) -> None:
        """Look once what `write` can do: each look costs 60 µs."""
        write = self.write
        self.autonomous = write if isinstance(write, AutonomousWrite) else None
        self.reporting = (
            write if isinstance(write, AcknowledgingWrite) else self.autonomous
        )

    @property
    def due_ns(self) -> int:
        """When something is to be done."""
        return min(self.next_edge_ns, self.limit_ns, self.follow_up_ns)

    @property
    def going(self) -> bool:
        """Whether it is on, or between two pulses."""
        return self.level > 0 or self.next_edge_ns < NEVER

    @property
    def unacknowledged(self) -> float:
        """The highest level that it may have if the 0 written last was not carried out."""
        return self.raised if self.acknowledged_off_ns <= self.raised_ns else 0.0

    @property
    def longest_ns(self) -> int:
        """How long it may be on."""
        return round(self.output.max_on_s * 1e9)

    def went_off(self, at_ns: int, cause: str = "pulse end") -> None:
        """Have the output that it names pulsed, later, if it went off as planned."""
        self.limited = self.limited or cause in ("limit", "board limit")
        if self.output.then and cause == "pulse end":
            self.follow_up_ns = at_ns + round(self.output.then_after_s * 1e9)

    def refuses(self, command: Set | Pulse | Train, now_ns: int) -> bool:
        """Return whether a command only goes on with what reached the on-time limit."""
        self.limited = self.limited and now_ns <= self.commanded_until_ns
        if command.level == 0:
            self.limited, self.commanded_until_ns = False, 0
        elif isinstance(command, Set):
            self.commanded_until_ns = NEVER
        else:
            self.commanded_until_ns = now_ns + round(command.seconds * 1e9)
        return self.limited

    @property
    def watched(self) -> bool:
        """Whether it is to be looked after."""
        return not self.failed and self.reporting is not None

    def beat(self, now_ns: int) -> bool:
        """Tell the device that the loop has come round; return whether it wants to know."""
        if self.failed or self.autonomous is None:
            return False
        with suppress(DeviceError):  # `raise_on_fault` raises it
            self.autonomous.heartbeat(now_ns)
        return True

    def begin(self, command: Pulse | Train, began_ns: int) -> None:
        """Expect the edges of a pulse or a train that has begun."""
        self.begun = command
        self.begun_end_ns = began_ns + round(command.seconds * 1e9)
        self.pending_edges = (
            _pulse_edges(command, began_ns)
            if self.autonomous is None
            else _device_pulse_deadline(command, began_ns)
        )
        self.advance_edge()

    def advance_edge(self) -> bool:
        """Expect the next edge instead of this one; return whether there is one."""
        self.next_edge_ns, self.next_edge_level = next(self.pending_edges, (NEVER, 0.0))
        return self.next_edge_ns < NEVER

    def take_due_edge(self, may_go_on: bool) -> tuple[float, str] | None:
        """Return what is due now, and its cause; None: nothing after all."""
        level = self.next_edge_level
        if self.next_edge_ns > self.limit_ns or (level > 0 and not may_go_on):
            late = self.next_edge_ns > self.limit_ns
            self.halt()
            return (0.0, "limit") if late else None
        return level, "train" if self.advance_edge() else "pulse end"

    def halt(self) -> None:
        """Expect no more edges."""
        self.pending_edges = iter(())
        self.begun, self.begun_end_ns = None, NEVER
        self.advance_edge()

    def lowered(
        self, command: Set | Pulse | Train, now_ns: int
    ) -> Set | Pulse | Train | None:
        """Return the part of an "on" that raises and prolongs nothing; None: there is none.

        It has the lower level and the earlier end; what would change a running train ends it.
        """
        train = self.begun if isinstance(self.begun, Train) else None
        present = train.level if train is not None and self.going else self.level
        if present == 0:
            return None
        check(command, self.output.exact)
        level, wanted_ns = min(command.level, present), NEVER
        if not isinstance(command, Set):
            wanted_ns = now_ns + round(command.seconds * 1e9)
        end_ns = min(wanted_ns, self.begun_end_ns)
        if level == present and end_ns == self.begun_end_ns:
            return None
        if train is not None or end_ns <= now_ns:
            return Set(command.output, 0.0)
        if end_ns == wanted_ns:
            return replace(command, level=level)
        return Pulse(command.output, (end_ns - now_ns) / 1e9, level)

    def makes(self, pulses: Pulse | Train | None) -> bool:
        """Return whether the device makes these pulses itself."""
        return pulses is not None and self.autonomous is not None

    def put(self, level: float, pulses: Pulse | Train | None = None) -> None:
        """Write a level; a device that can is given all the pulses that are to begin."""
        if level > 0:
            self.raised = max(level, self.unacknowledged)
            self.raised_ns = self.put_ns
        if pulses is None or self.autonomous is None:
            self.write(level)
        elif isinstance(pulses, Pulse):
            self.autonomous.train(level, pulses.seconds, 0.0, 1)
        else:
            period_s = 1 / pulses.frequency
            self.autonomous.train(level, pulses.width_s, period_s, pulses.count)

    def raise_on_fault(self) -> None:
        """Raise a DeviceError if it went wrong by itself."""
        if not self.failed and self.reporting is not None:
            with error_context(f"Output {self.name}"):
                self.reporting.check()

    def close(self, problems: list[str]) -> None:
        """Close the device; add what goes wrong, if it is new."""
        try:
            with error_context(f"Output {self.name}"):
                self.device.__exit__(None, None, None)
        except DeviceError as error:
            self.level = max(self.level, self.unacknowledged)
            if not self.failed:
                problems.append(str(error))


def _pulse_edges(command: Pulse | Train, began_ns: int) -> Iterator[tuple[int, float]]:
    """Yield the time and level of all edges but the first."""
    if isinstance(command, Pulse):
        yield began_ns + round(command.seconds * 1e9), 0.0
        return
    for number in range(command.count):
        start_ns = began_ns + round(number * 1e9 / command.frequency)
        if number:
            yield start_ns, command.level
        yield start_ns + round(command.width_s * 1e9), 0.0


def _device_pulse_deadline(
    command: Pulse | Train, began_ns: int
) -> Iterator[tuple[int, float]]:
    """Yield the time at which a device must have ended its pulses, with a margin for its clock."""
    lasts_ns = round(command.seconds * 1e9 * (1 + BACKSTOP_SHARE))
    yield began_ns + lasts_ns + BACKSTOP_NS, 0.0


def check(command: Set | Pulse | Train, exact: bool) -> None:
    """Raise an ExperimentError for what can't be done; `exact` is the output's."""
    if not 0 <= command.level <= 1:
        raise ExperimentError(f"{command}: the level must be from 0 to 1")
    if isinstance(command, Pulse) and not 0 < command.seconds < 1e9:
        raise ExperimentError(f"{command}: the duration of a pulse must be above 0")
    if not isinstance(command, Train):
        return
    if command.count < 1 or not 0 < command.frequency < 1e6:
        raise ExperimentError(
            f"{command}: a train needs at least one pulse and a frequency above 0"
        )
    pause_s = 1 / command.frequency - command.width_s
    if not 0 < command.width_s < 1e9 or pause_s <= 0:
        raise ExperimentError(f"{command}: a pulse must end before the next begins")
    shortest_s = min(command.width_s, pause_s if command.count > 1 else command.width_s)
    if not exact and shortest_s < SHORTEST_S:
        raise ExperimentError(
            f"{command}: pulses and pauses must last at least {1000 * SHORTEST_S:g} ms "
            "here; a pin of a board with our firmware (KIND = BoardPin) makes shorter ones"
        )


class AcknowledgementRouter:
    """Routes acknowledgements at once; keeps for the bank what a device did by itself.

    A device's thread never waits for the bank, which may be waiting for the device.
    """

    def __init__(self, watch: Callable[[Acknowledged], object]) -> None:
        self.watch = watch
        self._ended: deque[tuple[str, DeviceReport]] = deque()

    def listen_to(self, channel: OutputChannel) -> None:
        """Hear what this output's device says, if it says anything."""
        if channel.reporting is not None:
            channel.reporting.on_report = lambda done: self._heard(channel, done)

    def follow(self, channels: Mapping[str, OutputChannel]) -> Iterator[Edge]:
        """Take note of outputs that went off by themselves, and yield that."""
        while self._ended:
            name, done = self._ended.popleft()
            channel, at_ns = channels.get(name), done.acted_ns
            if channel is not None and channel.put_ns <= at_ns:
                channel.halt()
                channel.level, channel.limit_ns = 0.0, NEVER
                channel.went_off(at_ns, done.cause)
                yield Edge(name, 0.0, done.cause, at_ns, at_ns)

    def _heard(self, channel: OutputChannel, done: DeviceReport) -> None:
        name, level, sent_ns = channel.name, done.level, done.sent_ns
        if level == 0:
            channel.acknowledged_off_ns = sent_ns
        if done.cause:
            self._ended.append((name, done))
        times = sent_ns, done.acted_ns, done.received_ns
        self.watch(Acknowledged(name, level, *times, done.cause))


Watch = Callable[[Edge | Acknowledged | Note], object]
"""Told of all that was written, right afterwards, by the thread that wrote it, and of what
devices acknowledge, by theirs."""


@contextmanager
def opened(
    outputs: Mapping[str, Output], clock: Clock, watch: Watch
) -> Iterator["OutputBank"]:
    """Open all outputs, switched off; they go off and are closed on every way out.

    What goes wrong while closing is a DeviceError, or a `Note` where another error is
    already on its way.
    """
    bank = OutputBank(clock, watch)
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


class OutputBank:
    """Thread-safe bank of the open outputs of a run.

    One lock guards them all: a write is short, and what was written is told in its order.
    A write that fails switches everything off, is tried again by `tick` until it is off,
    and from then on nothing can be switched on; switching off is never refused.
    """

    def __init__(self, clock: Clock, watch: Watch) -> None:
        self.condition = threading.Condition()
        """The lock; notified when something falls due before `tick` said."""
        self.left_on: tuple[str, ...] = ()
        """After closing: outputs that may still be on, because a 0 could not be written, or
        their device failed before it acknowledged it."""
        self._clock = clock
        self._watch = watch
        self._channels: dict[str, OutputChannel] = {}
        self._acknowledgements, self._event_senders = (
            AcknowledgementRouter(watch),
            EventSenders(),
        )
        self._untold: list[Edge | Note | Mark] = []
        self._said_ns = NEVER
        self._fault = ""

    @property
    def levels(self) -> Mapping[str, float]:
        """The level of every output; the worst it may be where a write failed."""
        with self.condition:
            return {name: channel.level for name, channel in self._channels.items()}

    def restart_totals(self, now_ns: int) -> None:
        """Begin an experiment: end what a test began, count pulses anew, forget limits."""
        with self._transaction(now_ns):
            channels = self._channels.values()
            begun = [each for each in channels if each.due_ns < NEVER or each.level > 0]
            for problem in self._off(begun, now_ns, "stop"):
                self._untold.append(Note("error", problem, now_ns))
            for channel in channels:
                channel.limited = False
                channel.pulses.restart(now_ns)

    def totals(self, now_ns: int) -> list[tuple[str, str, str, float]]:
        """Return the measures of all outputs up to a moment, as in `Measured.values`."""
        with self.condition:
            return [
                value
                for name, channel in self._channels.items()
                for value in channel.pulses.until(now_ns).values(name)
            ]

    @property
    def fault(self) -> str:
        """Why nothing can be switched on any more; empty: it can."""
        return self._fault

    def apply(
        self,
        commands: Sequence[Command],
        now_ns: int,
        cause: str = "plan",
        only_lower: str = "",
    ) -> int | None:
        """Do what was due by `now_ns`, then the commands in their order.

        Returns when the last write was over, None if nothing had to be written: a level
        that an output has already is not written again, but 0 always is. Whatever goes
        wrong, a device or a command that can't be carried out, switches everything off.
        With `only_lower`, a reason, commands can only lower levels and end pulses earlier;
        a note gives the reason where they ask for more.
        """
        written_ns = None
        with self._transaction(now_ns):
            self._apply_due_edges(now_ns)
            for command in commands:
                if isinstance(command, Mark):
                    self._untold.append(command)
                    continue
                if only_lower:
                    at_ns = self._lower(command, now_ns, cause, only_lower)
                else:
                    at_ns = self._obey(command, now_ns, cause)
                written_ns = written_ns if at_ns is None else at_ns
        return written_ns

    def tick(self, now_ns: int) -> int | None:
        """Switch off what is due; return when to come again, None: nothing is pending.

        Outputs that went wrong by themselves are noticed here: all are switched off.
        """
        with self._transaction(now_ns):
            self._apply_due_edges(now_ns)
            channels = self._channels.values()
            for channel in channels:
                self._look_after(channel)
            self._said_ns = min((channel.due_ns for channel in channels), default=NEVER)
            if any(channel.watched for channel in channels):
                self._said_ns = min(self._said_ns, now_ns + LOOK_NS)
            return None if self._said_ns == NEVER else self._said_ns

    def all_off(self, now_ns: int, cause: str) -> None:
        """Do what was due by `now_ns`; then write 0 to all, each even if another fails."""
        with self._transaction(now_ns):
            self._apply_due_edges(now_ns)
            problems = self._all_off(now_ns, cause)
        if problems:
            raise DeviceError("\n".join(problems))

    def beat(self, now_ns: int) -> bool:
        """Tell devices with a watchdog, if there are any, that the loop has come round."""
        fed = [channel.beat(now_ns) for channel in [*self._channels.values()]]
        return any(fed)

    def fail(self, why: str, now_ns: int) -> None:
        """Refuse to switch anything on from now on, and tell why."""
        with self.condition:
            self._fault = self._fault or why
            self._watch(Note("error", why, now_ns))

    def switch_off_and_latch(self, why: str, now_ns: int, cause: str) -> None:
        """Write 0 to all outputs, then refuse to switch anything on, and tell why."""
        with self._transaction(now_ns):
            self._fault = self._fault or why
            problems = self._all_off(now_ns, cause)
            self._untold.append(Note("error", "\n".join([why, *problems]), now_ns))

    def open(self, name: str, output: Output) -> None:
        """Open one more output and write 0 to it."""
        now_ns = self._clock.now_ns()
        with self._transaction(now_ns):
            with error_context(f"Output {name}"):
                device = output.opened()
                write = device.__enter__()
            channel = OutputChannel(name, output, device, write)
            self._channels[name] = channel
            self._acknowledgements.listen_to(channel)
            self._write(channel, 0.0, now_ns, "open")
            self._event_senders.add(name, write)

    def close(self) -> list[str]:
        """Switch everything off, close it, and return what is not yet known to fail."""
        now_ns = self._clock.now_ns()
        problems: list[str] = []
        acknowledged: list[Acknowledged] = []
        with self.condition, ExitStack() as afterwards:
            channels, self._channels = self._channels, {}
            reporting = [each for each in channels.values() if each.reporting]
            others = [each for each in channels.values() if not each.reporting]
            for channel in others:  # they send the events of the reporting ones
                afterwards.callback(channel.close, problems)
            afterwards.callback(self._tell_closed, channels, acknowledged)
            for channel in reporting:  # closing waits for a 0 that is under way
                afterwards.callback(channel.close, problems)
            self._fault = self._fault or "the outputs are closed"
            self._acknowledgements.watch = acknowledged.append  # told after their edges
            problems += self._off(channels.values(), now_ns, "close")
        return problems

    def _tell_closed(
        self, channels: Mapping[str, OutputChannel], acknowledged: list[Acknowledged]
    ) -> None:
        """Tell what was written on closing, except to outputs that may still be on."""
        self.left_on = tuple(
            name for name, channel in channels.items() if channel.level > 0
        )
        self._untold = [
            entry
            for entry in self._untold
            if not (isinstance(entry, Edge) and entry.output in self.left_on)
        ]
        self._tell()
        for done in acknowledged:
            self._watch(done)

    @contextmanager
    def _transaction(self, now_ns: int) -> Iterator[None]:
        with self.condition:
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
                    self._event_senders.send_event(entry)
        except BaseException as error:
            self._fault = self._fault or str(error)
            self._event_senders = EventSenders()
            self._all_off(self._clock.now_ns(), "error")
            self._tell()
            raise

    def _lower(
        self, command: Set | Pulse | Train, now_ns: int, cause: str, why: str
    ) -> int | None:
        """Carry out the part of a command that raises and prolongs nothing; note the rest."""
        channel = self._channels.get(command.output)
        kept: Set | Pulse | Train | None = command
        if command.level != 0:
            kept = channel.lowered(command, now_ns) if channel is not None else None
        if kept != command:
            not_done = "switched on" if kept is None else "raised or kept on longer"
            text = f"{command.output} was not {not_done}: {why}"
            self._untold.append(Note("output", text, now_ns))
        return None if kept is None else self._obey(kept, now_ns, cause, from_now=True)

    def _obey(
        self,
        command: Set | Pulse | Train,
        now_ns: int,
        cause: str,
        from_now: bool = False,
    ) -> int | None:
        """Carry out a command; its pulses begin when they are written, or `from_now`."""
        channel = self._channels.get(command.output)
        level = command.level
        if self._fault and (level > 0 or channel is None):
            raise DeviceError(self._fault)
        if channel is None:
            raise ExperimentError(f"there is no [Output {command.output}]")
        check(command, channel.output.exact)
        if cause == "plan" and channel.refuses(command, now_ns):
            return None
        was_on, written_ns = channel.going, None
        pulses = None if isinstance(command, Set) or level == 0 else command
        channel.halt()
        if level == 0 or level != channel.level or channel.makes(pulses):
            written_ns = self._write(channel, level, now_ns, cause, pulses)
        if level > 0:
            channel.follow_up_ns = NEVER
        elif was_on and written_ns is not None:
            channel.went_off(written_ns)
        if pulses is not None:
            began_ns = now_ns if written_ns is None or from_now else written_ns
            channel.begin(pulses, began_ns)
        self._expect(channel)
        return written_ns

    def _expect(self, channel: OutputChannel) -> None:
        if channel.due_ns < self._said_ns:
            self._said_ns = channel.due_ns
            self.condition.notify_all()

    def _apply_due_edges(self, now_ns: int) -> None:
        self._untold += self._acknowledgements.follow(self._channels)
        for channel in self._channels.values():
            if channel.due_ns > now_ns:
                continue
            if channel.failed:
                self._off([channel], channel.due_ns, "error")
            while channel.due_ns <= now_ns and not channel.failed:
                self._apply_next_edge(channel)

    def _apply_next_edge(self, channel: OutputChannel) -> None:
        due_ns = channel.due_ns
        if channel.follow_up_ns <= due_ns:
            self._follow(channel)
        elif edge := channel.take_due_edge(may_go_on=not self._fault):
            written_ns = self._write(channel, edge[0], due_ns, edge[1])
            channel.went_off(written_ns, edge[1])
            if edge[1] == "limit":
                text = f"[Output {channel.name}] MAX_ON_S = {channel.output.max_on_s:g}: off "
                text += (
                    "until the experiment commands 0, or its pulses would have ended"
                )
                self._untold.append(Note("output", text, written_ns))

    def _follow(self, channel: OutputChannel) -> None:
        """Pulse the output that another one names."""
        requested_ns, channel.follow_up_ns = channel.follow_up_ns, NEVER
        taker = self._channels.get(channel.output.then or "")
        if taker is not None and not self._fault:
            pulse = Pulse(OutputName(taker.name), channel.output.then_s)
            taker.begin(pulse, self._write(taker, 1.0, requested_ns, "then", pulse))
            self._expect(taker)

    def _all_off(self, now_ns: int, cause: str) -> list[str]:
        return self._off(self._channels.values(), now_ns, cause)

    def _off(
        self, channels: Iterable[OutputChannel], now_ns: int, cause: str
    ) -> list[str]:
        """Write 0 to all; return the failures of those that had not failed before."""
        problems = []
        for channel in channels:
            known, channel.follow_up_ns = channel.failed, NEVER
            channel.halt()
            try:
                self._write(channel, 0.0, now_ns, cause)
            except Exception as error:
                if not known:
                    problems.append(str(error))
        return problems

    def _look_after(self, channel: OutputChannel) -> None:
        try:
            channel.raise_on_fault()
        except DeviceError as error:
            self._note_failure(channel, channel.level, error)
            raise

    def _note_failure(
        self, channel: OutputChannel, level: float, error: BaseException
    ) -> None:
        channel.failed = True
        channel.level = max(channel.level, level, channel.unacknowledged)
        channel.halt()
        channel.limit_ns = self._clock.now_ns() + RETRY_NS
        self._expect(channel)
        self._fault = self._fault or str(error) or type(error).__name__

    def _write(
        self,
        channel: OutputChannel,
        level: float,
        requested_ns: int,
        cause: str,
        pulses: Pulse | Train | None = None,
    ) -> int:
        channel.put_ns = self._clock.now_ns()
        try:
            with error_context(f"Output {channel.name}"):
                channel.put(level, pulses)
        except BaseException as error:
            self._note_failure(channel, level, error)
            raise
        written_ns = self._clock.now_ns()
        if level == 0 and channel.next_edge_ns == NEVER:
            channel.limit_ns = NEVER
        elif channel.limit_ns == NEVER:
            channel.limit_ns = written_ns + channel.longest_ns
        channel.level = level
        channel.pulses.edge(written_ns, level)
        self._untold.append(Edge(channel.name, level, cause, requested_ns, written_ns))
        return written_ns


LONGEST_WAIT_S = 3600.0


class PulseTimer:
    """Timer thread of a bank: sleeps to the next deadline and ticks the bank.

    Use: `with PulseTimer(bank, clock): …`.

    An output that fails meanwhile becomes a `Note("error", …)`, and the bank refuses to
    switch anything on, so that the loop learns of it with its next command.
    """

    def __init__(self, bank: OutputBank, clock: Clock) -> None:
        self._bank = bank
        self._clock = clock
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def __enter__(self) -> "PulseTimer":
        """Start the thread."""
        _set_timer(fine=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread; what is still pending stays pending."""
        with self._bank.condition:
            self._stopped = True
            self._bank.condition.notify_all()
        self._thread.join()
        _set_timer(fine=False)

    def _run(self) -> None:
        with self._bank.condition:
            while not self._stopped:
                due_ns = self._tick()
                wait_s = None
                if due_ns is not None:
                    wait_s = (due_ns - self._clock.now_ns()) / 1e9
                    wait_s = min(max(wait_s, 0.0), LONGEST_WAIT_S)
                self._bank.condition.wait(wait_s)

    def _tick(self) -> int | None:
        now_ns = self._clock.now_ns()
        try:
            return self._bank.tick(now_ns)
        except Exception as error:
            self._bank.fail(str(error) or type(error).__name__, now_ns)
            return now_ns + RETRY_NS


def catch_up(bank: OutputBank, clock: ManualClock, until_ns: int) -> None:
    """Put a manual clock forward, and do on the way what falls due, when it is due.

    It does for a replay what a `PulseTimer` does for a live run; to be called before a frame.
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
