"""Semaphores between processes, which end a late child without a traceback."""

import os
from multiprocessing import get_context
from multiprocessing.synchronize import Semaphore
from typing import Any


class _ChildSemaphore(Semaphore):
    """A semaphore for processes that are spawned."""

    def __setstate__(self, state: Any) -> None:
        """Open it in a child; end the child if it was removed: its parent has ended."""
        try:
            super().__setstate__(state)
        except FileNotFoundError:
            # a stop may come while a child still starts; there is nothing to report it to
            os._exit(1)


def opened_semaphore() -> Semaphore:
    """Return a semaphore of value 0 for processes that are spawned."""
    return _ChildSemaphore(0, ctx=get_context("spawn"))
