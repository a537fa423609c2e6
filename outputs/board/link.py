"""An open board with our firmware: its pins, what they do and what they see."""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deeplabstream import DeviceError

from .connection import BoardConnection
from .protocol import Cause, MessageType, Mode
from .status_messages import News


class BoardLink(BoardConnection):
    """An open board. Commands may be sent from any thread."""

    _beat_ns = 0

    @contextmanager
    def pin(
        self,
        number: int,
        mode: Mode,
        value_s: float,
        hear: Callable[[News], object],
        watchdog_ms: int = 0,
    ) -> Iterator[None]:
        """Use a pin; `value_s` is its longest time on, or its debounce time.

        The board is asked and answers; DeviceError: it refuses. `hear` is told what the
        board says of this pin, by the thread that reads.
        """
        payload = struct.pack("<BBI", number, mode, round(value_s * 1e6))
        if mode in (Mode.DIGITAL_OUT, Mode.PWM_OUT):
            payload += struct.pack("<H", watchdog_ms)
        if number in self.ears:
            raise DeviceError(f"pin {number} of {self.port.name} is used twice")
        self.ears[number] = hear
        self.seen.discard(number)
        try:
            self.ask(MessageType.CONFIGURE, payload, number)
            yield
        finally:
            del self.ears[number]

    def set(self, pin: int, level: float) -> None:
        """Put a pin to a level; returns when it is on its way."""
        if level == 0 and self.tripped:
            return
        payload = bytes([pin, round(255 * level) or int(level > 0)])
        self.send(MessageType.SET, payload, pin, level)

    def train(
        self, pin: int, level: float, width_s: float, period_s: float, count: int
    ) -> None:
        """Have the board pulse a pin; returns when the command is on its way."""
        width_us, period_us = round(width_s * 1e6), round(period_s * 1e6)
        duty, layout = round(255 * level) or 1, "<BBIII"
        numbers = struct.pack(layout, pin, duty, width_us, period_us, count)
        self.send(MessageType.TRAIN, numbers, pin, level)

    def beat(self, now_ns: int, every_ns: int) -> None:
        """Say that the program's loop has come round, but not too often."""
        if now_ns - self._beat_ns >= every_ns:
            self._beat_ns = now_ns
            self.send(MessageType.BEAT, b"")

    @property
    def used(self) -> bool:
        """Whether pins of it are in use."""
        return bool(self.ears)

    def state(self) -> tuple[Cause, int]:
        """Ask the board why it switched off, and which of its outputs are high."""
        self.ask(MessageType.ASK_STATE, b"")
        return Cause(self.told_state[1]), self.told_state[2]
