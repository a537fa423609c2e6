"""What a board tells of its pins, and why it refuses or switches off."""

from dataclasses import dataclass
from typing import TypeAlias

from deeplabstream import ClockSync, CounterUnwrapper, DeviceReport, InputBroken

from .protocol import PROTOCOL, Cause, Status


@dataclass(frozen=True, slots=True)
class PinChange:
    """Change of an input pin."""

    high: bool
    began_ns: int
    """When the change began, by the board's clock, on the run's."""
    heard_ns: int
    first: bool
    """It is the level that it had when it was configured."""


News: TypeAlias = DeviceReport | PinChange | InputBroken

_REFUSED = {
    Status.UNKNOWN: "has no such command; is its firmware up to date?",
    Status.BAD_PIN: "has no such pin, or needs it itself, or uses it for something else",
    Status.NOT_CONFIGURED: "was restarted meanwhile",
    Status.NO_PWM: "has no PWM on this pin; choose another, or PWM = no",
    Status.BAD_VALUE: "can't do this: a number is out of its range",
    Status.FULL: "has no room for more than 8 outputs and 8 inputs",
    Status.LATCHED: "has switched its pins off for safety",
}
_TRIPPED = {
    Cause.LIMIT: "switched a pin off that was on for longer than MAX_ON_S",
    Cause.WATCHDOG: "heard nothing from the program's loop and switched its pins off",
    Cause.GARBLED: "heard noise on its line and switched its pins off",
    Cause.SEQUENCE: "missed a command and switched its pins off",
    Cause.OVERFLOW: "had more to tell than its line takes and switched its pins off",
}
CAUSES = {
    Cause.TRAIN_END: "pulse end",
    Cause.LIMIT: "board limit",
    Cause.WATCHDOG: "board watchdog",
}
"""What `events.csv` says where a board switched a pin off by itself."""


def protocol_mismatch_text(port: str, protocol: int) -> str:
    """Return a sentence on a board whose firmware is of another time."""
    return (
        f"the board at {port} speaks protocol {protocol} and this program {PROTOCOL}: put "
        "the firmware of this program on it (docs/board.md)"
    )


def refusal(port: str, status: int, pin: int) -> str:
    """Return a sentence on a command that a board refused."""
    where = f" (pin {pin})" if pin >= 0 else ""
    return f"the board at {port} {_REFUSED[Status(status)]}{where}"


def trip_text(port: str, cause: int) -> str:
    """Return a sentence on why a board switched off by itself."""
    why = _TRIPPED.get(Cause(cause), "switched its pins off")
    return f"the board at {port} {why}"


class BoardClock:
    """The board's microseconds on the run's clock.

    The two are compared when answers arrive, which is late by half the shortest round
    trip, if both ways take equally long.
    """

    def __init__(self) -> None:
        self._synchroniser, self._unwrap = ClockSync(), CounterUnwrapper(bits=32)
        self._round_trip_ns: int | None = None

    @property
    def late_ns(self) -> int:
        """How late answers are at the least; 0 as long as nothing was answered."""
        return (self._round_trip_ns or 0) // 2

    def learn(self, board_us: int, heard_ns: int, sent_ns: int | None = None) -> None:
        """Compare the clocks: `board_us` was told at once, and heard at `heard_ns`."""
        if sent_ns is not None:
            shortest_ns = heard_ns - sent_ns
            if self._round_trip_ns is not None:
                shortest_ns = min(shortest_ns, self._round_trip_ns)
            self._round_trip_ns = shortest_ns
        self._synchroniser.moment(self._unwrap.number(board_us) * 1000, heard_ns)

    def moment(self, board_us: int) -> int:
        """Return a moment of the board on the run's clock, in ns."""
        device_ns = self._unwrap.number(board_us) * 1000
        return self._synchroniser.when(device_ns) - self.late_ns
