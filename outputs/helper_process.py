"""Helper process: an output with a process of its own, such as a window or a sound."""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

from deeplabstream.plugin import (
    AcknowledgingWrite,
    Connection,
    DeviceError,
    DeviceReport,
    Output,
    has_message,
    opened_pipe,
)

OPENING_S = 10.0
"""Maximum time to become ready."""
HANG_S = 1.0
"""Time without an answer after which it counts as hung."""


@contextmanager
def helper_process(
    body: Callable[[Output, Connection], object], output: Output, what: str, hint: str
) -> Iterator[AcknowledgingWrite]:
    """Run `body(output, pipe)` in a process that ends with this one.

    It sends (0.0, time in ns) when it is ready, or a sentence with the reason why it is not.
    Then it receives levels, and answers each with (level, time in ns at which it was set).
    It ends when the other end of the pipe is closed.

    `what` is its name in messages ("its window"); `hint` is a possible reason if it ends
    before it is ready.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = opened_pipe()
    process = spawn.Process(target=body, args=(output, theirs), name=what, daemon=True)
    process.start()
    theirs.close()
    try:
        _wait_until_ready(ours, what, hint)
        yield _HelperConnection(ours, what).watched
    finally:
        ours.close()
        _end(process)


class _HelperConnection:
    """Connection to a helper process that is ready."""

    def __init__(self, pipe: Connection, what: str) -> None:
        self.watched = AcknowledgingWrite(self.write, self.check)
        self._pipe = pipe
        self._what = what
        self._undone: deque[int] = deque()
        """Times of the levels that are not answered yet."""
        self._received_ns = 0

    def write(self, level: float) -> None:
        """Request a level; the helper sets it asynchronously."""
        now_ns = time.perf_counter_ns()
        if not self._undone:
            self._received_ns = now_ns
        try:
            self._pipe.send(level)
        except OSError as error:
            raise DeviceError(f"{self._what} was closed") from error
        self._undone.append(now_ns)
        self.check()

    def check(self) -> None:
        """Raise a DeviceError if it has ended or hangs."""
        now_ns = time.perf_counter_ns()
        try:
            while has_message(self._pipe):
                level, done_ns = self._pipe.recv()
                self._received_ns = now_ns
                sent_ns = self._undone.popleft() if self._undone else done_ns
                self.watched.on_report(DeviceReport(level, sent_ns, done_ns, now_ns))
        except (OSError, EOFError) as error:
            raise DeviceError(f"{self._what} was closed") from error
        if self._undone and now_ns - self._received_ns > HANG_S * 1e9:
            raise DeviceError(f"{self._what} does not answer")


def _wait_until_ready(pipe: Connection, what: str, hint: str) -> None:
    try:
        reply = (
            pipe.recv()
            if has_message(pipe, OPENING_S)
            else f"{what} did not open in time"
        )
    except (EOFError, OSError) as error:
        raise DeviceError(f"{what} can't be opened; {hint}") from error
    if isinstance(reply, str):
        raise DeviceError(reply)


def _end(process: BaseProcess) -> None:
    process.join(HANG_S)
    if process.exitcode is None:
        process.kill()
        process.join()
    process.close()
