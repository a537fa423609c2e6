"""Semaphores between processes, which end a late child without a traceback."""

import os
from multiprocessing import get_context
from multiprocessing.synchronize import Semaphore
from typing import Any

from deeplabstream.ipc.shared_memory_cleanup import new_name


class _ChildSemaphore(Semaphore):
    """A semaphore for processes that are spawned."""

    @staticmethod
    def _make_name() -> str:
        return f"/{new_name()}"

    def __setstate__(self, state: Any) -> None:
        """Open it in a child; end the child if it was removed: its parent has ended."""
        try:
            super().__setstate__(state)  # type: ignore[misc]
        except FileNotFoundError:
            # a stop may come while a child still starts; there is nothing to report it to
            os._exit(1)


def opened_semaphore() -> Semaphore:
    """Return a semaphore of value 0 for processes that are spawned."""
    return _ChildSemaphore(0, ctx=get_context("spawn"))
