"""The journal: every entry in order, and no silent loss."""

import multiprocessing
import pickle
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.command import Mark, OutputName, Pulse, Set, Train
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
from deeplabstream.core.packing import Packed
from deeplabstream.core.pose import Pose, Skeleton, part_names
from deeplabstream.ipc.journal import (
    Journal,
    JournalReader,
    JournalSpec,
    JournalWriter,
    create_journal,
)


@pytest.fixture
def journal() -> Iterator[Journal]:
    journal = create_journal(slots=8)
    yield journal
    journal.close()
    journal.unlink()


def note(number: int) -> Note:
    return Note("test", f"number {number}", number)


def test_entries_come_in_order_and_once(journal: Journal) -> None:
    writer, reader = JournalWriter(journal), JournalReader(journal)
    for number in range(5):
        writer.write(note(number))
    assert reader.read() == [note(number) for number in range(5)]
    assert reader.read() == []


class OwnSet(Set):
    """A command of an experiment's own class."""


POSE = Pose(
    Skeleton(("nose", "tail"), (("nose", "tail"),), ("anna", "berta")),
    np.array([[[1.5, 2], [np.nan, np.nan]], [[3, 4], [5, 6]]], np.float32),
    np.array([[0.25, 0], [1, 1]], np.float32),
    ("", "doubt1"),
    0.5,
)
COMMANDS = (
    Set(OutputName("laser"), 0.5),
    Pulse(OutputName("valve"), 0.25),
    Train(OutputName("laser"), 20.0, 0.01, 5),
    Mark("trial 3"),
    OwnSet(OutputName("laser"), 1.0),
)
FLAGS, INPUTS = {"anna_nose": "jump+held"}, {"lick": 1.0, "lick.count": float("nan")}
STEP = Step("top", 7, 1, 2, 3, 4, 5, POSE, {"in": True, "out": None}, COMMANDS, "trial")
ENTRIES: tuple[Entry, ...] = (
    STEP,
    replace(STEP, commands=(), lost=True, too_old=True, flags=FLAGS, seen=POSE.of(0)),
    replace(STEP, behaviours={"groom": np.float64(0.5)}, inputs=INPUTS),
    Intent(7, 10**18, COMMANDS),
    Edge("laser", 0.5, "plan", 1, 2),
    Acknowledged("laser", 0.5, 1, 2, 3, "limit"),
    Sensed("lick", True, 2, 3, 4, 5),
    Pulsed("trigger", 1, 2, 3, 4),
    TagRead("door", "999_000000001234", 5),
    Note("error", "a sentence", 5),
    Measured("top", 1, 2, "stay", "mm", (("anna", "distance", "", 1.5),)),
)


