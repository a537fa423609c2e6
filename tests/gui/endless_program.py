"""A program that does not end by itself."""

from contextlib import suppress

import psutil

ENDLESS = "import threading; threading.Event().wait()"


START_ENDLESS = (
    "import subprocess, sys; nothing = subprocess.DEVNULL; print(subprocess.Popen("
    f"[sys.executable, '-c', {ENDLESS!r}], stdin=nothing, stdout=nothing).pid)"
)
"""A program that starts an endless process, prints its number, and ends."""


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended, also where nobody asks for its exit code."""
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True
