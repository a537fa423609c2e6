"""Continued events: rows appended to `events.csv` after its recorder, without repeating any."""

from collections.abc import Mapping
from contextlib import suppress
from csv import reader
from pathlib import Path

from deeplabstream.core.journal_entries import Acknowledged, Edge
from deeplabstream.recording.cell_formats import text_cell
from deeplabstream.recording.csv_tables import CsvTable
from deeplabstream.recording.event_rows import EventRows
from deeplabstream.recording.run_schema import EVENTS
from deeplabstream.recording.table_repair import cut_to, half_written_bytes

_TAIL = 1 << 20


class ContinuedTable(CsvTable):
    """An existing table, continued without repeating rows; OSError: the disk refuses it."""

    def __init__(self, path: Path) -> None:
        self.path, self.columns = path, EVENTS.names
        self._held = None

        # A new row must not continue a half-written one.
        if half := half_written_bytes(path):
            cut_to(path, path.stat().st_size - half)
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


class ContinuedEvents(EventRows):
    """Continues the events of a recorder that has ended, without repeating events.

    The last rows give edges and acknowledgements of new entries their frames and times.
    """

    def __init__(self, table: ContinuedTable, start_ns: int) -> None:
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
