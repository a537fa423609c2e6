"""Shared memory and semaphores of a killed program, removed by another process."""

import sys
from collections.abc import Iterable
from importlib import import_module
from multiprocessing import resource_tracker
from typing import Any


def remove_shared_memory(memory: Iterable[str], semaphores: Iterable[str]) -> None:
    """Remove what is left of these names.

    Windows does so by itself. Python's resource tracker does so too, but only where it was
    not killed with the others; if it lives, it is told that there is nothing left to do.
    """
    if sys.platform == "win32":
        return
    sem_unlink = import_module("_multiprocessing").sem_unlink
    shm_unlink = import_module("_posixshmem").shm_unlink
    tracker: Any = vars(resource_tracker)["_resource_tracker"]
    tracked = tracker._check_alive()  # noqa: SLF001  (asking otherwise would start one)
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
