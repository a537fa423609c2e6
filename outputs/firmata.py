"""Pins of a board that runs StandardFirmata, over its serial port."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import AcknowledgingWrite, DeviceError, Output, Write

from .serial_line import Port, shared_port

START_S = 8.0
"""Opening the port restarts many boards; StandardFirmata answers 2 to 5 s later."""
POLL_PERIOD_S = 0.2

# The protocol, version 2: github.com/firmata/protocol
_REPORT_VERSION = 0xF9
_SET_PIN_MODE = 0xF4
_DIGITAL_PORT = 0x90
_ANALOG_PIN = 0xE0
_SYSEX, _END_SYSEX, _EXTENDED_ANALOG = 0xF0, 0xF7, 0x6F
_OUTPUT, _PWM = 1, 3
_VERSION = re.compile(rb"\xf9[\x00-\x7f]{2}")


@settings(frozen=True, kw_only=True)
class Firmata(Output):
    """A pin of an Arduino-like board with StandardFirmata; outputs may share a board."""

    packages: ClassVar[tuple[str, ...]] = ("serial",)

    port: str = Field(
        min_length=1, description="serial port, such as COM3 or /dev/ttyACM0"
    )
    pin: int = Field(ge=2, le=127, description="pin number on the board")
    mode: Literal["digital", "pwm"] = Field(
        "digital",
        description="pwm: the level is the duty cycle",
    )
    active_low: bool = Field(False, description="yes: on is low")
    baudrate: int = Field(57_600, gt=0, description="bits per second, as in the sketch")

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Open the port, wait until the board answers, and make the pin an output."""
        with shared_port(self.port, self.baudrate, "Firmata", _answering) as board:
            mode = _PWM if self.mode == "pwm" else _OUTPUT
            board.port.write(bytes([_SET_PIN_MODE, self.pin, mode]))
            yield AcknowledgingWrite(
                lambda level: self._write(board, level), board.port.check
            )

    def _write(self, board: "_Board", level: float) -> None:
        if self.mode == "pwm":
            board.share(self.pin, 1 - level if self.active_low else level)
        else:
            board.switch(self.pin, (level > 0) is not self.active_low)


@dataclass
class _Board:
    """Open board with StandardFirmata."""

    port: Port
    high: set[int] = field(default_factory=set)
    """Pins that are high: the protocol sets eight pins at once."""

    def switch(self, pin: int, high: bool) -> None:
        """Set a digital pin high or low."""
        self.high = self.high | {pin} if high else self.high - {pin}
        first = pin // 8 * 8
        mask = sum(1 << place for place in range(8) if first + place in self.high)
        self.port.write(bytes([_DIGITAL_PORT | pin // 8, mask & 0x7F, mask >> 7]))

    def share(self, pin: int, level: float) -> None:
        """Set the PWM duty cycle of a pin."""
        value = round(255 * level)
        low, high = value & 0x7F, value >> 7
        if pin < 16:
            self.port.write(bytes([_ANALOG_PIN | pin, low, high]))
        else:
            tail = (pin, low, high, _END_SYSEX)
            self.port.write(bytes([_SYSEX, _EXTENDED_ANALOG, *tail]))


def _answering(port: Port) -> _Board:
    """Wait until StandardFirmata reports its version."""
    received = b""
    give_up_s = time.perf_counter() + START_S
    while time.perf_counter() < give_up_s:
        port.write(bytes([_REPORT_VERSION]))
        received += port.read(64, POLL_PERIOD_S)
        if _VERSION.search(received):
            return _Board(port)
    raise DeviceError(
        f"{port.name} is open, but no board answers by Firmata; is StandardFirmata on "
        "the board, and BAUDRATE as in its sketch?"
    )
