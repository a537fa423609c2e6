"""Output bank: applies commands to all outputs and switches them off on every exit path.

`OutputChannel` is the state of one open output, and which commands it can carry out.
`AcknowledgementRouter` passes acknowledgements of devices from their threads to the bank.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace

from deeplabstream.analysis.live_measures import RunningPulses
from deeplabstream.core.clock import Clock
from deeplabstream.core.command import Command, Mark, OutputName, Pulse, Set, Train
from deeplabstream.core.errors import DeviceError, ExperimentError, error_context
from deeplabstream.core.journal_entries import Acknowledged, Edge, Note
from deeplabstream.engine.dose_accounts import OutputDoses, doses_in_memory
from deeplabstream.plugins.event_output import EventSenders
from deeplabstream.plugins.output import (
    AcknowledgingWrite,
    AutonomousWrite,
    DeviceReport,
    Output,
    Write,
)
from deeplabstream.recording.given_doses import DOSES, given_text

RETRY_NS = 200_000_000
"""Interval at which the write of 0 is repeated after a failed write."""
DEVICE_CHECK_NS = 100_000_000
"""Interval at which reporting devices are checked for faults."""
NOT_SWITCHED_ON = " was not switched on: "
"""Part of the note on a command that a limit per hour or day has refused."""
NEVER = 2**63 - 1
SHORTEST_S = 0.002
"""Shortest pulse or pause of a train whose edges the bank writes itself."""
BACKSTOP_NS, BACKSTOP_SHARE = 100_000_000, 0.02
"""Margin after which the bank writes 0 to a device that should have ended its pulses."""


@dataclass(slots=True)
class OutputChannel:
    """State of one open output: level, next pulse edge, on-time limit, fault.

    ::

                 Set, Pulse or Train above 0
          off ──────────────────────────────────► on ◄───────┐
           ▲                                      │  │       │ next pulse
           │◄── 0 commanded, pulse end, ──────────┘  ▼       │ of the train
           │    limit, silence, lost           pause of a train
           │◄─────────────────────────────────────┘
           │
           │   a write or the device fails (from any state)
           └─►  failed: `level` is the worst case; 0 is written every RETRY_NS

    `limited` goes beside these: MAX_ON_S switched the output off, and commands of the plan
    that only continue the same "on" are refused until the plan commands 0 or its last pulse
    would have ended. `failed` is final: a new bank is opened for the next attempt.
    """

    name: str
    output: Output
    device: AbstractContextManager[Write]
    write: Write
    doses: OutputDoses | None = None
    """What it has given, and its limits per hour and day; None: it has no such limits."""
    level: float = 0.0
    """Present level; the highest possible one after a write failed."""
    pulses: RunningPulses = field(default_factory=RunningPulses)
    """Pulses since the experiment began, for its measures."""
    next_edge_ns: int = NEVER
    """When `next_edge_level` is due: the end of a pulse, or a pulse of a train."""
    next_edge_level: float = 0.0
    pending_edges: Iterator[tuple[int, float]] = field(default_factory=lambda: iter(()))
    """Times and levels of the edges after the next one."""
    active_pulses: Pulse | Train | None = None
    """The last pulse or train that began; None: it was replaced or stopped."""
    active_end_ns: int = NEVER
    """When `active_pulses` ends, without the margin for a device's clock."""
    write_started_ns: int = 0
    """When the last write began."""
    peak_level: float = 0.0
    """The highest level since the last 0 that its device acknowledged."""
    on_started_ns: int = 0
    """When the last write of a level above 0 began."""
    acknowledged_off_ns: int = NEVER
    """When the last acknowledged 0 was sent; NEVER: no 0 was acknowledged yet."""
    limit_ns: int = NEVER
    """When MAX_ON_S is reached; after a fault: when 0 is written again."""
    commanded_until_ns: int = 0
    """When the last command of the plan ends; NEVER: at its next 0."""
    limited: bool = False
    """Whether MAX_ON_S was reached by a command that has not ended since."""
    limit_key: str = "MAX_ON_S"
    """Key of the setting that determines `limit_ns`."""
    follow_up_ns: int = NEVER
    """When the output named by THEN is to be pulsed."""
    failed: bool = False
    autonomous: AutonomousWrite | None = field(init=False)
    """`write`, if its device makes pulses itself."""
    reporting: AcknowledgingWrite | AutonomousWrite | None = field(init=False)
    """`write`, if its device reports its actions."""

    def __post_init__(self) -> None:
        """Detect the abilities of the device once: `isinstance` with a Protocol takes 60 µs."""
        write = self.write
        self.autonomous = write if isinstance(write, AutonomousWrite) else None
        self.reporting = self.autonomous
        if isinstance(write, AcknowledgingWrite):
            self.reporting = write
            # levels go to the driver's function directly: one call less for each write
            if type(write) is AcknowledgingWrite:
                self.write = write.write

    @property
    def due_ns(self) -> int:
        """When the next edge, limit or follow-up pulse is due."""
        return min(self.next_edge_ns, self.limit_ns, self.follow_up_ns)

    @property
    def active(self) -> bool:
        """Whether it is on, or between two pulses."""
        return self.level > 0 or self.next_edge_ns < NEVER

    @property
    def unacknowledged(self) -> float:
        """The highest level it can have if the device did not carry out the last 0."""
        off_is_known = self.acknowledged_off_ns > self.on_started_ns
        return 0.0 if off_is_known else self.peak_level

    @property
    def max_on_ns(self) -> int:
        """Maximum on-time."""
        return round(self.output.max_on_s * 1e9)

    def record_off(self, at_ns: int, cause: str = "pulse end") -> None:
        """Schedule the follow-up pulse if it went off as planned; note a limit."""
        self.limited = self.limited or cause in ("limit", "board limit")
        # another output follows planned ends only, not a limit, a fault or a stop
        if self.output.then and cause == "pulse end":
            self.follow_up_ns = at_ns + round(self.output.then_after_s * 1e9)

    def charge(self, command: Set | Pulse | Train, now_ns: int) -> str:
        """Count the dose of a command that switches on; return why it is refused, or ""."""
        only_set = self.active and self.active_pulses is None
        repeated = only_set and command == Set(command.output, self.level)
        if self.doses is None or repeated:
            return ""
        active_s = None
        if only_set and isinstance(command, Set):
            active_s = max(self.limit_ns - now_ns, 0) / 1e9
        return (
            "" if self.doses.charge(command, active_s, now_ns) else self.doses.refusal
        )

    def limit_set(self, began_ns: int) -> None:
        """Let a limit per hour or day end the `Set` that has begun."""
        if self.doses is not None and self.doses.granted_by:
            limit_ns = began_ns + round(self.doses.granted_s * 1e9)
            self.limit_ns = min(self.limit_ns, limit_ns)
            self.limit_key = self.doses.granted_by

    def settle(self, at_ns: int) -> None:
        """Count what was given of a dose that has ended."""
        if self.doses is not None:
            self.doses.settle(at_ns)

    @property
    def limit_text(self) -> str:
        """Why the output went off at its limit."""
        if self.limit_key == "MAX_ON_S":
            return f"MAX_ON_S = {self.output.max_on_s:g}"
        return f"{self.limit_key} is reached"

    def refuses(self, command: Set | Pulse | Train, now_ns: int) -> bool:
        """Return whether a command only continues an "on" that reached MAX_ON_S."""
        # the limit holds only as long as the command that reached it would have lasted
        self.limited = self.limited and now_ns <= self.commanded_until_ns

        if command.level == 0:
            self.limited, self.commanded_until_ns = False, 0
        elif isinstance(command, Set):
            self.commanded_until_ns = NEVER
        else:
            self.commanded_until_ns = now_ns + round(command.seconds * 1e9)
        return self.limited

    @property
    def needs_checks(self) -> bool:
        """Whether its device must be checked for faults."""
        return not self.failed and self.reporting is not None

    def heartbeat(self, now_ns: int) -> bool:
        """Reset the device's watchdog; return whether it has one."""
        if self.failed or self.autonomous is None:
            return False
        with suppress(DeviceError):  # `raise_on_fault` raises it
            self.autonomous.heartbeat(now_ns)
        return True

    def begin(self, pulses: Pulse | Train, began_ns: int) -> None:
        """Schedule the edges of a pulse or a train that has begun."""
        self.active_pulses = pulses
        self.active_end_ns = began_ns + round(pulses.seconds * 1e9)
        # a device that makes its pulses itself needs one deadline only, as a backstop
        self.pending_edges = (
            _pulse_edges(pulses, began_ns)
            if self.autonomous is None
            else _device_pulse_deadline(pulses, began_ns)
        )
        self.advance_edge()

    def advance_edge(self) -> bool:
        """Replace this edge by the next one; return whether there is one."""
        self.next_edge_ns, self.next_edge_level = next(self.pending_edges, (NEVER, 0.0))
        return self.next_edge_ns < NEVER

    def pop_due_edge(self, may_switch_on: bool) -> tuple[float, str] | None:
        """Return the level that is due now, and its cause; None: the train was stopped."""
        level = self.next_edge_level

        # A limit before the edge ends the train, also in a pause. While outputs are faulty
        # a train stops in its pause: its next pulse would switch on.
        limit_reached = self.next_edge_ns > self.limit_ns
        if limit_reached or (level > 0 and not may_switch_on):
            self.cancel_pulses()
            return (0.0, "limit") if limit_reached else None

        return level, "train" if self.advance_edge() else "pulse end"

    def cancel_pulses(self) -> None:
        """Discard all pending edges."""
        self.pending_edges = iter(())
        self.active_pulses, self.active_end_ns = None, NEVER
        self.advance_edge()

    def lowering_part(
        self, command: Set | Pulse | Train, now_ns: int
    ) -> Set | Pulse | Train | None:
        """Return the part of a command that neither raises nor prolongs the level; None: empty.

        It has the lower level and the earlier end. A command that would change a running
        train ends it.
        """
        train = self.active_pulses if isinstance(self.active_pulses, Train) else None
        # during a pause of a train the level is 0, but the output counts as on
        present = train.level if train is not None and self.active else self.level
        if present == 0:
            return None
        check_command(command, self.output.exact)

        level, commanded_end_ns = min(command.level, present), NEVER
        if not isinstance(command, Set):
            commanded_end_ns = now_ns + round(command.seconds * 1e9)
        end_ns = min(commanded_end_ns, self.active_end_ns)

        if level == present and end_ns == self.active_end_ns:
            return None
        if train is not None or end_ns <= now_ns:
            return Set(command.output, 0.0)
        if end_ns == commanded_end_ns:
            return replace(command, level=level)
        return Pulse(command.output, (end_ns - now_ns) / 1e9, level)

    def delegates(self, pulses: Pulse | Train | None) -> bool:
        """Return whether the device makes these pulses itself."""
        return pulses is not None and self.autonomous is not None

    def send(self, level: float, pulses: Pulse | Train | None = None) -> None:
        """Write a level; an autonomous device receives all pulses that begin with it."""
        # recorded before the write: a write that fails may still have reached the
        # device
        if level > 0:
            self.peak_level = max(level, self.unacknowledged)
            self.on_started_ns = self.write_started_ns

        if pulses is None or self.autonomous is None:
            self.write(level)
        elif isinstance(pulses, Pulse):
            self.autonomous.train(level, pulses.seconds, 0.0, 1)
        else:
            period_s = 1 / pulses.frequency
            self.autonomous.train(level, pulses.width_s, period_s, pulses.count)

    def raise_on_fault(self) -> None:
        """Raise a DeviceError if the device reports a fault."""
        if not self.failed and self.reporting is not None:
            with error_context(f"Output {self.name}"):
                self.reporting.check()

    def close(self, problems: list[str]) -> None:
        """Close the device; add an error to `problems` unless one was reported before."""
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


