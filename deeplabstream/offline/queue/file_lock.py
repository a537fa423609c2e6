"""File locks: claims on work items on a shared disk.

A claim is a file that only one process can make. Its holder touches it now and then; when
that stops, because the process was killed, the next one makes the claim of the following
number. Nothing is ever taken over by deleting or renaming.
"""

import json
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

STALE_S = 120.0
"""So long after the last touch a claim counts no more."""


@dataclass
class Claim:
    """Claim on a work item; it holds while its process touches the file."""

    path: Path
    touch_s: float = 10.0
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Claim":
        self._thread = threading.Thread(target=self._touch, name="claim", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def holds(self) -> bool:
        """Return whether nobody has taken the work over meanwhile."""
        number = int(self.path.suffix[1:])
        return not self.path.with_suffix(f".{number + 1}").exists()

    def _touch(self) -> None:
        while not self._over.wait(self.touch_s):
            with suppress(OSError):  # the disk of another machine may come back
                os.utime(self.path)


def claim(
    folder: Path, name: str, number: int, machine: str, stale_s: float = STALE_S
) -> Claim | None:
    """Make the claim of that number; None when somebody else was faster.

    The one before must have ended: failed, or stale.
    """
    path = folder / f"{name}.claim.{number}"
    facts = {"machine": machine, "host": socket.gethostname(), "pid": os.getpid()}
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(json.dumps(facts))
    return Claim(path, touch_s=min(10.0, stale_s / 4))


def latest(folder: Path, name: str) -> tuple[int, Path | None]:
    """Return number and file of the last claim; 0 and None when there is none."""
    number = 0
    while (folder / f"{name}.claim.{number + 1}").exists():
        number += 1
    return number, folder / f"{name}.claim.{number}" if number else None


def facts_of(path: Path) -> Mapping[str, object]:
    """Return what a claim or a result says; nothing when it is just being written."""
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def is_stale(path: Path, stale_s: float) -> bool:
    """Return whether a claim's holder has ended.

    At once when it ran on this computer and is no longer there (not on Windows, which
    can't be asked without danger), else when it was not touched for `stale_s`, by the
    clock of the disk.
    """
    facts = facts_of(path)
    if facts.get("host") == socket.gethostname() and os.name == "posix":
        pid = facts.get("pid")
        if isinstance(pid, int) and not _runs(pid):
            return True
    try:
        return _disk_now(path.parent) - path.stat().st_mtime > stale_s
    except OSError:
        return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _disk_now(folder: Path) -> float:
    probe = folder / f".now.{socket.gethostname()}.{os.getpid()}"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)
