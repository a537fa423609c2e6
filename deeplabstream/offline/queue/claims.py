"""Claims: each session of a queue is processed by one process of this computer.

A claim is a file that only one process can create. It counts until the session has failed,
is done, or its process has ended. Then the next process creates the claim of the following
number; no claim is deleted or renamed, so two processes never hold the same one.
"""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

_CLOCK_TOLERANCE_S = 60.0
"""The start of a process is computed from the system clock, which may be corrected."""


def create_claim(folder: Path, name: str, number: int, machine: str) -> Path | None:
    """Create the claim of that number; None when another process was faster.

    The claim before it must have ended.
    """
    path = folder / f"{name}.claim.{number}"
    holder = {
        "machine": machine,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
    }
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(json.dumps(holder))
    return path


def latest_claim(folder: Path, name: str) -> tuple[int, Path | None]:
    """Return number and file of the last claim; 0 and None when there is none."""
    number = 0
    while (folder / f"{name}.claim.{number + 1}").exists():
        number += 1
    return number, folder / f"{name}.claim.{number}" if number else None


def read_entry(path: Path) -> Mapping[str, object]:
    """Return what a file of the queue contains; nothing while it is being written."""
    try:
        entry = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


def holder_is_alive(claim: Path) -> bool:
    """Return whether the process that created a claim still runs.

    Whether a process of another computer runs is not known: True.
    """
    holder = read_entry(claim)
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int):
        return True
    try:
        started_s = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # the process exists, and its account may not be asked
        return True

    # A process that started later has the number of the holder, which has ended.
    claimed = holder.get("started")
    return not isinstance(claimed, float) or started_s < claimed + _CLOCK_TOLERANCE_S
