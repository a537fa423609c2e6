"""Parent watch: ends this process when the process that started it has ended."""

import multiprocessing
import os
import sys
import threading
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

LOOK_S = 0.5
"""Polling interval of the parent's process number, where no file represents a process."""


def wait_for_end_of_parent(parent: BaseProcess) -> None:
    """Wait until the parent has ended, even if a forked child of the parent still runs.

    The sentinel of multiprocessing is a pipe: a child that the parent has forked holds it open.
    """
    if sys.platform == "win32":
        wait([parent.sentinel])
        return

    watched, number = [parent.sentinel], -1
    if sys.platform == "linux" and parent.pid is not None:
        try:
            number = os.pidfd_open(parent.pid)
            watched.append(number)
        except ProcessLookupError:
            return
        except OSError:
            pass  # an old kernel, or a container that forbids it

    ours = os.getppid()
    while not wait(watched, timeout=None if number >= 0 else LOOK_S):
        if os.getppid() != ours:
            return
    if number >= 0:
        os.close(number)


def end_with_parent() -> None:
    """Start a thread that ends this process as soon as its parent has ended."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait_for_end_of_parent(parent)
        os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
