"""Second guard: acts when engine and guard are gone, and clears up when all processes are.

It runs outside the process group and session of the rig, so that a closed terminal and a
signal to the group do not reach it. It ends when the main process says that all is well.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.synchronize import Semaphore
from pathlib import Path

from deeplabstream.core.shared_memory_cleanup import remove_shared_memory
from deeplabstream.engine.processes.guard import (
    GuardLinks,
    Report,
    kill,
    settle_guard,
    switch_off,
    wait_for_end,
    watch,
)
from deeplabstream.ipc.journal import Journal, JournalReader
from deeplabstream.ipc.pipe import Connection, has_message
from deeplabstream.plugins.output import Output

HANG_S = 3.0
"""An engine and a guard that have said nothing for so long hang, or were suspended."""
OTHERS_S = 60.0
"""How long it waits for the recorder to end when the main process is gone."""


@dataclass(frozen=True, slots=True)
class SharedResources:
    """What a killed rig leaves behind."""

    memory: tuple[str, ...] = ()
    """Names of shared memory."""
    semaphores: tuple[str, ...] = ()
    run: Path | None = None
    """The run folder that is being written."""


def names_of(*semaphores: Semaphore) -> tuple[str, ...]:
    """Return the names of semaphores, where the system has any."""
    locks = (vars(each).get("_semlock") for each in semaphores)
    return tuple(lock.name for lock in locks if lock is not None and lock.name)


def second_guard_main(
    outputs: Mapping[str, Output],
    heart: Connection,
    pids: tuple[int, ...],
    presence: Connection | None,
    main: Connection,
    links: GuardLinks,
) -> None:
    """Switch off when engine and guard are gone or hang; clear up after a killed rig.

    `heart` is held by engine and guard, `presence` by all other processes, if there are any.
    The main process sends `SharedResources`, and None when all is well.
    """
    leave_session()
    settle_guard(outputs, links)
    report = Report(main, links)
    if what := watch(heart, HANG_S):
        for pid in pids:
            kill(pid)
        wait_for_end(heart)
        switch_off(outputs, f"Engine and guard {what}", "second guard", report)
    remains = _remains(main)
    if remains is None:
        return
    ended = presence is None or _all_ended(presence)
    if ended and remains.run is not None and links.journal is not None:
        from deeplabstream.recording.journal_recovery import complete_events

        entries = JournalReader(Journal(links.journal)).unrecorded()
        complete_events(remains.run, entries)
    remove_shared_memory(remains.memory, remains.semaphores)


def leave_session() -> None:
    """Leave the session and process group, on Windows the console, of the main process."""
    if sys.platform == "win32":
        from ctypes import WinDLL

        WinDLL("kernel32").FreeConsole()
    else:
        os.setsid()


def _remains(main: Connection) -> SharedResources | None:
    """Wait for the main process; return what it left, None if it said that all is well."""
    remains = SharedResources()
    try:
        while (told := main.recv()) is not None:
            remains = told
    except (EOFError, OSError):
        return remains
    return None


def _all_ended(presence: Connection) -> bool:
    """Wait until all other processes have ended; nothing is ever sent through the pipe."""
    return has_message(presence, OTHERS_S)
