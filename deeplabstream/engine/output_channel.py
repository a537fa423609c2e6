"""Output channel: the state of one open output, and which commands it can carry out."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace

from deeplabstream.analysis.live_measures import RunningPulses
from deeplabstream.core.command import Pulse, Set, Train
from deeplabstream.core.errors import DeviceError, ExperimentError, error_context
from deeplabstream.engine.dose_accounts import OutputDoses
from deeplabstream.plugins.output import (
    AcknowledgingWrite,
    AutonomousWrite,
    Output,
    Write,
)

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
