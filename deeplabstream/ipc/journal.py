"""Journal: entries of a run in shared memory, written by the engine.

Entries remain readable after a crash of the engine. There is one writer; each reader has
its own position. An entry takes as many consecutive slots as it needs. The recorder stores
its position for the writer, which never overwrites unrecorded entries: an entry without
room is counted in `lost`. There is no back-pressure: the writer never waits, since it is
the loop that switches outputs. Some slots are reserved: frames are lost
before notes, and notes before edges of outputs.
"""

import pickle
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from deeplabstream.core.command import Mark, Pulse, Set, Train
from deeplabstream.core.journal_entries import (
    LAST_NOTE,
    Acknowledged,
    Edge,
    Entry,
    Intent,
    Measured,
    Note,
    Pulsed,
    Sensed,
    Step,
    TagRead,
)
from deeplabstream.core.pose import Pose, Skeleton, pose_from
from deeplabstream.ipc.ring import SharedBlock, create_block, memory_fence

_SLOT = 1024
# sequence, number of the entry, its length, index of the slot in the entry
_SLOT_HEAD = 32
_ROOM = _SLOT - _SLOT_HEAD
_HEAD = 64
_RESERVED = 8
"""Share of slots reserved for notes and edges (1 / 8), half of it for edges only."""
(
    _WRITTEN,
    _RECORDED,
    _ENTRIES,
    _LOST,
    _ENTRIES_RECORDED,
    _HEARTBEAT,
    _STOPS,
    _STOPS_DONE,
) = range(8)


@dataclass(frozen=True, slots=True)
class JournalSpec:
    """Parameters by which another process attaches to a journal."""

    memory: str
    slots: int


class Journal:
    """A mapped journal."""

    def __init__(self, spec: JournalSpec, block: SharedBlock | None = None) -> None:
        self.spec = spec
        self._block = block or SharedBlock(spec.memory)
        self._block.populate()
        self.bytes = self._block.bytes[: _HEAD + _SLOT * spec.slots]
        """The header and the slots, each with its own header."""
        self.fields = self.bytes.cast("q")
        """The same memory as int64. The header: slots written; slots recorded (-1: no recorder
        is attached); entries written; entries lost; entries recorded; last heartbeat; stop
        requests; stop requests that were carried out."""

    @property
    def waiting(self) -> int:
        """Entries that the recorder has not yet written to disk."""
        return self.fields[_ENTRIES] - self.fields[_ENTRIES_RECORDED]

    @property
    def lost(self) -> int:
        """Entries that were not written because the journal was full."""
        return self.fields[_LOST]

    @property
    def heartbeat_ns(self) -> int:
        """Time of the engine's last heartbeat; 0: it announced slow work, or has ended."""
        return self.fields[_HEARTBEAT]

    @heartbeat_ns.setter
    def heartbeat_ns(self, now_ns: int) -> None:
        self.fields[_HEARTBEAT] = now_ns

    @property
    def stops(self) -> int:
        """Number of stop requests that did not pass through the main process."""
        return self.fields[_STOPS]

    def request_stop(self) -> None:
        """Request the end of the experiment; only the stop window's process calls it."""
        self.fields[_STOPS] += 1

    @property
    def stops_done(self) -> int:
        """Number of stop requests after which the engine has ended the experiment."""
        return self.fields[_STOPS_DONE]

    @stops_done.setter
    def stops_done(self, number: int) -> None:
        self.fields[_STOPS_DONE] = number

    def place(self, sequence: int) -> int:
        """Return the byte offset of a slot; sequences count from 1."""
        return _HEAD + _SLOT * ((sequence - 1) % self.spec.slots)

    def close(self) -> None:
        """Unmap the memory."""
        self.fields.release()
        self.bytes.release()
        self._block.drop()

    def unlink(self) -> None:
        """Remove the memory; called by the process that made it."""
        self._block.unlink()


