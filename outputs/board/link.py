"""Board link: an open board with our firmware, and its pins."""

import secrets
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from deeplabstream.plugin import DeviceError

from ..serial_line import shared_port
from ..shared_devices import shared
from .connection import BoardConnection
from .protocol import (
    BAUDRATE,
    FLASH_FIRMWARE,
    PULSE_FIRMWARE,
    SYNC_FIRMWARE,
    Cause,
    MessageType,
    Mode,
    Pattern,
    PulseSide,
)
from .status_messages import News, old_firmware_text


class BoardLink(BoardConnection):
    """An open board. Commands may be sent from any thread."""

    _heartbeat_ns = 0

    @contextmanager
    def pin(
        self,
        number: int,
        mode: Mode,
        value_s: float,
        listener: Callable[[News], object],
        watchdog_ms: int = 0,
    ) -> Iterator[None]:
        """Use a pin; `value_s` is its maximum on-time, or its debounce time.

        Waits for the board's answer; DeviceError: it refuses. `listener` is called with each
        message about this pin, by the thread that reads.
        """
        payload = struct.pack("<BBI", number, mode, round(value_s * 1e6))
        if mode in (Mode.DIGITAL_OUT, Mode.PWM_OUT):
            payload += struct.pack("<H", watchdog_ms)
        if number in self.listeners:
            raise DeviceError(f"pin {number} of {self.port.name} is used twice")
        self.listeners[number] = listener
        self.seen.discard(number)
        try:
            self.request(MessageType.CONFIGURE, payload, number)
            yield
        finally:
            del self.listeners[number]

    @contextmanager
    def sync(
        self,
        number: int,
        pattern: Pattern,
        first: int,
        period_s: float,
        listener: Callable[[News], object],
    ) -> Iterator[None]:
        """Emit a sync signal on a pin; `listener` is called with each edge.

        `first` is the number of the first barcode, or the seed of random pulses or flashes.
        DeviceError: the firmware is too old, or the board refuses.
        """
        what, needed = "sync signals need", SYNC_FIRMWARE
        if pattern is Pattern.FLASHES:
            what, needed = "flashes need", FLASH_FIRMWARE
        if self.firmware < needed:
            version = self.port.name, self.firmware
            raise DeviceError(old_firmware_text(*version, what, needed))
        if number in self.listeners:
            raise DeviceError(f"pin {number} of {self.port.name} is used twice")
        self.listeners[number] = listener
        self.seen.add(number)
        period_us = round(period_s * 1e6)
        start = struct.pack("<BBII", number, pattern, first, period_us)
        try:
            self.request(MessageType.SYNC, start, number)
            yield
        finally:
            with suppress(DeviceError):  # the cause has already been reported
                stop = struct.pack("<BBII", number, Pattern.NONE, 0, 0)
                self.request(MessageType.SYNC, stop, number)
            del self.listeners[number]

    @contextmanager
    def counter(
        self,
        number: int,
        side: PulseSide,
        dead_s: float,
        listener: Callable[[News], object],
    ) -> Iterator[None]:
        """Count the pulses at a pin from 0 on; `listener` is called with each.

        Edges within `dead_s` of a pulse are ignored. DeviceError: the firmware is too old,
        or the board refuses, such as a pin without an interrupt.
        """
        start = struct.pack("<BBH", number, side, round(dead_s * 1e6))
        stop = struct.pack("<BBH", number, PulseSide.NO_COUNT, 0)
        with self._pulses(number, MessageType.COUNT_PULSES, start, stop, listener):
            yield

    @contextmanager
    def generator(
        self,
        number: int,
        rate: float,
        width_s: float,
        dither_s: float,
        listener: Callable[[News], object],
    ) -> Iterator[None]:
        """Generate pulses at a pin; `listener` is called with each.

        Each pulse is up to `dither_s` later than regular, at random. The board stops by
        itself when this program dies.
        """
        width_us, dither_us = round(width_s * 1e6), round(dither_s * 1e6)
        numbers = round(1e9 / rate), width_us, dither_us, secrets.randbelow(65535) + 1
        start = struct.pack("<BIIHH", number, *numbers)
        stop = struct.pack("<BIIHH", number, 0, 0, 0, 0)
        with self._pulses(number, MessageType.GENERATE, start, stop, listener):
            yield

    @contextmanager
    def _pulses(
        self,
        number: int,
        kind: MessageType,
        start: bytes,
        stop: bytes,
        listener: Callable[[News], object],
    ) -> Iterator[None]:
        if self.firmware < PULSE_FIRMWARE:
            version = self.port.name, self.firmware
            raise DeviceError(
                old_firmware_text(*version, "pulses need", PULSE_FIRMWARE)
            )
        if number in self.listeners:
            raise DeviceError(f"pin {number} of {self.port.name} is used twice")
        self.listeners[number] = listener
        try:
            self.request(kind, start, number)
            yield
        finally:
            with suppress(DeviceError):  # the cause has already been reported
                self.request(kind, stop, number)
            del self.listeners[number]

    def set(self, pin: int, level: float) -> None:
        """Set a pin to a level; returns when the command is sent."""
        if level == 0 and self.tripped:
            return
        payload = bytes([pin, round(255 * level) or int(level > 0)])
        self.send(MessageType.SET, payload, pin, level)

    def train(
        self, pin: int, level: float, width_s: float, period_s: float, count: int
    ) -> None:
        """Start pulses on a pin; returns when the command is sent."""
        width_us, period_us = round(width_s * 1e6), round(period_s * 1e6)
        duty, layout = round(255 * level) or 1, "<BBIII"
        numbers = struct.pack(layout, pin, duty, width_us, period_us, count)
        self.send(MessageType.TRAIN, numbers, pin, level)

    def heartbeat(self, now_ns: int, every_ns: int) -> None:
        """Send a heartbeat of the loop, at most every `every_ns`."""
        if now_ns - self._heartbeat_ns >= every_ns:
            self._heartbeat_ns = now_ns
            self.send(MessageType.HEARTBEAT, b"")

    @property
    def used(self) -> bool:
        """Whether any of its pins is in use."""
        return bool(self.listeners)

    def state(self) -> tuple[Cause, int]:
        """Return why the board switched off, and which of its outputs are high."""
        self.request(MessageType.GET_STATE, b"")
        return Cause(self.last_state[1]), self.last_state[2]


def link_to(port: str) -> AbstractContextManager[BoardLink]:
    """Open a board, or share it if it is open; its last user closes it."""

    @contextmanager
    def opening() -> Iterator[BoardLink]:
        with shared_port(port, BAUDRATE, "DeepLabStreamBoard", BoardLink) as link:
            link.handshake()
            with link.listening():
                yield link

    return shared(f"the board at {port}", "BoardLink", opening)
