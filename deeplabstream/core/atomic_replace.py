"""Giving a finished draft the name of the file that it replaces."""

import errno
from pathlib import Path

from deeplabstream.core.clock import SystemClock, rest

PATIENCE_S = 1.0
"""Who looks into a file is done with it sooner: our own windows, virus scanners."""
_IN_USE = (5, 32)
"""Windows' numbers for "access denied" and "used by another process"."""


def replace(draft: Path, file: Path) -> None:
    """Rename `draft` to `file`, in one step; OSError: it can't be, both are as they were.

    On Windows nothing takes the place of a file that somebody has open: it is tried again
    for `PATIENCE_S`, then the error names the file, not the draft.
    """
    clock = SystemClock()
    give_up_ns = clock.now_ns() + round(PATIENCE_S * 1e9)
    while True:
        try:
            draft.replace(file)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            if clock.now_ns() > give_up_ns:
                said = "it can't be replaced; another program may have it open"
                raise PermissionError(errno.EACCES, said, str(file)) from error
            rest(0.01)
        else:
            return