def create_journal(slots: int = 32768) -> Journal:
    """Make a journal; 32768 slots of 1 KiB hold minutes of frames at 100 a second.

    OSError: not enough shared memory.
    """
    block = create_block(_HEAD + _SLOT * slots)
    journal = Journal(JournalSpec(block.name, slots), block)
    journal.fields[_RECORDED] = -1
    return journal


class JournalWriter:
    """Writes entries without back-pressure; only the engine has a writer."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._fence = memory_fence()

    @property
    def lost(self) -> int:
        """Entries that could not be written so far."""
        return self._journal.lost

    def write(self, entry: Entry) -> bool:
        """Write one entry; False: the journal is full, the entry is counted as lost."""
        journal, fields = self._journal, self._journal.fields
        written, recorded = fields[_WRITTEN], fields[_RECORDED]
        data = pickle.dumps(_plain(entry), pickle.HIGHEST_PROTOCOL)
        needed = -(-len(data) // _ROOM)

        # Without a recorder the journal overwrites its oldest entries: only a crash needs them.
        behind = max(0, written - recorded) if recorded >= 0 else 0
        if behind + needed > journal.spec.slots - 1 - self._reserved(entry):
            fields[_LOST] += 1
            return False

        number, last = fields[_ENTRIES] + 1, written + needed
        places = [journal.place(sequence) for sequence in range(written + 1, last + 1)]
        # slots are invalid while they are written: see `ring.py`
        for place in places:
            fields[place // 8] = 0
        self._fence()

        for part, place in enumerate(places):
            head, start = place // 8, place + _SLOT_HEAD
            piece = data[part * _ROOM : (part + 1) * _ROOM]
            journal.bytes[start : start + len(piece)] = piece
            fields[head + 1], fields[head + 2], fields[head + 3] = (
                number,
                len(data),
                part,
            )
        self._fence()

        # The sequences make the slots valid. The count of slots is last: up to it a reader takes
        # entries to be complete, and after a crash so does the second guard.
        for sequence, place in enumerate(places, written + 1):
            fields[place // 8] = sequence
        fields[_ENTRIES] = number
        self._fence()
        fields[_WRITTEN] = last
        return True

    def _reserved(self, entry: Entry) -> int:
        """Return how many slots an entry must leave free for more important ones.

        Edges and the last note may use all slots: the record must say when an output was on.
        """
        slots = self._journal.spec.slots // _RESERVED
        match entry:
            case Edge():
                return 0
            case Note(kind):
                return 0 if kind == LAST_NOTE else slots // 2
            case Acknowledged():
                return slots // 2
        return slots


class JournalReader:
    """Reads entries in order; counts those that were overwritten before they were read."""

    def __init__(
        self, journal: Journal, recorder: bool = False, from_start: bool = False
    ) -> None:
        self._journal = journal
        self._fence = memory_fence()
        self._read, self._number = 0, 0
        # a reader that starts late begins with the next entry
        if not (recorder or from_start):
            self._read, self._number = self._newest()
        self.missed = 0
        if recorder:
            self.recorded()

    @property
    def lost(self) -> int:
        """Entries that can't be read: overwritten, or never written."""
        return self.missed + self._journal.lost

    def read(self) -> list[Entry]:
        """Return all entries not yet read, in order."""
        written, slots = self._journal.fields[_WRITTEN], self._journal.spec.slots
        entries: list[Entry] = []
        while self._read < written:
            # the slot after the newest may be in use by the writer: see `ring.py`
            first = max(self._read + 1, written - slots + 2)
            found = self._copied(first, written)
            # this slot is in the middle of an entry whose beginning was overwritten:
            # try the next one
            if found is None:
                self._read = first
                continue
            number, data, self._read = found
            self.missed += number - self._number - 1
            self._number = number
            entries.append(_restored(pickle.loads(data)))
        return entries

    def recorded(self) -> None:
        """Mark all entries read so far as recorded: they may be overwritten."""
        self._journal.fields[_RECORDED] = self._read
        self._journal.fields[_ENTRIES_RECORDED] = self._number

    def unrecorded(self) -> list[Entry]:
        """Return the entries that a killed recorder has not recorded."""
        # all are present: the writer does not overwrite entries that are not recorded
        self._read = max(0, self._journal.fields[_RECORDED])
        self._number = self._journal.fields[_ENTRIES_RECORDED]
        return self.read()

    def _newest(self) -> tuple[int, int]:
        """Return the last written slot and the number of its entry.

        The number is read from the slot: the writer counts the entry before its slots.
        """
        # repeat if the writer overwrote this slot before its header was read
        while written := self._journal.fields[_WRITTEN]:
            if number := self._number_at(written):
                return written, number
        return 0, 0

    def _number_at(self, sequence: int) -> int:
        """Return the number of the entry in a slot; 0: overwritten."""
        head, fields = self._journal.place(sequence) // 8, self._journal.fields
        number = fields[head + 1] if sequence else 0
        return number if fields[head] == sequence else 0

    def _copied(self, first: int, written: int) -> tuple[int, bytes, int] | None:
        """Return number and bytes of the entry that begins in a slot, and its last slot.

        None: no entry begins here, or it is overwritten.
        """
        journal, fields = self._journal, self._journal.fields
        self._fence()
        head = journal.place(first) // 8
        number, length, part = fields[head + 1], fields[head + 2], fields[head + 3]
        if fields[head] != first or part != 0:
            return None
        last = first + -(-length // _ROOM) - 1
        # the length in a slot that is being overwritten is arbitrary
        if last > written:
            return None

        self._fence()
        pieces = []
        for sequence in range(first, last + 1):
            start = journal.place(sequence) + _SLOT_HEAD
            size = min(_ROOM, length - (sequence - first) * _ROOM)
            pieces.append(bytes(journal.bytes[start : start + size]))
        self._fence()

        # valid only if no slot was overwritten in the meantime
        for sequence in range(first, last + 1):
            if self._number_at(sequence) != number:
                return None
        return number, b"".join(pieces), last


_KINDS: tuple[type[Any], ...] = (
    *(Step, Intent, Edge, Acknowledged, Sensed, Pulsed, TagRead, Note, Measured),
    *(Set, Pulse, Train, Mark),
)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
_POSE, _SEEN = (Step.__slots__.index(name) for name in ("pose", "seen"))
_COMMANDS = {kind: kind.__slots__.index("commands") for kind in (Step, Intent)}


def _plain(value: Any) -> object:
    """Return an entry or a command as the number of its class and its fields.

    Pickle looks up each class by its name, which takes most of its time. A class that is not
    in `_KINDS`, such as a command of a plug-in, is pickled as it is.
    """
    kind = type(value)
    if kind not in _NUMBERS:
        return value
    fields = [getattr(value, name) for name in kind.__slots__]
    if kind in _COMMANDS:
        fields[_COMMANDS[kind]] = [_plain(command) for command in value.commands]
    if kind is Step:
        fields[_POSE] = _plain_pose(value.pose)
        fields[_SEEN] = None if value.seen is None else _plain_pose(value.seen)
    return _NUMBERS[kind], fields


def _plain_pose(pose: Pose) -> tuple[object, ...]:
    skeleton = pose.skeleton
    return (skeleton.bodyparts, skeleton.edges, skeleton.animals), pose.plain


def _restored(value: Any) -> Any:
    """Return the original value of what `_plain` converted."""
    if type(value) is not tuple:
        return value
    number, fields = value
    kind = _KINDS[number]
    if kind in _COMMANDS:
        fields[_COMMANDS[kind]] = tuple(map(_restored, fields[_COMMANDS[kind]]))
    if kind is Step:
        fields[_POSE] = _restored_pose(*fields[_POSE])
        fields[_SEEN] = (
            None if fields[_SEEN] is None else _restored_pose(*fields[_SEEN])
        )
    return kind(*fields)


def _restored_pose(skeleton: tuple[Any, ...], values: tuple[Any, ...]) -> Pose:
    return pose_from(_skeleton(*skeleton), *values)


@lru_cache(maxsize=64)
def _skeleton(*fields: Any) -> Skeleton:
    return Skeleton(*fields)
