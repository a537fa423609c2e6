"""Messages of a board: changes of pins, refused commands, why it switched off."""

from dataclasses import dataclass
from typing import TypeAlias

from deeplabstream.plugin import ClockSync, CounterUnwrapper, DeviceReport, InputBroken

from .protocol import PROTOCOL, Cause, Status


@dataclass(frozen=True, slots=True)
class PinChange:
    """Change of an input pin."""

    high: bool
    began_ns: int
    """Start of the change, from the board's clock, on the run's clock."""
    received_ns: int
    first: bool
    """Whether it is the level at configuration, not a change."""
    board_us: int
    """Time of the change by the board's clock, from its first message on."""


@dataclass(frozen=True, slots=True)
class PinPulse:
    """A pulse that a board counted or generated."""

    number: int
    """From 0 since counting began; a gap: pulses whose times are not known."""
    began_ns: int
    """Its start, from the board's clock, on the run's clock."""
    received_ns: int
    board_us: int
    """Its start by the board's clock, from its first message on."""


News: TypeAlias = DeviceReport | PinChange | PinPulse | InputBroken

_MAX_DRIFT_PPM = 10_000
"""A board's ceramic resonator may be off by half a per cent, and the computer's clock too."""
_REFUSED = {
    Status.UNKNOWN: "has no such command; is its firmware up to date?",
    Status.BAD_PIN: "has no such pin, or the pin is reserved, in use or without "
    "interrupt; an Uno counts pulses at pin 2 or 3 only",
    Status.NOT_CONFIGURED: "has restarted",
    Status.NO_PWM: "has no PWM on this pin; choose another, or PWM = no",
    Status.BAD_VALUE: "refused a value outside of its range",
    Status.FULL: "supports at most 8 outputs, 8 inputs, 4 pulse counters, one "
    "sync signal and one trigger",
    Status.LATCHED: "has switched its pins off for safety",
}
_TRIPPED = {
    Cause.LIMIT: "switched a pin off that was on for longer than MAX_ON_S",
    Cause.WATCHDOG: "got no heartbeat from the program's loop and switched its pins off",
    Cause.GARBLED: "received damaged data and switched its pins off",
    Cause.SEQUENCE: "missed a command and switched its pins off",
    Cause.OVERFLOW: "had too many messages for its line and switched its pins off",
}
CAUSES = {
    Cause.TRAIN_END: "pulse end",
    Cause.LIMIT: "board limit",
    Cause.WATCHDOG: "board watchdog",
}
"""Cause in `events.csv` when a board switched a pin off on its own."""


def protocol_mismatch_text(port: str, protocol: int) -> str:
    """Return the message about a board with firmware of another version."""
    return (
        f"the board at {port} uses protocol {protocol}, this program {PROTOCOL}: upload the "
        "firmware of this program (docs/board.md)"
    )


def old_firmware_text(
    port: str, firmware: tuple[int, int], what: str, needed: tuple[int, int]
) -> str:
    """Return the message about too old firmware; `subject`: "sync signals need"."""
    has, requires = (".".join(map(str, v)) for v in (firmware, needed))
    return (
        f"the board at {port} has firmware {has}; {what} {requires}: "
        "upload the firmware of this program (docs/board.md)"
    )


def noise_text(port: str, pin: int) -> str:
    """Return the message about a pin whose pulses can't be counted."""
    return (
        f"pin {pin} of the board at {port} has too many edges to count: is the line "
        "connected, and free of noise (docs/wiring.md)?"
    )


def refusal(port: str, status: int, pin: int) -> str:
    """Return the message about a command that a board refused."""
    where = f" (pin {pin})" if pin >= 0 else ""
    return f"the board at {port} {_REFUSED[Status(status)]}{where}"


def trip_text(port: str, cause: int) -> str:
    """Return the message about a board that switched off on its own."""
    why = _TRIPPED.get(Cause(cause), "switched its pins off")
    return f"the board at {port} {why}"


class BoardClock:
    """The board's microseconds on the run's clock.

    The two are compared when answers arrive. Half the shortest round trip is subtracted,
    which assumes equal times in both directions.
    """

    def __init__(self) -> None:
        self._synchroniser = ClockSync(max_drift_ppm=_MAX_DRIFT_PPM)
        self._unwrap = CounterUnwrapper(bits=32)
        self._round_trip_ns: int | None = None

    @property
    def late_ns(self) -> int:
        """Minimum delay of answers; 0 before the first one."""
        return (self._round_trip_ns or 0) // 2

    def learn(
        self, board_us: int, received_ns: int, sent_ns: int | None = None
    ) -> None:
        """Compare the clocks: the board sent `board_us`, and it arrived at `received_ns`."""
        if sent_ns is not None:
            shortest_ns = received_ns - sent_ns
            if self._round_trip_ns is not None:
                shortest_ns = min(shortest_ns, self._round_trip_ns)
            self._round_trip_ns = shortest_ns
        self._synchroniser.moment(self._unwrap.number(board_us) * 1000, received_ns)

    def moment(self, board_us: int) -> int:
        """Return a time of the board's clock on the run's clock, in ns."""
        return self._synchroniser.when(self.unwrapped(board_us) * 1000) - self.late_ns

    def unwrapped(self, board_us: int) -> int:
        """Return the board's microseconds, unwrapped: its counter starts again after 71 minutes."""
        return self._unwrap.number(board_us)
