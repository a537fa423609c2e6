"""What every child process does first: leave signals to its parent, and end with it."""

import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.engine.processes.termination import leave_to_parent
from deeplabstream.engine.session.messages import ProcessFailed
from deeplabstream.engine.unblocked_pipe import UnblockedPipe
from deeplabstream.ipc.pipe import Connection, Messages


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
    """Have this process preferred to all that do not hurry, where that is allowed.

    Cameras and engine hurry most, the recorder a little: what it does may wait, but not for
    longer than a killed run may lose. On Windows only the calling thread is preferred.
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
    """Give a pipe whose `send` never waits; send an error on purpose as a sentence.

    Such an error is swallowed. A bug is told too, and goes on upwards so that its traceback
    is seen. Of the kinds in `latest` only the newest message waits to be sent.
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
    """Send a message; nobody hears it when the other side is gone already."""
    try:
        pipe.send(message)
    except (BrokenPipeError, ConnectionError, EOFError):
        return
