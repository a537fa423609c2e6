"""Background writer: a thread for devices whose writes take longer than a millisecond."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from deeplabstream.plugin import AcknowledgingWrite, DeviceError, DeviceReport, Write

HANG_S = 1.0
"""Time without a completed write after which a device counts as hung."""
LATE_NS = 200_000_000
"""Longest time that a level may wait in the queue and still be switched on."""


@contextmanager
def background_write(write: Write) -> Iterator[AcknowledgingWrite]:
    """Yield a function that passes levels to a thread, which writes them in order.

    It returns at once, and raises a failure since the last call. After a failure it waits
    until the level is written, at most `HANG_S`.
    """
    writer = _BackgroundWriter(write)
    try:
        yield writer.watched
    finally:
        writer.end()


class _BackgroundWriter:
    """Thread that writes, with its queue of levels."""

    def __init__(self, write: Write) -> None:
        self.watched = AcknowledgingWrite(self.put, self.check)
        self._write = write
        self._waiting: deque[tuple[float, int]] = deque()
        self._writing_since_ns: int | None = None
        self._error: Exception | None = None
        self._failed = False
        self._ended = False
        self._change = threading.Condition()
        self._thread = threading.Thread(
            target=self._run, name="background write", daemon=True
        )
        self._thread.start()

    def put(self, level: float) -> None:
        """Queue a level."""
        with self._change:
            self._waiting.append((level, time.perf_counter_ns()))
            self._change.notify_all()
            self._raise_failure(not self._failed or self._waited())

    def check(self) -> None:
        """Raise an error that occurred since the last call."""
        with self._change:
            self._raise_failure()

    def end(self) -> None:
        """Wait for the queue, and end the thread."""
        with self._change:
            self._ended = True
            self._change.notify_all()
            self._raise_failure(self._waited())
        self._thread.join()

    def _waited(self) -> bool:
        """Wait until the queue is written; return whether it is."""
        return self._change.wait_for(
            lambda: not self._waiting and self._writing_since_ns is None, HANG_S
        )

    def _raise_failure(self, in_time: bool = True) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
        since_ns = self._writing_since_ns
        if since_ns is not None:
            in_time &= time.perf_counter_ns() - since_ns < HANG_S * 1e9
        if not in_time:
            self._failed = True
            raise DeviceError("does not answer; it may still be on")

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
                level, requested_ns = self._waiting.popleft()
                self._writing_since_ns = time.perf_counter_ns()
                late = self._writing_since_ns - requested_ns > LATE_NS
            error: Exception | None = None
            try:
                if level > 0 and (late or self._failed):
                    raise DeviceError("is too slow for the rate of its commands")
                self._write(level)
                now_ns = time.perf_counter_ns()
                self.watched.on_report(
                    DeviceReport(level, requested_ns, now_ns, now_ns)
                )
            except Exception as failure:
                error = failure
            with self._change:
                self._writing_since_ns = None
                if error is not None:
                    self._failed = True
                    self._error = self._error or error
                self._change.notify_all()