def content(value: Any) -> Any:
    """Return class and fields, of what it holds too; NaN as a word."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Pose | Packed):
        return type(value), [content(getattr(value, f.name)) for f in fields(value)]
    if isinstance(value, tuple | list):
        return [type(value), *map(content, value)]
    if isinstance(value, dict):
        return {key: content(each) for key, each in value.items()}
    return type(value), repr(value)


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_kind_of_entry_is_read_as_it_was_written(entry: Entry) -> None:
    journal = create_journal(slots=32)
    try:
        reader = JournalReader(journal)
        assert JournalWriter(journal).write(entry)
        (read,) = reader.read()
    finally:
        journal.close()
        journal.unlink()
    assert content(read) == content(entry)


def test_every_kind_of_entry_is_among_them() -> None:
    assert {type(entry) for entry in ENTRIES} == {*get_args(Entry)}


def test_what_a_dead_writer_left_can_be_read_from_another_mapping(
    journal: Journal,
) -> None:
    reader = JournalReader(journal)
    JournalWriter(Journal(journal.spec)).write(note(1))
    assert reader.read() == [note(1)]


def test_a_slow_window_misses_entries_and_counts_them(journal: Journal) -> None:
    writer, reader = JournalWriter(journal), JournalReader(journal)
    for number in range(20):
        writer.write(note(number))
    entries = reader.read()
    assert entries == [note(number) for number in range(20 - len(entries), 20)]
    assert reader.missed == 20 - len(entries)


def test_an_entry_that_the_recorder_would_lose_is_counted_as_lost(
    journal: Journal,
) -> None:
    writer, reader = JournalWriter(journal), JournalReader(journal, recorder=True)
    assert [writer.write(note(number)) for number in range(9)] == 7 * [True] + 2 * [
        False
    ]
    assert writer.lost == journal.lost == reader.lost == 2
    assert reader.read() == [note(number) for number in range(7)]
    assert not writer.write(note(98))  # read, but not yet written down
    assert journal.waiting == 7
    reader.recorded()
    assert journal.waiting == 0
    assert writer.write(note(99))
    assert reader.read() == [note(99)]
    assert JournalReader(journal).unrecorded() == [note(99)]
    assert reader.lost == 3


def test_edges_and_last_words_fit_when_frames_and_notes_no_longer_do() -> None:
    """The record must say that an output went off, whatever was written before."""
    off, last = Edge("laser", 0.0, "error", 1, 2), Note(LAST_NOTE, "ended", 3)
    journal = create_journal(slots=160)
    try:
        writer, reader = JournalWriter(journal), JournalReader(journal, recorder=True)
        kept: list[Entry] = []
        for kind in (Intent(1, 1, ()), note(1)):
            while writer.write(kind):
                kept.append(kind)
        assert [kept.count(note(1)), writer.lost] == [10, 2]
        assert all(writer.write(entry) for entry in (*[off] * 9, last))
        assert reader.read() == [*kept, *[off] * 9, last]
        assert reader.missed == 0
        assert not writer.write(off)
    finally:
        journal.close()
        journal.unlink()


def test_a_recorder_that_starts_late_misses_nothing(journal: Journal) -> None:
    JournalWriter(journal).write(note(1))
    assert JournalReader(journal, recorder=True).read() == [note(1)]


def test_an_entry_larger_than_the_journal_is_counted_as_lost(journal: Journal) -> None:
    writer, reader = JournalWriter(journal), JournalReader(journal)
    assert not writer.write(Note("test", "x" * 9000, 0))
    assert writer.write(note(1))
    assert reader.read() == [note(1)]
    assert reader.lost == 1


def test_a_frame_of_eight_animals_with_forty_points_fits() -> None:
    chance = np.random.default_rng(1)
    names = tuple(f"body part number {number}" for number in range(40))
    animals = tuple(f"animal {number}" for number in range(8))
    skeleton = Skeleton(names, (), animals)
    points = chance.random((8, 40, 2), np.float32)
    pose = Pose(skeleton, points, chance.random((8, 40), np.float32), animals)
    flags = dict.fromkeys(part_names(skeleton, 8), "jump+held")
    times = (1, 2, 3, 4, 5)
    step = Step("top", 7, *times, pose, {}, (), flags=flags, seen=pose)
    assert len(pickle.dumps(step)) > 8192
    journal = create_journal(slots=64)
    try:
        reader = JournalReader(journal, recorder=True)
        assert JournalWriter(journal).write(step)
        (back,) = reader.read()
        assert isinstance(back, Step)
        np.testing.assert_array_equal(back.pose.points, points)
        assert back.flags == flags
    finally:
        journal.close()
        journal.unlink()


ROOM = 992  # bytes of an entry in a slot
SIZES = st.one_of(
    st.integers(0, 3 * ROOM),
    st.integers(0, 20 * ROOM),
    st.sampled_from([0, ROOM - 60, ROOM - 59, 2 * ROOM - 60]),
)
MOVES = st.lists(st.tuples(SIZES, st.sampled_from(["", "read", "record", "late"])))


@given(slots=st.integers(2, 24), moves=MOVES)
def test_entries_of_any_size_come_in_order_or_are_counted(
    slots: int, moves: list[tuple[int, str]]
) -> None:
    """Random sizes, wrap-around, a recorder and a window that both read now and then."""
    journal = create_journal(slots)
    try:
        writer = JournalWriter(journal)
        recorder, window = JournalReader(journal, recorder=True), JournalReader(journal)
        written, recorded, shown = [], [], []
        for number, (size, move) in enumerate(moves):
            entry = Note("test", "x" * size, number)
            if writer.write(entry):
                written.append(entry)
            if move in ("read", "record"):
                recorded += recorder.read()
                assert recorded == written  # the recorder misses nothing
            if move == "record":
                recorder.recorded()
            if move == "late":
                shown += window.read()
                assert len(shown) + window.missed == len(written)
        unrecorded = JournalReader(Journal(journal.spec)).unrecorded()
        assert written[len(written) - journal.waiting :] == unrecorded
        shown += window.read()
        assert len(shown) + window.missed == len(written)
        assert [entry for entry in written if entry in shown] == shown
        assert len(written) + journal.lost == len(moves)
        assert recorder.missed == 0
    finally:
        journal.close()
        journal.unlink()


def write_many(spec: JournalSpec, sizes: list[int]) -> None:
    journal = Journal(spec)
    writer = JournalWriter(journal)
    for number, size in enumerate(sizes):
        writer.write(Note("test", f"{number % 10}" * size, number))
    journal.close()


def test_a_reader_that_is_overtaken_never_gets_a_torn_entry() -> None:
    """Another process writes as fast as it can, round after round, and is not waited for."""
    chance = np.random.default_rng(2)
    sizes = [int(size) for size in chance.integers(0, 6000, 20_000)]
    journal = create_journal(slots=32)
    reader, seen = JournalReader(journal), list[Entry]()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=write_many, args=(journal.spec, sizes))
    process.start()
    try:
        while process.is_alive():
            seen += reader.read()
        seen += reader.read()
        assert len(seen) + reader.missed == len(sizes)
        numbers = []
        for entry in seen:
            assert isinstance(entry, Note)
            numbers.append(entry.time_ns)
            assert entry.text == f"{entry.time_ns % 10}" * sizes[entry.time_ns]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == len(sizes) - 1
    finally:
        process.join()
        process.close()
        journal.close()
        journal.unlink()


@pytest.mark.parametrize("before", [0, 1, 20])
def test_a_reader_that_begins_while_an_entry_is_written_reads_it(
    journal: Journal, before: int
) -> None:
    """The writer is held up at each of its steps; the last is to count the slots."""
    writer, readers = JournalWriter(journal), list[JournalReader]()
    for number in range(before):
        writer.write(note(number))
    writer._fence = lambda: readers.append(JournalReader(journal))
    writer.write(note(before))
    assert len(readers) == 3
    for reader in readers:
        assert reader.read() == [note(before)]
        assert reader.missed == 0


def test_a_reader_from_the_start_reads_what_was_written_before(
    journal: Journal,
) -> None:
    JournalWriter(journal).write(note(1))
    assert JournalReader(journal).read() == []
    assert JournalReader(journal, from_start=True).read() == [note(1)]
