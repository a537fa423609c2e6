"""Files that a forked child of this process must not hold: pipes to processes, locked ports.

A child made by `os.fork`, such as one of an experiment or of a user's script, has copies of
all open files. A copy of a pipe hides the end of this process; a copy of a port keeps its lock.
"""

import os
import weakref
from contextlib import suppress
from typing import Protocol


class _HasFile(Protocol):
    def fileno(self) -> int: ...


_held: "weakref.WeakSet[_HasFile]" = weakref.WeakSet()


def close_in_forked_children(*files: _HasFile | None) -> None:
    """Have every child that is forked from now on release its copies of these files."""
    _held.update(file for file in files if file is not None)


def _release() -> None:
    # Replaced, not closed: the object in the child closes its number later, and by then
    # another file may have it.
    nothing = os.open(os.devnull, os.O_RDWR)
    for file in list(_held):
        with suppress(OSError, ValueError):  # closed already
            os.dup2(nothing, file.fileno(), inheritable=False)
    os.close(nothing)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release)
