"""Limits of what other programs send: one time and one size for each whole message.

A socket's own time-out counts from each piece: a byte per second would never end.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

from deeplabstream.plugin import DeviceError, RemoteAlarm, RemoteListener

MOST_BYTES = 65_536
"""Size of an answer of another program, all its lines or parts together."""
ALARM_EVERY_S = 60.0
"""Interval of alarms about wrong tokens."""
_FIRST_PAUSE_S = 0.05


@contextmanager
def answer_within(link: socket.socket, seconds: float) -> Iterator[None]:
    """Break the connection and raise TimeoutError when the block takes longer."""
    late = threading.Event()

    def break_off() -> None:
        late.set()
        with suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, break_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if late.is_set():
            raise TimeoutError("timed out") from error
        raise
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError("timed out")


def lines_of(file: IO[str]) -> Iterator[str]:
    """Yield the lines of one answer, without their ends; DeviceError: it is too long.

    An empty line: the connection was closed.
    """
    left = MOST_BYTES
    while left > 0:
        line = file.readline(left)
        left -= len(line)
        if left > 0:
            yield line.strip()
    raise DeviceError(f"an answer is longer than {MOST_BYTES} bytes")


class WrongTokens:
    """Slows senders of wrong tokens, and reports their number once a minute.

    The pause doubles with each wrong token, up to `most_pause_s`, and ends after a minute
    without one. Senders with the right token do not wait for it.
    """

    def __init__(
        self,
        listener: RemoteListener,
        most_pause_s: float,
        now_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._listener, self._most_s, self._now_s = listener, most_pause_s, now_s
        self._lock = threading.Lock()
        self._pause_s = _FIRST_PAUSE_S
        self._last_s = self._reported_s = -ALARM_EVERY_S
        self._unreported = 0
        self._sender = ""

    def received(self, sender: str) -> None:
        """Count a wrong token, and wait before it is answered."""
        with self._lock:  # the next one waits until this pause is over
            now_s = self._now_s()
            if now_s - self._last_s >= ALARM_EVERY_S:
                self._pause_s = _FIRST_PAUSE_S
            self._last_s, self._sender = now_s, sender
            self._unreported += 1
            if now_s - self._reported_s >= ALARM_EVERY_S:
                self._reported_s = now_s
                self.report()
            time.sleep(min(self._pause_s, self._most_s))
            self._pause_s = min(2 * self._pause_s, self._most_s)

    def report(self) -> None:
        """Report those that were not reported yet."""
        count, self._unreported = self._unreported, 0
        if count:
            noun = "message" if count == 1 else "messages"
            self._listener(
                RemoteAlarm(f"{count} {noun} with a wrong token, from {self._sender}")
            )
