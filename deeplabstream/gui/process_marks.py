"""Process marks: an environment variable that identifies a process and its descendants.

Descendants inherit it. Parent numbers are not sufficient: on Linux an orphan gets another
parent; a process may be started after the children were listed; and psutil leaves out
children that seem older than their parent, as after the clock was set back.
"""

import os
import sys
from contextlib import suppress
from uuid import uuid4

import psutil

from deeplabstream.core.clock import SystemClock, rest

VARIABLE = "DEEPLABSTREAM_MARKS"
"""Environment variable with the marks of a process."""
_PAUSE_S = 0.02


def new_mark() -> str:
    """Return a new, unique mark."""
    return uuid4().hex


def with_own_marks(mark: str) -> str:
    """Return the value of `VARIABLE` with this mark and the marks of this process."""
    return f"{os.environ.get(VARIABLE, '')} {mark}".strip()


def await_end(mark: str, patience_s: float, *, kill: bool = False) -> bool:
    """Wait until all processes with this mark have ended; with `kill`, end them.

    False: after `patience_s` some are left.
    """
    clock, none_before = SystemClock(), False
    until_ns = clock.now_ns() + round(patience_s * 1e9)
    while True:
        marked, unknown, ended = _find(mark)
        none = not marked and not unknown
        if none and (none_before or not ended):
            return True
        none_before = none
        for process in marked if kill else ():
            with suppress(psutil.Error):  # it has ended by now
                process.kill()
        if clock.now_ns() > until_ns:
            return False
        rest(_PAUSE_S)


def _find(mark: str) -> tuple[list[psutil.Process], bool, bool]:
    """Return the processes with this mark, and whether there may be others now or soon.

    Now: a process is being replaced by another program. Soon: a process ended after the list
    of processes was made; it may have started another one, which the next list has.
    """
    marked, unknown, ended = [], False, False
    for pid in psutil.pids():
        try:
            process = psutil.Process(pid)
            environment = process.environ()
            if mark in environment.get(VARIABLE, "").split():
                marked.append(process)
            elif not environment and _is_being_replaced(process):
                unknown = True
        except psutil.NoSuchProcess:
            ended = True
        except (psutil.Error, OSError):  # of another account
            continue
    return marked, unknown, ended


def _is_being_replaced(process: psutil.Process) -> bool:
    """Return whether a process without environment is about to run another program (exec)."""
    if sys.platform != "linux" or process.cmdline():
        return False
    return bool(process.exe())  # the kernel's own have none
