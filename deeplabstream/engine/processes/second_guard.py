"""Second guard: acts when engine and guard have ended; removes resources of killed processes.

It runs outside the process group and session of the other processes, so that a closed
terminal and a signal to the group do not reach it. It ends when the main process sends
`Stop`.

::

    watching ── goodbye of the engine or the guard ────────────────► waiting for main
       │                                                               │         │
       └── both end or hang ──► kill both ──► write 0 to all ──────────┘         │
                                                                                 │
    waiting for main ── `Stop` ──► end                                           │
           └── main process ends ──► all others end ──► complete the record ──► remove memory
"""

import os
import sys
from collections.abc import Mapping
from multiprocessing.synchronize import Semaphore
from typing import assert_never

from deeplabstream.engine.processes.child_process import send_message
from deeplabstream.engine.processes.guard import (
    GuardLinks,
    Report,
    killer,
    settle_guard,
    switch_off,
    wait_for_end,
    watch,
)
from deeplabstream.engine.session.messages import (
    SharedResources,
    Stop,
    ToSecondGuard,
    UnknownMessage,
)
from deeplabstream.ipc.journal import Journal, JournalReader
from deeplabstream.ipc.pipe import Connection, has_message, receive
from deeplabstream.ipc.shared_memory_cleanup import remove_shared_memory
from deeplabstream.plugins.output import Output

HANG_S = 3.0
"""Engine and guard without a heartbeat for this long hang, or are suspended."""
OTHERS_S = 60.0
"""How long to wait for the recorder to end after the main process has ended."""


def names_of(*semaphores: Semaphore) -> tuple[str, ...]:
    """Return the names of semaphores; on Windows they have none."""
    locks = (vars(semaphore).get("_semlock") for semaphore in semaphores)
    return tuple(lock.name for lock in locks if lock is not None and lock.name)


def second_guard_main(
    outputs: Mapping[str, Output],
    heart: Connection,
    pids: tuple[int, ...],
    presence: Connection | None,
    main: Connection,
    links: GuardLinks,
) -> None:
    """Switch off when engine and guard have ended or hang; clean up after killed processes.

    `heart` is held by engine and guard, `presence` by all other processes, if there are any.
    The main process sends `SharedResources`, and `Stop` after a normal end.
    """
    leave_session()
    # at once: when one of these processes has ended, another may get its number
    kills = [killer(pid) for pid in pids]
    real_time = settle_guard(outputs, links, main)
    report = Report(main, links)

    if what := watch(heart, HANG_S):
        # Both, also the one that only hangs: it may continue and switch an output on
        # again, and it holds the ports of the outputs.
        for kill in kills:
            kill()
        wait_for_end(heart)
        switch_off(
            outputs,
            f"Engine and guard {what}",
            "second guard",
            report,
            real_time.raise_threads,
        )

    # the outputs are off: the rest is not urgent
    real_time.end()
    remains = _remains(main)
    if remains is None:
        return

    # The recorder may still write the run; only when it has ended is the record completed.
    ended = presence is None or _all_ended(presence)
    if ended and remains.run is not None and links.journal is not None:
        from deeplabstream.recording.journal_recovery import complete_events

        entries = JournalReader(Journal(links.journal)).unrecorded()
        complete_events(remains.run, entries)

    # after the record is complete: the entries were in this memory
    remove_shared_memory(remains.memory, remains.semaphores)


def leave_session() -> None:
    """Leave the session and process group, on Windows the console, of the main process."""
    if sys.platform == "win32":
        from ctypes import WinDLL

        WinDLL("kernel32").FreeConsole()
    else:
        os.setsid()


def _remains(main: Connection) -> SharedResources | None:
    """Wait for the main process to end; return its shared resources, None after `Stop`."""
    remains = SharedResources()
    while (message := receive(main)) is not None:
        if not isinstance(message, ToSecondGuard):
            send_message(main, UnknownMessage.received(message))
            continue
        match message:
            case SharedResources():
                remains = message
            case Stop():
                return None
            case _:
                assert_never(message)
    # The pipe has ended without `Stop`: the main process was killed.
    return remains


def _all_ended(presence: Connection) -> bool:
    """Wait until all other processes have ended, by the end of a pipe that carries no data."""
    return has_message(presence, OTHERS_S)
