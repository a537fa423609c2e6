"""Low priority: lets a process compute after others, or only when no other process does."""

import os
import sys
from contextlib import suppress

import psutil

_LOWER, _LOWEST = 10, 19
"""Priorities, in steps of `nice`."""


def lower_own_priority() -> None:
    """Set a lower CPU priority for this process and the threads that it starts from now on."""
    with suppress(psutil.Error, OSError):
        windows = sys.platform == "win32"
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if windows else _LOWER)


def lower_priority(pid: int) -> None:
    """Set the lowest CPU and disk priority for a process and its descendants."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        _lower(process)  # first: processes that it starts from now on inherit it
        for child in process.children(recursive=True):
            _lower(child)


def _lower(process: psutil.Process) -> None:
    with suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            process.nice(psutil.IDLE_PRIORITY_CLASS)
            process.ionice(psutil.IOPRIO_VERYLOW)
        elif sys.platform == "linux":
            process.ionice(psutil.IOPRIO_CLASS_IDLE)
            for thread in process.threads():
                os.setpriority(os.PRIO_PROCESS, thread.id, _LOWEST)
        else:
            process.nice(_LOWEST)
