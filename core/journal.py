"""The journal: entries of a run in shared memory, from the engine to whoever reads.

It outlives the engine: whatever was written before a crash can still be read. Fixed
slots, one writer; each reader has its own place. The first reader (the recorder) tells
the writer how far it has come, so that an entry that would be lost is noticed.
"""

import pickle
from dataclasses import dataclass

from core.record import Entry
from core.ring import SharedBlock

_SLOT = 8192
_HEAD = 16  # sequence and length, as the journal's own: written and recorded


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
        self.bytes = self._block.bytes[: _HEAD + _SLOT * spec.slots]
        """A head and the slots, each beginning with a head."""
        self.words = self.bytes.cast("q")
        """The same as int64; the first: entries written; the second: entries that the
        recorder has read (-1: there is no recorder)."""

    @property
    def waiting(self) -> int:
        """Entries that the recorder has still to write down."""
        return self.words[0] - max(0, self.words[1])

    def place(self, sequence: int) -> int:
        """Return at which byte the slot of an entry begins; sequences count from 1."""
        return _HEAD + _SLOT * ((sequence - 1) % self.spec.slots)

    def close(self) -> None:
        """Give the mapping back."""
        self.words.release()
        self.bytes.release()
        self._block.drop()

    def unlink(self) -> None:
        """Remove the memory; only the process that made it does."""
        self._block.unlink()


def create_journal(slots: int = 4096) -> Journal:
    """Make a journal; 4096 slots of 8 KiB hold 40 s at 100 frames/s."""
    block = SharedBlock(create=True, size=_HEAD + _SLOT * slots)
    journal = Journal(JournalSpec(block.name, slots), block)
    journal.words[0], journal.words[1] = 0, -1
    return journal


class JournalWriter:
    """Writes entries; the engine has the only one."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def write(self, entry: Entry) -> None:
        """Write one entry; JournalFullError when the recorder would lose one by it."""
        journal, words = self._journal, self._journal.words
        written, recorded = words[0], words[1]
        if recorded >= 0 and written - recorded >= journal.spec.slots - 1:
            raise JournalFullError("the recorder does not keep up with the experiment")
        data = pickle.dumps(entry, pickle.HIGHEST_PROTOCOL)
        if len(data) > _SLOT - _HEAD:
            raise ValueError(f"an entry of {len(data)} bytes does not fit the journal")
        place = journal.place(written + 1)
        head, start = place // 8, place + _HEAD
        words[head] = 0
        journal.bytes[start : start + len(data)] = data
        words[head + 1] = len(data)
        words[head] = written + 1
        words[0] = written + 1


class JournalReader:
    """Reads entries in order; counts those that were overwritten before it came."""

    def __init__(self, journal: Journal, recorder: bool = False) -> None:
        self._journal = journal
        self._read = 0 if recorder else journal.words[0]  # it may start late
        self.missed = 0
        if recorder:
            self.recorded()

    def read(self) -> list[Entry]:
        """Return all entries not yet read, in order."""
        written, slots = self._journal.words[0], self._journal.spec.slots
        entries: list[Entry] = []
        while self._read < written:
            if written - self._read >= slots:
                self.missed += 1
            elif (data := self._copied(self._read + 1)) is not None:
                entries.append(pickle.loads(data))
            else:
                self.missed += 1
            self._read += 1
        return entries

    def recorded(self) -> None:
        """Say that the recorder has written down all that it read: it may be overwritten."""
        self._journal.words[1] = self._read

    def unrecorded(self) -> list[Entry]:
        """Return what the recorder did not write down; for when it was killed."""
        self._read = max(0, self._journal.words[1])
        return self.read()

    def _copied(self, sequence: int) -> bytes | None:
        place, words = self._journal.place(sequence), self._journal.words
        head, start = place // 8, place + _HEAD
        if words[head] != sequence:
            return None
        data = bytes(self._journal.bytes[start : start + words[head + 1]])
        return data if words[head] == sequence else None
