"""Removal of shared memory and semaphores that a killed program left."""

import sys
from collections.abc import Iterable
from importlib import import_module
from multiprocessing import resource_tracker
from typing import Any


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
