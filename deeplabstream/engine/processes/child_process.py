"""Set-up of child processes: signals, end of the parent, priority, error reports."""

import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.synchronize import Semaphore

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.engine.processes.termination import leave_to_parent
from deeplabstream.engine.session.messages import ProcessFailed
from deeplabstream.engine.unblocked_pipe import UnblockedPipe
from deeplabstream.ipc.journal import JournalSpec
from deeplabstream.ipc.pipe import Connection, Messages


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


def set_up_child(
    orphaned: Callable[[], object], asked: Callable[[], object] | None = None
) -> None:
    """Leave signals to the parent; call `orphaned` when the parent dies.

    `orphaned` runs in a thread of its own. `asked`, by default the same, is called on SIGTERM,
    between two instructions of the main thread: it must not take a lock.
    """
    leave_to_parent()
    terminated = asked or orphaned
    signal.signal(signal.SIGTERM, lambda _number, _frame: terminated())
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        raise_priority()
        wait([parent.sentinel])
        orphaned()

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


def run_body(presence: Connection | None, body: str, *arguments: object) -> None:
    """Call the function `body`, written as "module:function".

    `presence` is held open until this process ends, however it ends.
    """
    module, _, function = body.partition(":")
    try:
        getattr(importlib.import_module(module), function)(*arguments)
    finally:
        if presence is not None:
            presence.close()


def raise_priority(steps: int = 5) -> None:
    """Raise the scheduling priority of this process, where that is allowed.

    Cameras and engine get the highest priority, the recorder less. On Windows only the
    calling thread gets a higher priority.
    """
    if sys.platform == "win32":
        from ctypes import WinDLL, c_int, c_void_p

        kernel = WinDLL("kernel32")
        kernel.GetCurrentThread.restype = c_void_p
        kernel.SetThreadPriority.argtypes = c_void_p, c_int
        kernel.SetThreadPriority(kernel.GetCurrentThread(), 1)
    else:
        with suppress(OSError):
            os.nice(-steps)


@contextmanager
def report_errors(
    pipe: Connection, latest: tuple[type, ...] = ()
) -> Iterator[Messages]:
    """Yield a pipe whose `send` never waits; report errors as `ProcessFailed`.

    A `DeepLabStreamError` is reported and ends here. Any other error is reported and
    raised again, so that its traceback is seen. Of the types in `latest` only the newest
    message waits to be sent.
    """
    unblocked = UnblockedPipe(pipe, latest)
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
        unblocked.flush()


def send_message(pipe: Messages, message: object) -> None:
    """Send a message; ignored if the other process has ended."""
    try:
        pipe.send(message)
    except (BrokenPipeError, ConnectionError, EOFError):
        return
