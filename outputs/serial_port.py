"""A serial port, opened for this program alone and used by all outputs that name it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from deeplabstream import DeviceError

from .shared_devices import shared

T = TypeVar("T")

WRITE_TIMEOUT_S = 0.5
"""pyserial counts from the call to the end of its own bookkeeping, so a computer that
pauses the process for so long looks like a port that takes no bytes."""


@dataclass(frozen=True)
class Port:
    """An open serial port."""

    name: str
    link: Any
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, data: bytes) -> None:
        """Send all of it; DeviceError: the port is gone, or takes nothing."""
        import serial

        try:
            with self.lock:
                self.link.write(data)
        except serial.SerialTimeoutException as error:
            raise DeviceError(f"{self.name} takes no more bytes") from error
        except (OSError, TypeError) as error:
            raise DeviceError(f"{self.name} is gone ({error})") from error

    def check(self) -> None:
        """Raise a DeviceError if the port is gone."""
        try:
            _ = self.link.in_waiting
        except (OSError, TypeError) as error:
            raise DeviceError(f"{self.name} is gone ({error})") from error

    def read(self, length: int, timeout_s: float) -> bytes:
        """Return what comes within `timeout_s`, `length` bytes at the most."""
        try:
            self.link.timeout = timeout_s
            return bytes(self.link.read(length))
        except (OSError, TypeError) as error:
            raise DeviceError(f"{self.name} is gone ({error})") from error


def shared_port(
    name: str, baudrate: int, protocol: str, greet: Callable[[Port], T]
) -> AbstractContextManager[T]:
    """Open a port, or join the outputs that speak the same protocol over it.

    All get what `greet` returned, which is called once, when the port was opened.
    """

    @contextmanager
    def opening() -> Iterator[T]:
        import serial

        try:
            link = serial.Serial(
                name, baudrate, write_timeout=WRITE_TIMEOUT_S, exclusive=True
            )
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"{name} can't be opened; is it plugged in, and does no other "
                f"program use it? ({error})"
            ) from error
        with link:
            yield greet(Port(name, link))

    return shared(name, (protocol, baudrate), opening)
