"""Failed run: the end of a run that the disk refuses, written once the disk takes it.

After the disk has failed, the experiment ends and its outputs are switched off. Those events
follow the failure, so they are kept here.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress

from deeplabstream.core.errors import DeviceError, counted
from deeplabstream.core.journal_entries import Edge, Entry, Measured, Pulsed, Step
from deeplabstream.recording.continued_events import ContinuedEvents, ContinuedTable
from deeplabstream.recording.csv_tables import time_cell
from deeplabstream.recording.run_folder import RunFolder

RETRY_NS = 5 * 10**9
"""Shortest time between two attempts to write."""
_KEPT = 10_000
"""Limit of the events that are kept: an experiment may go on without a record."""


class FailedRun:
    """Keeps events of a run until the disk takes them.

    `end` writes the end of the run to `run.json`; OSError: the disk refuses it.
    """

    def __init__(
        self, folder: RunFolder, start_ns: int, end: Callable[[], object]
    ) -> None:
        self.folder, self._start_ns = folder, start_ns
        self._end: Callable[[], object] | None = end
        self._entries: list[Entry] = []
        self._dropped = 0
        self._next_ns = 0

    def take(self, entries: Iterable[Entry]) -> None:
        """Keep the events of entries; poses and measures have their own tables, or are lost."""
        for entry in entries:
            if isinstance(entry, Measured | Pulsed):
                continue
            if isinstance(entry, Step) and not entry.commands:
                continue
            if len(self._entries) < _KEPT:
                self._entries.append(entry)
            else:
                self._dropped += 1

    def write(self, now_ns: int) -> None:
        """Try to write what is kept, unless it was tried just before; call it often."""
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + RETRY_NS
            self.write_now()

    def write_now(self) -> None:
        """Try to write what is kept; a disk that still refuses it changes nothing."""
        if self._end is None and not self._entries:
            return
        # another program may repair the run at the same time
        with suppress(OSError, DeviceError), self.folder.repairing(patience_s=0):
            self._write()

    def _write(self) -> None:
        if self._end is not None:
            if self.folder.facts["ended"] is None:  # else it was repaired meanwhile
                self._end()
            self._end = None

        table = ContinuedTable(self.folder.events_path)
        try:
            rows = ContinuedEvents(table, self._start_ns)
            for entry in self._entries:
                rows.entry(entry)
            rows.finish()
        finally:
            error = table.close()
        if error is not None:
            raise error
        self._entries.clear()

    @property
    def missing(self) -> str:
        """Sentence on events that are in memory only; empty: there are none."""
        number = len(self._entries) + self._dropped
        if not number:
            return ""
        last = {it.output: it for it in self._entries if isinstance(it, Edge)}
        levels = [
            f"[Output {edge.output}] = {edge.level:g} at "
            f"{time_cell(edge.written_ns, self._start_ns)} s"
            for edge in last.values()
        ]
        text = f"{counted(number, 'event')} after the disk failed are not in events.csv"
        return f"{text}, the last of outputs: {', '.join(levels)}" if levels else text
