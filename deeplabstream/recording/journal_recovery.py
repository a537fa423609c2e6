"""Journal recovery: events written after the recorder ended, from the journal or detected later.

`run_repair` completes the tables and videos of the run.
"""

from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Entry, Note
from deeplabstream.recording.continued_events import ContinuedEvents, ContinuedTable
from deeplabstream.recording.event_rows import EventRows
from deeplabstream.recording.run_folder import RunFolder


def append_event(folder: RunFolder, entry: Entry) -> None:
    """Append the event of an entry to a run that has ended; disk errors are ignored."""
    with suppress(OSError):
        table = ContinuedTable(folder.events_path)
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

        table = ContinuedTable(folder.events_path)
    except (OSError, ValueError, TypeError, KeyError):  # run.json may be damaged
        return
    rows = ContinuedEvents(table, start_ns)
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