def check_command(command: Set | Pulse | Train, exact: bool) -> None:
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
    """Forwards acknowledgements at once; queues unrequested actions of a device.

    A device's thread never waits for the bank, which may be waiting for the device.
    """

    def __init__(self, watch: Callable[[Acknowledged], object]) -> None:
        self.watch = watch
        self._device_actions: deque[tuple[str, DeviceReport]] = deque()

    def register(self, channel: OutputChannel) -> None:
        """Receive the reports of this output's device, if it sends reports."""
        if channel.reporting is not None:
            channel.reporting.on_report = lambda report: self._receive(channel, report)

    def apply_reports(self, channels: Mapping[str, OutputChannel]) -> Iterator[Edge]:
        """Update outputs that their device switched off; yield an edge for each."""
        while self._device_actions:
            name, report = self._device_actions.popleft()
            channel, at_ns = channels.get(name), report.acted_ns
            # a report from before the last write is stale: the output may be on again
            if channel is not None and channel.write_started_ns <= at_ns:
                channel.cancel_pulses()
                channel.level, channel.limit_ns = 0.0, NEVER
                channel.settle(at_ns)
                channel.record_off(at_ns, report.cause)
                yield Edge(name, 0.0, report.cause, at_ns, at_ns)

    def _receive(self, channel: OutputChannel, report: DeviceReport) -> None:
        """Pass a report on, in the thread of the device."""
        name, level, sent_ns = channel.name, report.level, report.sent_ns
        if level == 0:
            channel.acknowledged_off_ns = sent_ns
        if report.cause:  # only what the device did by itself has a cause
            self._device_actions.append((name, report))
        times = sent_ns, report.acted_ns, report.received_ns
        self.watch(Acknowledged(name, level, *times, report.cause))


