"""The journal: every entry in order, and no silent loss."""

from collections.abc import Iterator

import pytest

from core.journal import (
    Journal,
    JournalFullError,
    JournalReader,
    JournalWriter,
    create_journal,
)
from core.record import Note


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


def test_an_entry_that_the_recorder_would_lose_is_refused(journal: Journal) -> None:
    writer, reader = JournalWriter(journal), JournalReader(journal, recorder=True)
    with pytest.raises(JournalFullError):
        for number in range(20):
            writer.write(note(number))
    assert len(reader.read()) == 7
    with pytest.raises(JournalFullError):
        writer.write(note(98))  # read, but not yet written down
    reader.recorded()
    writer.write(note(99))
    assert reader.read() == [note(99)]
    assert JournalReader(journal).unrecorded() == [note(99)]


def test_a_recorder_that_starts_late_misses_nothing(journal: Journal) -> None:
    JournalWriter(journal).write(note(1))
    assert JournalReader(journal, recorder=True).read() == [note(1)]


def test_an_entry_too_large_for_its_slot_is_refused(journal: Journal) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        JournalWriter(journal).write(Note("test", "x" * 9000, 0))
