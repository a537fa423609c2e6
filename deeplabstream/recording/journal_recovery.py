"""Journal recovery: events written after the recorder ended, from the journal or detected later.

`run_repair` completes the tables and videos of the run.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from csv import reader
from pathlib import Path

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Acknowledged, Edge, Entry, Note
from deeplabstream.recording.cell_formats import text_cell
from deeplabstream.recording.csv_tables import CsvTable
from deeplabstream.recording.event_rows import EventRows
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_schema import EVENTS
from deeplabstream.recording.table_repair import cut_to, half_written_bytes

_TAIL = 1 << 20


class _ContinuedTable(CsvTable):
    """Continues an existing table without repeating rows."""

    def __init__(self, path: Path) -> None:
        self.path, self.columns = path, EVENTS.names
        self._held = None
        self._file = path.open("r+b", buffering=0)

        # The recorder may have written some entries before it was killed: only its last
        # rows can be among those that are left in the journal.
        end = self._file.seek(0, 2)
        self._file.seek(max(0, end - _TAIL))
        lines = self._file.read().decode(errors="replace").splitlines()
        self._known = set(lines)
        self.last = [
            dict(zip(self.columns, row, strict=False)) for row in reader(lines)
        ]
        """The last rows, by column; the first may be incomplete."""

    def write(self, row: str) -> None:
        """Append a row unless it exists."""
        if row not in self._known:
            super().write(row)


class _ContinuedEvents(EventRows):
    """Continues the events of a recorder that has ended, without repeating events.

    The last rows give edges and acknowledgements of new entries their frames and times.
    """

    def __init__(self, table: _ContinuedTable, start_ns: int) -> None:
        super().__init__(table, start_ns)
        self._written: set[Edge] = set()
        self._acked: set[tuple[str, float, int, int]] = set()
        for row in table.last:
            with suppress(KeyError, ValueError):  # half a row
                self._resume(row)

    def _resume(self, row: Mapping[str, str]) -> None:
        """Continue after a row."""
        name, frame, kind = row["name"], row["frame"], row["kind"]
        if kind == "intent":
            self._acting = frame
        elif kind in ("command", "mark"):
            times = ("exposed_ns", "arrived_ns", "posed_ns", "decided_ns", "written_ns")
            camera = text_cell(row["camera"])
            self._chains[frame] = {"camera": camera, **{key: row[key] for key in times}}
        elif kind == "edge":
            decided_ns, written_ns = int(row["decided_ns"]), int(row["written_ns"])
            level = float(row["level"])
            edge = Edge(name, level, row["cause"], decided_ns, written_ns)
            self._edges.append((edge, frame))
            self._written.add(edge)
        elif kind == "ack":
            acted_ns, acked_ns = int(row["acted_ns"]), int(row["acked_ns"])
            self._acked.add((name, float(row["level"]), acted_ns, acked_ns))

    def edge(self, edge: Edge) -> None:
        """Write an edge unless it exists; then its frame is already known."""
        if edge not in self._written:
            super().edge(edge)

    def acknowledged(self, done: Acknowledged) -> None:
        """Write an acknowledgement unless it exists."""
        if (
            done.output,
            done.level,
            done.acted_ns,
            done.received_ns,
        ) not in self._acked:
            super().acknowledged(done)


def append_event(folder: RunFolder, entry: Entry) -> None:
    """Append the event of an entry to a run that has ended; disk errors are ignored."""
    with suppress(OSError):
        table = _ContinuedTable(folder.events_path)
        with closing(table):
            EventRows(table, folder.facts["start_ns"]).entry(entry)


def complete_events(path: Path, entries: Iterable[Entry]) -> None:
    """Append the events of entries that the recorder may not have written.

    Rows of frames and triggers are not appended: their tables end with the recorder.
    Errors of the disk are ignored. A run that has ended, or that another program repairs,
    is not changed.
    """
    with suppress(DeviceError), RunFolder(path).repairing():
        _complete(path, entries)


def _complete(path: Path, entries: Iterable[Entry]) -> None:
    folder = RunFolder(path)
    try:
        facts = folder.facts
        ended, start_ns = facts["ended"], int(facts["start_ns"])
        if ended is not None:
            return

        # A new row must not continue a half-written one.
        if half := half_written_bytes(folder.events_path):
            cut_to(folder.events_path, folder.events_path.stat().st_size - half)
        table = _ContinuedTable(folder.events_path)
    except (OSError, ValueError, TypeError, KeyError):  # run.json may be damaged
        return
    rows = _ContinuedEvents(table, start_ns)
    last_ns = SystemClock().now_ns()
    try:
        for entry in entries:
            rows.entry(entry)
            last_ns = getattr(entry, "time_ns", last_ns)
        rows.finish()

        # The end of the run stays open: `open_run_folder` then repairs videos and tables.
        text = "the recorder ended unexpectedly: this run is repaired when it is opened"
        rows.note(Note("recording", text, last_ns))
        folder.update(
            not_saved=[*facts.get("not_saved", []), f"{text[0].upper()}{text[1:]}"]
        )
    except OSError:
        return
    finally:
        table.close()
