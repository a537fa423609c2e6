"""Set-up of child processes: signals, end of the parent, priority, error reports."""

import importlib
import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from multiprocessing.synchronize import Semaphore
from typing import Any

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.engine.processes.real_time import raise_priority
from deeplabstream.engine.processes.termination import leave_to_parent
from deeplabstream.engine.session.messages import ProblemReport, ProcessFailed
from deeplabstream.ipc.forked_children import close_in_forked_children
from deeplabstream.ipc.journal import JournalSpec
from deeplabstream.ipc.parent_watch import wait_for_end_of_parent
from deeplabstream.ipc.pipe import Connection, Messages, has_message, message_check
from deeplabstream.ipc.watched_thread import thread_failure
from deeplabstream.startup.standard_streams import outlive_full_disk, outlive_readers

FLUSH_S = 60.0
"""How long an ending process waits until its last messages are read."""


class UnblockedPipe:
    """Pipe that sends from a separate thread, in order; receives as a normal pipe.

    Of the kinds in `latest` only the newest message waits to be sent: each replaces the one
    before. All others are queued. When the reader is gone, messages are dropped.
    """

    def __init__(self, pipe: Connection, latest: tuple[type, ...] = ()) -> None:
        close_in_forked_children(pipe)
        self._pipe, self._latest = pipe, latest
        self._has_message = message_check(pipe)
        self._queue: deque[tuple[type, bytes]] = deque()
        self._changed = threading.Condition()
        self._ended = self._gone = False
        self._thread = threading.Thread(target=self._send, name="sender", daemon=True)
        self._thread.start()

    def send(self, message: object) -> None:
        """Queue a message; returns at once."""
        # pickled here: an error of pickling is raised where the message was made
        kind, data = type(message), bytes(ForkingPickler.dumps(message))
        with self._changed:
            if self._gone:
                return
            if kind in self._latest:
                self._queue = deque(
                    queued for queued in self._queue if queued[0] is not kind
                )
            self._queue.append((kind, data))
            self._changed.notify()

    def recv(self) -> Any:
        """Return the next message that was sent to us; EOFError: the other end closed."""
        return self._pipe.recv()

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Return whether `recv` would not wait."""
        return self._has_message() if timeout == 0 else has_message(self._pipe, timeout)

    def flush(self, patience_s: float = FLUSH_S) -> None:
        """Send the queued messages and end; give up after `patience_s` without a reader."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(patience_s)

    def _send(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._ended)
                if not self._queue:
                    return
                _, data = self._queue.popleft()

            # without the lock: a full pipe blocks here, and must not block `send`
            try:
                self._pipe.send_bytes(data)
            except (OSError, EOFError):
                with self._changed:
                    self._gone = True
                    self._queue.clear()
                return


@dataclass(frozen=True)
class EngineLinks:
    """Pipes, semaphores and journal that connect the engine with the other processes."""

    guards: tuple[Connection, ...]
    guarded: Semaphore
    """Released by each guard when it is ready."""
    wake: Semaphore
    """Released for every frame and every message."""
    listeners: tuple[Semaphore, ...]
    """Released for every journal entry."""
    journal: JournalSpec
    zero_ns: int
    plate: Connection | None = None
    """To the plate process; None: the arenas have no markers."""


def set_up_child(
    orphaned: Callable[[], object], terminated: Callable[[], object] | None = None
) -> None:
    """Leave signals to the parent; call `orphaned` when the parent dies.

    Text that is printed without a reader is dropped: a plug-in may print while it closes.
    `orphaned` runs in a thread of its own. `terminated`, by default the same function, is
    called on SIGTERM between two instructions of the main thread: it must not take a lock.
    """
    leave_to_parent()
    outlive_readers()
    outlive_full_disk()
    on_sigterm = terminated or orphaned
    signal.signal(signal.SIGTERM, lambda _number, _frame: on_sigterm())

    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        # above the threads of libraries: these may use all cores when the parent dies
        raise_priority()
        wait_for_end_of_parent(parent)
        orphaned()

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


def run_body(presence: Connection | None, body: str, *arguments: object) -> None:
    """Call the function `body`, written as "module:function".

    `presence` is held open until this process ends, however it ends.
    """
    close_in_forked_children(presence)
    module, _, function = body.partition(":")
    try:
        getattr(importlib.import_module(module), function)(*arguments)
    finally:
        if presence is not None:
            presence.close()


@contextmanager
def report_errors(
    pipe: Connection, latest: tuple[type, ...] = ()
) -> Iterator[Messages]:
    """Yield a pipe whose `send` never waits; report errors as `ProcessFailed`.

    A `DeepLabStreamError` is reported and ends here. Any other error is reported and
    raised again, so that its traceback is seen. An error that ends a thread is reported as
    `ProblemReport`. Of the types in `latest` only the newest message waits to be sent.
    """
    unblocked = UnblockedPipe(pipe, latest)

    def thread_failed(failure: threading.ExceptHookArgs) -> None:
        threading.__excepthook__(failure)
        if failure.exc_type is not SystemExit:
            thread = failure.thread.name if failure.thread else "?"
            process = multiprocessing.current_process().name
            text = f"{process}: {thread_failure(thread, failure.exc_value)}"
            send_message(unblocked, ProblemReport(text))

    before, threading.excepthook = threading.excepthook, thread_failed
    try:
        yield unblocked
    except DeepLabStreamError as error:
        send_message(unblocked, ProcessFailed(str(error)))
    except BaseException as error:
        name = multiprocessing.current_process().name
        text = f"{name} failed: {type(error).__name__}: {error}"
        send_message(unblocked, ProcessFailed(text))
        raise
    finally:
        threading.excepthook = before
        # the reason of an error is the last message: it must arrive before the process ends
        unblocked.flush()


def send_message(pipe: Messages, message: object) -> None:
    """Send a message; ignored if the other process has ended."""
    try:
        pipe.send(message)
    except (BrokenPipeError, ConnectionError, EOFError):
        return
