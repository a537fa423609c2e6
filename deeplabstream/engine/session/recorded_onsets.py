"""Recorded onsets: the counts of triggers at the end of a recorded experiment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from deeplabstream.core.errors import DeviceError
from deeplabstream.plugins.onset_counter import OnsetCounter, OnsetCounts
from deeplabstream.recording.cell_formats import parse_state
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_schema import TRIGGER_STATE, members
from deeplabstream.recording.table_reader import (
    RecordedTable,
    camera_table,
    moments_table,
)
from deeplabstream.settings.sections import Settings

_ROUNDED_NS = 1000
"""Times of notes are rounded to 1 µs."""
_CAMERA_COLUMNS = ("exposed_ns", "posed_ns", "analysed", "too_old")


@dataclass(frozen=True)
class ExperimentSpan:
    """The part of a run in which its last experiment ran."""

    began_ns: int
    """Time of the note on its start."""
    ended_ns: int | None
    """Time of the note on its end; None: the record ends before."""

    def has(self, posed_ns: int) -> bool:
        """Return whether a frame whose pose was ready at a time is in it."""
        is_before = self.ended_ns is not None and posed_ns > self.ended_ns + _ROUNDED_NS
        return posed_ns >= self.began_ns - _ROUNDED_NS and not is_before


class RecordedOnsets:
    """Onsets of the triggers on the analysed frames of an experiment, and its duration."""

    def __init__(
        self,
        folder: RunFolder,
        settings: Settings,
        span: ExperimentSpan,
        sham: Mapping[str, Sequence[tuple[float, bool]]],
    ) -> None:
        self._start_ns = int(folder.facts["start_ns"])
        self._sham, self._span = sham, span
        self._counters: dict[str, OnsetCounter] = {}
        self.first_s = self.last_s = (span.began_ns - self._start_ns) / 1e9
        """Times of the first and the last frame, s since Start Stream."""
        self._before = settings.resumed.triggers if settings.resumed else {}

        began_s: float | None = None
        skeleton = folder.skeleton
        of_camera = settings.triggers_by_camera()
        for camera in of_camera:
            path = folder.table_path(camera)
            # a camera without a frame has no table
            if path.is_file():
                table = camera_table(path, skeleton)
                times = self._read(table, of_camera[camera], in_space=False)
                decides = camera == settings.deciding_camera
                began_s = times if decides else began_s
        if folder.moments_path.is_file():
            table = moments_table(folder.moments_path)
            times = self._read(table, settings.space_triggers, in_space=True)
            began_s = times if settings.decides_in_space else began_s
        self.first_s = self.first_s if began_s is None else began_s

    def _read(
        self, table: RecordedTable, triggers: Sequence[str], in_space: bool
    ) -> float | None:
        """Count the onsets of a table's triggers; return the time of its first frame, s."""
        columns = members(table.columns, TRIGGER_STATE)
        counted = [
            _CountedTrigger(self._counter(name), self._sham.get(name, ()))
            for name in columns
        ]
        first_s: float | None = None
        names = ("exposed_ns", "exposed_ns", "", "") if in_space else _CAMERA_COLUMNS
        for exposed_ns, posed_ns, analysed, too_old, *states in table.select(
            *names, *columns.values()
        ):
            if analysed == "0" or not self._span.has(int(posed_ns or exposed_ns)):
                continue
            time_s = (int(exposed_ns) - self._start_ns) / 1e9
            first_s = time_s if first_s is None else first_s
            self.last_s = max(self.last_s, time_s)
            # triggers are not evaluated on a frame that is too old
            if too_old != "1":
                for trigger, state in zip(counted, states, strict=True):
                    trigger.add(parse_state(state), time_s)
        check_whole(table, {*triggers} <= {*columns})
        return first_s

    def _counter(self, name: str) -> OnsetCounter:
        return self._counters.setdefault(name, OnsetCounter(self._before.get(name)))

    def counts(self, is_cut: bool, margin_s: float) -> dict[str, OnsetCounts]:
        """Return the counts of each trigger.

        `is_cut`: the last frame, with an onset, may be missing. In `margin_s` after it a trigger
        may have been true.
        """
        found = dict[str, OnsetCounts]()
        for name, counter in self._counters.items():
            end_s = self.last_s + margin_s
            counts = counter.counts(end_s)
            if is_cut:
                counts = replace(
                    counts,
                    recent=(*counts.recent, end_s),
                    ended_s=end_s,
                    total_s=counts.total_s + margin_s,
                )
            found[name] = counts
        return found


class _CountedTrigger:
    """Counts the onsets of a trigger by its recorded states, as its debouncer did."""

    def __init__(
        self, counter: OnsetCounter, sham: Sequence[tuple[float, bool]]
    ) -> None:
        self._counter = counter
        self._changes = iter([*sham, (float("inf"), False)])
        self._next_s, self._next = next(self._changes)
        self._sham = False

    def add(self, state: bool | None, time_s: float) -> None:
        """Add the state on the next frame."""
        # times in notes are rounded to 1 ms
        while round(time_s, 3) >= self._next_s:
            self._sham = self._next
            self._next_s, self._next = next(self._changes)
        counter, on = self._counter, state is True or self._sham
        counter.advance(time_s)
        if counter.on and not on:
            counter.end(time_s)
        elif on and not counter.on:
            counter.begin(time_s, self._sham)


def check_whole(table: RecordedTable, is_complete: bool = True) -> None:
    """Raise DeviceError if lines or columns of a table that was read are missing."""
    if not table.path.is_file():
        refuse(table.path.parent, f"it has no {table.path.name}")
    if table.broken or not is_complete:
        line = min(table.broken, default=1)
        refuse(table.path.parent, f"line {line} of {table.path.name} is broken")


def refuse(run: Path, why: str) -> NoReturn:
    """Raise DeviceError: a run can't be continued because its record is not whole."""
    raise DeviceError(
        f"{run} can't be continued: {why}, so it is not known what was given. Start without "
        "continuing it, once no limit can be exceeded"
    )
