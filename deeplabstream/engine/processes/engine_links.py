"""All that connects the engine's process with the rest of the rig."""

from dataclasses import dataclass
from multiprocessing.synchronize import Semaphore

from deeplabstream.ipc.journal import JournalSpec
from deeplabstream.ipc.pipe import Connection


@dataclass(frozen=True)
class EngineLinks:
    """All that connects the engine with the rest of the rig."""

    guards: tuple[Connection, ...]
    guarded: Semaphore
    """Released by each guard when it watches."""
    wake: Semaphore
    """Released for every frame and every message."""
    listeners: tuple[Semaphore, ...]
    """Released for every journal entry."""
    journal: JournalSpec
    zero_ns: int
