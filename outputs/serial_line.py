"""Serial ports: bytes that switch an output on and off; ports that several outputs share."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    AcknowledgingWrite,
    DeviceError,
    Output,
    Write,
    close_in_forked_children,
    takes_over,
)

from .shared_devices import shared

T = TypeVar("T")

WRITE_TIMEOUT_S = 0.5
"""pyserial measures the whole call, so a pause of the process that is this long looks like
a port that accepts no bytes."""


@dataclass(frozen=True)
class Port:
    """An open serial port."""

    name: str
    link: Any
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, data: bytes) -> None:
        """Send all bytes; DeviceError: the port is gone, or accepts no bytes."""
        import serial

        try:
            with self.lock:
                if rest := data[self._written_at_once(data) :]:
                    self.link.write(rest)
        except serial.SerialTimeoutException as error:
            raise DeviceError(f"{self.name} accepts no more bytes") from error
        except (OSError, TypeError) as error:
            raise DeviceError(f"{self.name} is gone ({error})") from error

    def _written_at_once(self, data: bytes) -> int:
        """Write what the port accepts without waiting; return the number of bytes. Not on Windows.

        pyserial waits after each write until the port accepts more.
        """
        number = getattr(self.link, "fd", None)
        if number is None:
            return 0
        try:
            return os.write(number, data)
        except BlockingIOError:
            return 0

    def check(self) -> None:
        """Raise a DeviceError if the port is gone."""
        try:
            _ = self.link.in_waiting
        except (OSError, TypeError) as error:
            raise DeviceError(f"{self.name} is gone ({error})") from error

    def receive(self) -> bytes:
        """Return what has arrived, after the link's timeout for the first byte."""
        try:
            data = bytes(self.link.read(1))
            return data + bytes(self.link.read(self.link.in_waiting)) if data else data
        except (OSError, TypeError) as error:
            raise DeviceError(f"{self.name} is gone ({error})") from error

    def read(self, length: int, timeout_s: float) -> bytes:
        """Return the bytes that arrive within `timeout_s`, at most `length`."""
        try:
            self.link.timeout = timeout_s
            return bytes(self.link.read(length))
        except (OSError, TypeError) as error:
            raise DeviceError(f"{self.name} is gone ({error})") from error


def shared_port(
    name: str, baudrate: int, protocol: str, greet: Callable[[Port], T]
) -> AbstractContextManager[T]:
    """Open a port, or share it with outputs of the same protocol.

    All get the result of `greet`, which is called once, after the port is opened.
    """

    @contextmanager
    def opening() -> Iterator[T]:
        with opened_port(name, baudrate) as port:
            yield greet(port)

    return shared(name, (protocol, baudrate), opening)


@contextmanager
def opened_port(name: str, baudrate: int) -> Iterator[Port]:
    """Open a port for this program only; DeviceError: it can't be opened."""
    import serial

    try:
        # None: a lock of another process must not prevent the switch-off
        lock = None if takes_over() else True
        link = serial.Serial(
            name, baudrate, write_timeout=WRITE_TIMEOUT_S, exclusive=lock
        )
    except (OSError, ValueError) as error:
        raise DeviceError(
            f"{name} can't be opened; is it plugged in, and does no other "
            f"program use it? ({error})"
        ) from error
    close_in_forked_children(link)
    with link:
        yield Port(name, link)


@settings(frozen=True, kw_only=True)
class SerialLine(Output):
    r"""A board on a serial port (Arduino, Teensy, pulse generator).

    Bytes are text (`H`, `on\n`) or hexadecimal numbers (`0x01 0xFF`). Several outputs may
    name one port.
    """

    packages: ClassVar[tuple[str, ...]] = ("serial",)

    port: str = Field(
        min_length=1,
        title="Serial port",
        description="serial port, such as COM3 or /dev/ttyACM0",
    )
    baudrate: int = Field(
        115_200,
        gt=0,
        title="Bits per second",
        description="bits per second",
        json_schema_extra={"advanced": False},
    )
    on_bytes: str = Field(
        "H",
        min_length=1,
        title="Sent to switch on",
        description=r"sent to switch on: H, on\n or 0x01 0xFF",
        json_schema_extra={"advanced": False},
    )
    off_bytes: str = Field(
        "L",
        min_length=1,
        title="Sent to switch off",
        description="sent to switch off",
        json_schema_extra={"advanced": False},
    )
    settle_s: float = Field(
        0.0,
        ge=0,
        le=10,
        description="seconds to wait after opening, for boards that restart",
    )

    def __post_init__(self) -> None:
        """Refuse text that can't be sent."""
        _as_bytes(self.on_bytes)
        _as_bytes(self.off_bytes)

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Open the port exclusively for this program; other outputs may share it."""
        on, off = _as_bytes(self.on_bytes), _as_bytes(self.off_bytes)
        with shared_port(self.port, self.baudrate, "text", self._settle) as port:
            yield AcknowledgingWrite(
                lambda level: port.write(on if level > 0 else off), port.check
            )

    def _settle(self, port: Port) -> Port:
        time.sleep(self.settle_s)
        return port


def _as_bytes(text: str) -> bytes:
    r"""Return the bytes that a setting describes; ValueError: they can't be sent.

    >>> _as_bytes("H"), _as_bytes(r"on\n"), _as_bytes("0x01 0xff")
    (b'H', b'on\n', b'\x01\xff')
    """
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,2}(\s+0[xX][0-9a-fA-F]{1,2})*", text):
        return bytes(int(word, 16) for word in text.split())
    try:
        return text.encode("latin-1").decode("unicode_escape").encode("latin-1")
    except UnicodeError as error:
        raise ValueError(f"{text!r} can't be sent as bytes") from error
