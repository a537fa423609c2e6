"""Removal of shared memory and semaphores that a killed program left."""

import os
import re
import secrets
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

_FOLDER = Path("/dev/shm")
_NAME = re.compile(r"(?:sem\.)?dls-(\d+)-[0-9a-f]{8}")


def new_name() -> str:
    """Return a name for shared memory or a semaphore that this process makes."""
    return f"dls-{os.getpid()}-{secrets.token_hex(4)}"


def hold(file: int) -> None:
    """Mark shared memory as used by this process, as long as it is open here; on Linux."""
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def remove_abandoned(folder: Path = _FOLDER) -> None:
    """Remove what programs left that were killed while they started; on Linux.

    The process that made it has ended, and no other one uses it.
    """
    if sys.platform != "linux":
        return
    import fcntl

    for path in folder.glob("*dls-*"):
        found = _NAME.fullmatch(path.name)
        if found is None or Path(f"/proc/{found[1]}").exists():
            continue
        with suppress(OSError), path.open("rb") as file:  # one of another user
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def remove_shared_memory(memory: Iterable[str], semaphores: Iterable[str]) -> None:
    """Remove shared memory and semaphores by name; missing ones are ignored.

    Windows does so itself. Python's resource tracker does so only if it was not killed too;
    in a live one they are unregistered.
    """
    if sys.platform == "win32":
        return
    sem_unlink = import_module("_multiprocessing").sem_unlink
    shm_unlink = import_module("_posixshmem").shm_unlink
    tracker: Any = vars(resource_tracker)["_resource_tracker"]
    # the public functions would start a tracker if none is running
    tracked = tracker._check_alive()  # noqa: SLF001

    names = [(shm_unlink, _rooted(name), "shared_memory") for name in memory]
    names += [(sem_unlink, _rooted(name), "semaphore") for name in semaphores]
    for unlink, name, kind in names:
        try:
            unlink(name)
        except FileNotFoundError:
            continue
        if tracked:
            resource_tracker.unregister(name, kind)


def _rooted(name: str) -> str:
    return name if name.startswith("/") else f"/{name}"
