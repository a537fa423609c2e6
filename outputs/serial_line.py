"""Bytes over a serial port: one text to switch on, one to switch off."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream import AcknowledgingWrite, Output, Write

from .serial_port import Port, shared_port


@settings(frozen=True, kw_only=True)
class SerialLine(Output):
    r"""A board on a serial port (Arduino, Teensy, pulse generator).

    Bytes are text (`H`, `on\n`) or hexadecimal numbers (`0x01 0xFF`). Several outputs may
    name one port.
    """

    packages: ClassVar[tuple[str, ...]] = ("serial",)

    port: str = Field(min_length=1, description="COM3 or /dev/ttyACM0, for instance")
    baudrate: int = Field(115_200, gt=0, description="bits per second")
    on_bytes: str = Field(
        "H", min_length=1, description=r"sent to switch on: H, on\n or 0x01 0xFF"
    )
    off_bytes: str = Field("L", min_length=1, description="sent to switch off")
    settle_s: float = Field(
        0.0,
        ge=0,
        le=10,
        description="seconds to wait after opening, for boards that restart then",
    )

    def __post_init__(self) -> None:
        """Refuse what can't be sent."""
        _as_bytes(self.on_bytes)
        _as_bytes(self.off_bytes)

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Open the port for this program alone; other outputs may share it."""
        on, off = _as_bytes(self.on_bytes), _as_bytes(self.off_bytes)
        with shared_port(self.port, self.baudrate, "text", self._settle) as port:
            yield AcknowledgingWrite(
                lambda level: port.write(on if level > 0 else off), port.check
            )

    def _settle(self, port: Port) -> Port:
        time.sleep(self.settle_s)
        return port


def _as_bytes(text: str) -> bytes:
    r"""Return the bytes that a setting means; ValueError if they can't be sent.

    >>> _as_bytes("H"), _as_bytes(r"on\n"), _as_bytes("0x01 0xff")
    (b'H', b'on\n', b'\x01\xff')
    """
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,2}(\s+0[xX][0-9a-fA-F]{1,2})*", text):
        return bytes(int(word, 16) for word in text.split())
    try:
        return text.encode("latin-1").decode("unicode_escape").encode("latin-1")
    except UnicodeError as error:
        raise ValueError(f"{text!r} can't be sent as bytes") from error