Watch = Callable[[Edge | Acknowledged | Note], object]
"""Receives each write, right after it, in the writing thread; and each acknowledgement,
in the device's thread."""


@contextmanager
def opened(
    outputs: Mapping[str, Output],
    clock: Clock,
    watch: Watch,
    doses: Mapping[str, OutputDoses] | None = None,
) -> Iterator["OutputBank"]:
    """Open all outputs, switched off; they are switched off and closed on every exit path.

    `doses`: of the outputs with limits per hour and day; None: counted here from zero. An
    error while closing is a DeviceError, or a `Note` if another error is already being raised.
    """
    if doses is None:
        doses = doses_in_memory(outputs, clock)
    bank = OutputBank(clock, watch, doses)
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

    One lock guards all outputs: a write is short, and writes are reported in their order.
    A write that fails switches everything off, is repeated by `tick` until it succeeds,
    and from then on nothing can be switched on; switching off is never refused.
    """

    def __init__(
        self, clock: Clock, watch: Watch, doses: Mapping[str, OutputDoses]
    ) -> None:
        self.condition = threading.Condition()
        """The lock; notified when something falls due before the next tick."""
        self.left_on: tuple[str, ...] = ()
        """After closing: outputs that may still be on, because a 0 could not be written, or
        their device failed before it acknowledged it."""
        self._clock = clock
        self._watch = watch
        self._doses = doses
        self._channels: dict[str, OutputChannel] = {}
        self._acknowledgements = AcknowledgementRouter(watch)
        self._event_senders = EventSenders()
        self._unreported: list[Edge | Note | Mark] = []
        self._next_tick_ns = NEVER
        self._fault = ""

    @property
    def levels(self) -> Mapping[str, float]:
        """The level of every output; the highest possible one where a write failed."""
        with self.condition:
            return {name: channel.level for name, channel in self._channels.items()}

    def restart_totals(self, now_ns: int) -> None:
        """Begin an experiment: end pulses of a test, reset the totals and the limits."""
        with self._transaction(now_ns):
            channels = self._channels.values()
            active = [it for it in channels if it.due_ns < NEVER or it.level > 0]
            for problem in self._off(active, now_ns, "stop"):
                self._unreported.append(Note("error", problem, now_ns))

            for channel in channels:
                channel.limited = False
                channel.pulses.restart(now_ns)
                if channel.doses and (doses := channel.doses.given_before(now_ns)):
                    text = given_text(channel.name, doses)
                    self._unreported.append(Note(DOSES, text, now_ns))
                if channel.doses and (given := channel.doses.summary(now_ns)):
                    text = (
                        f"[Output {channel.name}] given before this experiment: {given}"
                    )
                    self._unreported.append(Note("output", text, now_ns))

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
        """Why outputs can no longer be switched on; empty: they can."""
        return self._fault

    def apply(
        self,
        commands: Sequence[Command],
        now_ns: int,
        cause: str = "plan",
        only_lower: str = "",
    ) -> int | None:
        """Apply the edges due by `now_ns`, then the commands in their order.

        Returns when the last write ended, None if nothing was written: a level that an
        output has already is not written again, but 0 always is. Any error, of a device or
        of a command, switches everything off. With `only_lower`, a reason, commands can
        only lower levels and end pulses earlier; a note gives the reason for the rest.
        """
        written_ns = None
        with self._transaction(now_ns):
            # first, so that a pulse that ended before this command is recorded as ended
            self._apply_due_edges(now_ns)

            for command in commands:
                if isinstance(command, Mark):
                    self._unreported.append(command)
                    continue
                if only_lower:
                    at_ns = self._execute_lowering(command, now_ns, cause, only_lower)
                else:
                    at_ns = self._execute(command, now_ns, cause)
                written_ns = written_ns if at_ns is None else at_ns
        return written_ns

    def tick(self, now_ns: int) -> int | None:
        """Apply due edges and limits; return when to call again, None: nothing is pending.

        Detects faults of devices: one switches all outputs off.
        """
        with self._transaction(now_ns):
            self._apply_due_edges(now_ns)
            channels = self._channels.values()
            for channel in channels:
                self._check_device(channel)

            deadlines = [channel.due_ns for channel in channels]
            if any(channel.needs_checks for channel in channels):
                deadlines.append(now_ns + DEVICE_CHECK_NS)
            self._next_tick_ns = min(deadlines, default=NEVER)
            return None if self._next_tick_ns == NEVER else self._next_tick_ns

    def all_off(self, now_ns: int, cause: str) -> None:
        """Apply the edges due by `now_ns`; then write 0 to all, even if some fail.

        Where that fails, 0 is written to all once more at once.
        """
        with self._transaction(now_ns):
            self._apply_due_edges(now_ns)
            if problems := self._all_off(now_ns, cause):
                raise DeviceError("\n".join(problems))

    def off(self, names: Collection[str], now_ns: int, cause: str) -> None:
        """Apply the edges due by `now_ns`; then write 0 to these outputs, even if some fail.

        Where that fails, 0 is written to all outputs at once.
        """
        with self._transaction(now_ns):
            self._apply_due_edges(now_ns)
            channels = [it for name, it in self._channels.items() if name in names]
            if problems := self._off(channels, now_ns, cause):
                raise DeviceError("\n".join(problems))

    def check_commands(self, commands: Sequence[Command]) -> None:
        """Raise an ExperimentError for a command that can't be done; write nothing."""
        for command in commands:
            if isinstance(command, Mark):
                continue
            channel = self._channels.get(command.output)
            if channel is None and not self._fault:
                raise ExperimentError(f"there is no [Output {command.output}]")
            if channel is not None:
                check_command(command, channel.output.exact)

    def heartbeat(self, now_ns: int) -> bool:
        """Reset the watchdogs of all devices; return whether there are any."""
        # All are reset, so no `any` over a generator. Without the lock: a slow write must
        # not delay the watchdogs of the other devices.
        have_watchdog = [
            channel.heartbeat(now_ns) for channel in [*self._channels.values()]
        ]
        return any(have_watchdog)

    def fail(self, why: str, now_ns: int) -> None:
        """Refuse to switch outputs on from now on, and report why."""
        with self.condition:
            self._fault = self._fault or why
            self._watch(Note("error", why, now_ns))

    def switch_off_and_latch(self, why: str, now_ns: int, cause: str) -> None:
        """Write 0 to all outputs, then refuse to switch anything on, and report why."""
        with self._transaction(now_ns):
            self._fault = self._fault or why
            problems = self._all_off(now_ns, cause)
            self._unreported.append(Note("error", "\n".join([why, *problems]), now_ns))

    def open(self, name: str, output: Output) -> None:
        """Open one more output and write 0 to it."""
        now_ns = self._clock.now_ns()
        with self._transaction(now_ns):
            with error_context(f"Output {name}"):
                device = output.opened()
                write = device.__enter__()
            channel = OutputChannel(name, output, device, write, self._doses.get(name))
            # before the first write, so that a failure of that write closes the device too
            self._channels[name] = channel
            self._acknowledgements.register(channel)
            self._write(channel, 0.0, now_ns, "open")
            self._event_senders.add(name, write)

    def close(self) -> list[str]:
        """Switch everything off and close it; return the errors not reported before.

        The order matters: 0 is written to all first. Then devices that report are closed,
        which waits for the acknowledgement of their 0. Then the edges are reported, since
        only now it is known which outputs are off. The others close last: some of them send
        these edges as events.
        """
        now_ns = self._clock.now_ns()
        problems: list[str] = []
        acknowledged: list[Acknowledged] = []
        with self.condition, ExitStack() as closing:
            channels, self._channels = self._channels, {}
            reporting = [it for it in channels.values() if it.reporting]
            others = [it for it in channels.values() if not it.reporting]

            # an ExitStack calls the last one first, and all of them even if some raise
            for channel in others:
                closing.callback(channel.close, problems)
            closing.callback(self._report_closing, channels, acknowledged)
            for channel in reporting:
                closing.callback(channel.close, problems)

            self._fault = self._fault or "the outputs are closed"
            # an acknowledgement is reported after the edge that it acknowledges
            self._acknowledgements.watch = acknowledged.append
            problems += self._off(channels.values(), now_ns, "close")
        return problems

    def _report_closing(
        self, channels: Mapping[str, OutputChannel], acknowledged: list[Acknowledged]
    ) -> None:
        """Report what was written on closing, except to outputs that may still be on."""
        self.left_on = tuple(
            name for name, channel in channels.items() if channel.level > 0
        )
        self._unreported = [
            entry
            for entry in self._unreported
            if not (isinstance(entry, Edge) and entry.output in self.left_on)
        ]
        self._report()
        for acknowledgement in acknowledged:
            self._watch(acknowledgement)

    @contextmanager
    def _transaction(self, now_ns: int) -> Iterator[None]:
        """Hold the lock; switch everything off on an error; report at the end."""
        with self.condition:
            try:
                yield
            except BaseException:
                for problem in self._all_off(now_ns, "error"):
                    self._unreported.append(Note("error", problem, now_ns))
                raise
            finally:
                self._report()

    def _report(self) -> None:
        """Pass what was written to the journal, then to the outputs that send events."""
        entries, self._unreported = self._unreported, []
        try:
            for entry in entries:
                if not isinstance(entry, Mark):
                    self._watch(entry)
        except BaseException:
            # an experiment whose outputs can't be recorded must not go on
            self._all_off(self._clock.now_ns(), "error")
            self._unreported.clear()  # the journal would raise again
            raise

        try:
            for entry in entries:
                if not isinstance(entry, Note):
                    self._event_senders.send_event(entry)
        except BaseException as error:
            self._fault = self._fault or str(error)
            # without senders, so that reporting the edges of this "off" can't fail again
            self._event_senders = EventSenders()
            self._all_off(self._clock.now_ns(), "error")
            self._report()
            raise

    def _execute_lowering(
        self, command: Set | Pulse | Train, now_ns: int, cause: str, why: str
    ) -> int | None:
        """Execute the part of a command that only lowers the level; write a note on the rest."""
        channel = self._channels.get(command.output)
        lowering: Set | Pulse | Train | None = command
        if command.level != 0:
            lowering = None
            if channel is not None:
                lowering = channel.lowering_part(command, now_ns)

        if lowering != command:
            refused = "switched on" if lowering is None else "raised or kept on longer"
            text = f"{command.output} was not {refused}: {why}"
            self._unreported.append(Note("output", text, now_ns))
        if lowering is None:
            return None
        return self._execute(lowering, now_ns, cause, from_now=True)

    def _execute(
        self,
        command: Set | Pulse | Train,
        now_ns: int,
        cause: str,
        from_now: bool = False,
    ) -> int | None:
        """Execute a command; its pulses begin when they are written, or `from_now`."""
        channel = self._channels.get(command.output)
        level = command.level

        # 0 passes every check below: switching off is never refused and never delayed
        if self._fault and (level > 0 or channel is None):
            raise DeviceError(self._fault)
        if channel is None:
            raise ExperimentError(f"there is no [Output {command.output}]")
        check_command(command, channel.output.exact)
        if cause == "plan" and channel.refuses(command, now_ns):
            return None
        # what only lowers the level gives no more than the command before
        if level > 0 and not from_now and not self._permits(channel, command, now_ns):
            return None

        was_active, written_ns = channel.active, None
        pulses = None if isinstance(command, Set) or level == 0 else command
        channel.cancel_pulses()

        # a repeated 0 is written all the same: the device may have missed the first one
        if level == 0 or level != channel.level or channel.delegates(pulses):
            written_ns = self._write(channel, level, now_ns, cause, pulses)

        if level > 0:
            channel.follow_up_ns = NEVER
        elif was_active and written_ns is not None:
            channel.record_off(written_ns)

        if pulses is not None:
            began_ns = now_ns if written_ns is None or from_now else written_ns
            channel.begin(pulses, began_ns)
        elif level > 0 and not from_now:
            channel.limit_set(now_ns)
        self._reschedule(channel)
        return written_ns

    def _permits(
        self, channel: OutputChannel, command: Set | Pulse | Train, now_ns: int
    ) -> bool:
        """Return whether the limits per hour and day permit a command; note a refusal once."""
        why = channel.charge(command, now_ns)
        if why and channel.doses is not None and channel.doses.is_news():
            text = f"[Output {channel.name}]{NOT_SWITCHED_ON}{why}"
            self._unreported.append(Note("output", text, now_ns))
        return not why

    def _reschedule(self, channel: OutputChannel) -> None:
        """Wake the timer if this output is due before its next tick."""
        if channel.due_ns < self._next_tick_ns:
            self._next_tick_ns = channel.due_ns
            self.condition.notify_all()

    def _apply_due_edges(self, now_ns: int) -> None:
        # what a device ended by itself must not be ended again here
        self._unreported += self._acknowledgements.apply_reports(self._channels)

        for channel in self._channels.values():
            if channel.due_ns > now_ns:
                continue
            if channel.failed:
                self._off([channel], channel.due_ns, "error")
            # several edges may be due: the bank was busy, or the computer slept
            while channel.due_ns <= now_ns and not channel.failed:
                self._apply_next_edge(channel)

    def _apply_next_edge(self, channel: OutputChannel) -> None:
        due_ns = channel.due_ns
        if channel.follow_up_ns <= due_ns:
            self._pulse_follower(channel)
            return

        edge = channel.pop_due_edge(may_switch_on=not self._fault)
        if edge is None:
            return
        level, cause = edge
        written_ns = self._write(channel, level, due_ns, cause)
        channel.record_off(written_ns, cause)
        if cause == "limit":
            text = (
                f"[Output {channel.name}] {channel.limit_text}: off "
                "until the experiment commands 0, or its pulses would have ended"
            )
            self._unreported.append(Note("output", text, written_ns))

    def _pulse_follower(self, channel: OutputChannel) -> None:
        """Pulse the output named by THEN."""
        requested_ns, channel.follow_up_ns = channel.follow_up_ns, NEVER
        follower = self._channels.get(channel.output.then or "")
        if follower is None or self._fault:
            return
        pulse = Pulse(OutputName(follower.name), channel.output.then_s)
        if not self._permits(follower, pulse, self._clock.now_ns()):
            return
        written_ns = self._write(follower, 1.0, requested_ns, "then", pulse)
        follower.begin(pulse, written_ns)
        self._reschedule(follower)

    def _all_off(self, now_ns: int, cause: str) -> list[str]:
        return self._off(self._channels.values(), now_ns, cause)

    def _off(
        self, channels: Iterable[OutputChannel], now_ns: int, cause: str
    ) -> list[str]:
        """Write 0 to all; return the failures of those that had not failed before."""
        problems = []
        for channel in channels:
            failed_before, channel.follow_up_ns = channel.failed, NEVER
            channel.cancel_pulses()
            try:
                self._write(channel, 0.0, now_ns, cause)
            except Exception as error:
                # one broken device must not keep the others on: go on with the next
                if not failed_before:
                    problems.append(str(error))
        return problems

    def _check_device(self, channel: OutputChannel) -> None:
        try:
            channel.raise_on_fault()
        except DeviceError as error:
            self._latch_failure(channel, channel.level, error)
            raise

    def _latch_failure(
        self, channel: OutputChannel, level: float, error: BaseException
    ) -> None:
        """Assume the highest level for an output that failed, and refuse every "on" from now on."""
        channel.failed = True
        channel.level = max(channel.level, level, channel.unacknowledged)
        channel.cancel_pulses()
        channel.limit_ns = self._clock.now_ns() + RETRY_NS
        self._reschedule(channel)
        self._fault = self._fault or str(error) or type(error).__name__

    def _write(
        self,
        channel: OutputChannel,
        level: float,
        requested_ns: int,
        cause: str,
        pulses: Pulse | Train | None = None,
    ) -> int:
        """Write a level, update its on-time limit, queue its edge; return when the write ended."""
        channel.write_started_ns = self._clock.now_ns()
        try:
            with error_context(f"Output {channel.name}"):
                channel.send(level, pulses)
        except BaseException as error:
            self._latch_failure(channel, level, error)
            raise
        written_ns = self._clock.now_ns()

        # The limit counts from the first "on", pauses of a train included: a train must not
        # prolong itself beyond MAX_ON_S by its pauses.
        if level == 0 and channel.next_edge_ns == NEVER:
            channel.limit_ns = NEVER
        elif channel.limit_ns == NEVER:
            channel.limit_ns = written_ns + channel.max_on_ns
            channel.limit_key = "MAX_ON_S"

        channel.level = level
        channel.pulses.edge(written_ns, level)
        if level == 0 and channel.next_edge_ns == NEVER:
            channel.settle(written_ns)
        self._unreported.append(
            Edge(channel.name, level, cause, requested_ns, written_ns)
        )
        return written_ns
