"""Low priority: lets a process compute and write only when no other process does."""

import os
import sys
from contextlib import suppress

import psutil

_LOWEST = 19
"""Priority, in steps of `nice`."""


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
