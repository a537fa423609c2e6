"""The journal: entries of a run in shared memory, from the engine to whoever reads.

It outlives the engine: whatever was written before a crash can still be read. Fixed
slots, one writer; each reader has its own place. The first reader (the recorder) tells
the writer how far it has come, so that an entry that would be lost is noticed.
"""

import pickle
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.record import Entry
from core.ring import SharedBlock

_SLOT = 8192
_HEAD = 16  # sequence and length


@dataclass(frozen=True, slots=True)
class JournalSpec:
    """What another process must know to attach to a journal."""

    memory: str
    slots: int


class JournalFullError(Exception):
    """The recorder is so far behind that an entry would be lost."""


class Journal:
    """A mapped journal."""

    def __init__(self, spec: JournalSpec, block: SharedBlock | None = None) -> None:
        self.spec = spec
        self._block = block or SharedBlock(spec.memory)
        counts = self._block.bytes[:_HEAD]
        self.counts: NDArray[np.int64] = np.frombuffer(counts, np.int64)
        """Entries written; entries that the recorder has read (-1: no recorder)."""
        slots = self._block.bytes[_HEAD : _HEAD + _SLOT * spec.slots]
        self.slots: NDArray[np.uint8] = np.frombuffer(slots, np.uint8).reshape(
            -1, _SLOT
        )
        self.heads: NDArray[np.int64] = self.slots[:, :_HEAD].view(np.int64)

    def close(self) -> None:
        """Give the mapping back."""
        del self.counts, self.slots, self.heads
        self._block.drop()

    def unlink(self) -> None:
        """Remove the memory; only the process that made it does."""
        self._block.unlink()


def create_journal(slots: int = 4096) -> Journal:
    """Make a journal; 4096 slots of 8 KiB hold 40 s at 100 frames/s."""
    block = SharedBlock(create=True, size=_HEAD + _SLOT * slots)
    journal = Journal(JournalSpec(block.name, slots), block)
    journal.counts[:] = 0, -1
    return journal


class JournalWriter:
    """Writes entries; the engine has the only one."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def write(self, entry: Entry) -> None:
        """Write one entry; JournalFullError when the recorder would lose one by it."""
        written, recorded = self._journal.counts.tolist()
        if recorded >= 0 and written - recorded >= self._journal.spec.slots - 1:
            raise JournalFullError("the recorder does not keep up with the experiment")
        data = pickle.dumps(entry, pickle.HIGHEST_PROTOCOL)
        if len(data) > _SLOT - _HEAD:
            raise ValueError(f"an entry of {len(data)} bytes does not fit the journal")
        place = written % self._journal.spec.slots
        head, slot = self._journal.heads[place], self._journal.slots[place]
        head[0] = 0
        slot[_HEAD : _HEAD + len(data)] = np.frombuffer(data, np.uint8)
        head[1] = len(data)
        head[0] = written + 1
        self._journal.counts[0] = written + 1


class JournalReader:
    """Reads entries in order; counts those that were overwritten before it came."""

    def __init__(self, journal: Journal, recorder: bool = False) -> None:
        self._journal = journal
        self._recorder = recorder
        self._read = int(journal.counts[0])
        self.missed = 0
        if recorder:
            journal.counts[1] = self._read

    def read(self) -> list[Entry]:
        """Return all entries not yet read, in order."""
        written, slots = int(self._journal.counts[0]), self._journal.spec.slots
        entries: list[Entry] = []
        while self._read < written:
            if written - self._read >= slots:
                self.missed += 1
            elif (data := self._copied(self._read + 1)) is not None:
                entries.append(pickle.loads(data))
            else:
                self.missed += 1
            self._read += 1
        if self._recorder:
            self._journal.counts[1] = self._read
        return entries

    def _copied(self, sequence: int) -> bytes | None:
        place = (sequence - 1) % self._journal.spec.slots
        head = self._journal.heads[place]
        if head[0] != sequence:
            return None
        data = self._journal.slots[place, _HEAD : _HEAD + int(head[1])].tobytes()
        return data if head[0] == sequence else None
