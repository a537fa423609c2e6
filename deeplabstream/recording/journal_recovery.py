"""Events that are written after the recorder: left in the journal, or found out later.

`run_repair` completes the tables and videos of the run.
"""

from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.journal_entries import Entry, Note
from deeplabstream.recording.csv_tables import Table
from deeplabstream.recording.event_rows import EventRows
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_schema import EVENTS
from deeplabstream.recording.table_repair import cut_to, half_written_bytes

_TAIL = 1 << 20


class _ContinuedTable(Table):
    """Continues an existing table; rows that it has already are not repeated."""

    def __init__(self, path: Path) -> None:
        self.path, self.columns = path, EVENTS.names
        self._held = None
        self._file = path.open("r+b", buffering=0)
        end = self._file.seek(0, 2)
        self._file.seek(max(0, end - _TAIL))
        self._known = set(self._file.read().decode(errors="replace").splitlines())

    def write(self, row: str) -> None:
        """Append a row that is new."""
        if row not in self._known:
            super().write(row)


def append_event(folder: RunFolder, entry: Entry) -> None:
    """Append the event of an entry to a run that has ended; errors of the disk are ignored."""
    with suppress(OSError):
        table = _ContinuedTable(folder.events_path)
        with closing(table):
            EventRows(table, folder.facts["start_ns"]).entry(entry)


def complete_events(path: Path, entries: Iterable[Entry]) -> None:
    """Append the events of entries that the recorder may not have written.

    Rows of frames and triggers are not appended: their tables end with the recorder.
    Errors of the disk are ignored. A run that has ended is not changed.
    """
    folder = RunFolder(path)
    try:
        facts = folder.facts
        if facts["ended"] is not None:
            return
        if half := half_written_bytes(folder.events_path):
            cut_to(folder.events_path, folder.events_path.stat().st_size - half)
        table = _ContinuedTable(folder.events_path)
    except OSError:
        return
    rows = EventRows(table, facts["start_ns"])
    last_ns = SystemClock().now_ns()
    try:
        for entry in entries:
            rows.entry(entry)
            last_ns = getattr(entry, "time_ns", last_ns)
        rows.finish()
        text = "the recorder ended unexpectedly: this run is repaired when it is opened"
        rows.note(Note("recording", text, last_ns))
        folder.update(
            not_saved=[*facts.get("not_saved", []), f"{text[0].upper()}{text[1:]}"]
        )
    except OSError:
        return
    finally:
        table.close()
