"""RFID readers on serial ports that send each tag number as a line of text."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import (
    DeviceError,
    InputBroken,
    InputLevel,
    InputListener,
    InputTag,
    InputUnreadable,
    TagInput,
    tag_number,
    watched_thread,
)

from .serial_line import Port, opened_port

LISTEN_S = 0.1
MOST_BYTES = 64
"""Longest line; tag numbers are shorter."""
_ENDS = re.compile(rb"[\x02\x03\r\n]+")


@settings(frozen=True, kw_only=True)
class RfidReader(TagInput):
    """An RFID reader that sends each tag number as text: one line, or between STX and ETX.

    FDX-B numbers as 999_000000001234, or 10, 15 or 16 hexadecimal digits; ID-12LA (with
    checksum), RFIDRW-E and the like.
    """

    packages: ClassVar[tuple[str, ...]] = ("serial",)
    retry_s: ClassVar[float] = 2.0
    """Interval at which a port that is gone is opened again."""

    port: str = Field(
        min_length=1, description="serial port, such as COM3 or /dev/ttyUSB0"
    )
    baud: int = Field(9600, gt=0, description="bits per second")

    @contextmanager
    def opened(self, listener: InputListener) -> Iterator[None]:
        """Open the port; a thread reads it, and opens it again after it was gone."""
        ended = threading.Event()
        with ExitStack() as link:
            port = link.enter_context(opened_port(self.port, self.baud))
            _report_open(listener)
            thread = watched_thread(
                lambda: self._listen(port, link, listener, ended),
                f"RFID reader at {self.port}",
                lambda text: listener(InputBroken(text)),
            )
            try:
                yield
            finally:
                ended.set()
                thread.join()

    def _listen(
        self,
        port: Port,
        link: ExitStack,
        listener: InputListener,
        ended: threading.Event,
    ) -> None:
        """Report tags until `ended`; closing `link` closes the port."""
        while not ended.is_set():
            try:
                _read_lines(port, listener, ended)
            except DeviceError as error:
                listener(InputBroken(str(error), retries=True))
                link.close()
                ended.wait(self.retry_s)

            while not ended.is_set():
                try:
                    port = link.enter_context(opened_port(self.port, self.baud))
                except DeviceError:
                    ended.wait(self.retry_s)
                else:
                    _report_open(listener)
                    break


def _report_open(listener: InputListener) -> None:
    now_ns = time.perf_counter_ns()
    listener(InputLevel(False, now_ns, now_ns, first=True))


def _read_lines(port: Port, listener: InputListener, ended: threading.Event) -> None:
    """Report the tag number of each line; DeviceError: the port is gone."""
    try:
        port.link.timeout = LISTEN_S
    except OSError as error:
        raise DeviceError(f"{port.name} is gone ({error})") from error
    rest = b""
    while not ended.is_set():
        data = port.receive()
        received_ns = time.perf_counter_ns()
        *lines, rest = _ENDS.split(rest + data)
        # without an end, as at a wrong speed: a line that is too long is dropped
        if len(rest) > MOST_BYTES:
            lines, rest = [*lines, rest], b""
        for line in lines:
            text = line.decode("latin-1").strip()
            if text:
                _report(text, received_ns, listener)


def _report(text: str, received_ns: int, listener: InputListener) -> None:
    try:
        number = tag_number(text)
    except ValueError:
        listener(InputUnreadable(text[:MOST_BYTES]))
    else:
        listener(InputTag(number, received_ns))
