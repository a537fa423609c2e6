"""Uptime of runs: planned and recorded time, exposures accounted for, gaps, restarts, alarms.

All is computed from the tables and events of the runs, on the clock of their frames, which is
never set. Nothing is repaired or written.

* Planned is the time of a run, with the gap before it if it was restarted, and up to
  PLANNED_MINUTES if it ended unexpectedly and was not restarted.
* An exposure is accounted for if it has a row in a table, or if the run's account counts it as
  lost. Without an account, as after a kill, and between two runs, exposures are missing.
* An interval without frames of a camera is a gap from `GAP_S` on.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge
from itertools import chain
from math import ceil
from pathlib import Path
from typing import Any

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.journal_entries import ACKNOWLEDGED, ALARMS, RAISED
from deeplabstream.files.foreign_files import read_json
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_json import stream_start, validate_facts
from deeplabstream.recording.run_schema import VIDEO_ENDED, current_facts
from deeplabstream.recording.table_reader import camera_table, events_table, video_table
from deeplabstream.settings.ini_reading import read_sections

GAP_S = 1.0
"""Shortest gap; of slow cameras three frames."""
START_S = 10.0
"""Time in which a run may have no frame at its begin, while cameras and encoders open."""
UNKNOWN = "not known"
_REGULAR = ("stopped", "ended", "finished", VIDEO_ENDED)
_CAUSES = ("camera", "computer", "guard", "analysis", "recording", "error", "alarm")
"""Kinds of notes that may tell the cause of a gap."""
_NEAR_S = 3.0
"""Time around a gap in which a note may tell its cause."""
RESTARTED = re.compile(
    r"restarted after a gap of (?P<gap>[\d.]+) s.* because (?P<cause>.*); "
    r"previous run folder: (?P<run>.*)"
)
"""A note `rack` of a box that was restarted."""
INTERRUPTED = re.compile(
    r"(?P<cause>started again after an interruption.*): .*; previous run folder: (?P<run>.*)"
)
"""A note `rack` of a box that was started again, such as after a power cut."""


@dataclass(frozen=True)
class UptimeGap:
    """A time without frames of at least one camera."""

    begin_s: float
    """Since Start Stream; of a gap before a run, that of the run before."""
    seconds: float
    reason: str


@dataclass(frozen=True)
class RunUptime:
    """Uptime of one run, with the gap before it."""

    name: str
    started: datetime | None
    ended: str
    """How the run ended; empty: it has not."""
    planned_s: float
    recorded_s: float
    with_row: int
    """Exposures with a row in a table."""
    counted: int
    """Exposures without a row that the run's account counts as lost."""
    missing: int
    """Exposures of the planned time that are neither."""
    gaps: tuple[UptimeGap, ...]
    restarts: int
    alarm_s: float | None
    """Time from alarms until they were acknowledged, or the end; None: not recorded."""

    @property
    def exposures(self) -> int:
        """Exposures of the planned time."""
        return self.with_row + self.counted + self.missing

    @property
    def accounted(self) -> float | None:
        """Share of the exposures that is accounted for; None: there were none."""
        if not self.exposures:
            return None
        return (self.with_row + self.counted) / self.exposures


def total(runs: Sequence[RunUptime]) -> RunUptime:
    """Return the sum of several runs."""
    alarms = [run.alarm_s for run in runs]
    return RunUptime(
        name="total",
        started=min((run.started for run in runs if run.started), default=None),
        ended="",
        planned_s=sum(run.planned_s for run in runs),
        recorded_s=sum(run.recorded_s for run in runs),
        with_row=sum(run.with_row for run in runs),
        counted=sum(run.counted for run in runs),
        missing=sum(run.missing for run in runs),
        gaps=tuple(gap for run in runs for gap in run.gaps),
        restarts=sum(run.restarts for run in runs),
        alarm_s=None if None in alarms else sum(filter(None, alarms)),
    )


def measure_uptime(
    paths: Sequence[Path],
) -> tuple[list[RunUptime], list[tuple[Path, str]]]:
    """Return the uptime of runs in the order of their starts, and those that can't be read."""
    records, failed = [], []
    for path in paths:
        try:
            records.append(_read_run(path))
        except (OSError, ValueError, KeyError, TypeError, DeepLabStreamError) as error:
            failed.append((path, str(error) or type(error).__name__))
    records.sort(key=lambda it: it.started.timestamp() if it.started else 0.0)
    by_name = {record.path.name: record for record in records}
    followed = {record.follows.run for record in records if record.follows}
    return [
        _uptime(record, by_name, record.path.name in followed) for record in records
    ], failed


# --- what a run has recorded


@dataclass
class _Camera:
    """Frames of one camera with a row."""

    rate: float | None
    """Nominal rate, 1/s."""
    rows: int = 0
    first_ns: int = 0
    last_ns: int = 0
    last_frame: int = 0
    lost: int = 0
    """Missing frame numbers, but those of the gaps."""
    gaps: list[tuple[int, int, int]] = field(default_factory=list)
    """Begin and end in ns, missing frame numbers."""
    covered_ns: int = 0
    """Time outside gaps."""
    intervals: int = 0
    """Exposures in that time, but the first."""

    @property
    def limit_s(self) -> float:
        """Shortest gap."""
        return max(GAP_S, 3 / self.rate) if self.rate else GAP_S

    def add(self, frame: int, time_ns: int) -> None:
        """Add a row; rows come in the order of their times."""
        if self.rows and (frame, time_ns) == (self.last_frame, self.last_ns):
            return  # it is in the table of the camera and in that of a video
        if not self.rows:
            self.first_ns = time_ns
        else:
            lost, past_ns = max(frame - self.last_frame - 1, 0), time_ns - self.last_ns
            if self.rate:  # a damaged number must not count as millions of losses
                lost = min(lost, ceil(2 * past_ns / 1e9 * self.rate) + 10)
            if past_ns > self.limit_s * 1e9:
                self.gaps.append((self.last_ns, time_ns, lost))
            else:
                self.lost += lost
                self.covered_ns += past_ns
                self.intervals += 1 + lost
        self.rows += 1
        self.last_frame, self.last_ns = frame, time_ns

    @property
    def measured_rate(self) -> float:
        """Rate of exposures outside gaps, 1/s; else the nominal one; 0: unknown."""
        if self.covered_ns:
            return self.intervals / (self.covered_ns / 1e9)
        return self.rate or 0.0

    @property
    def missing(self) -> int:
        """Exposures without a row between the first and the last one."""
        rate = self.measured_rate
        in_gaps = (
            max(lost, round((end - begin) / 1e9 * rate) - 1)
            for begin, end, lost in self.gaps
        )
        return self.lost + sum(in_gaps)


@dataclass(frozen=True)
class _Follows:
    """That a run goes on for another one."""

    run: str
    """Name of the folder of the run before."""
    cause: str
    gap_s: float | None
    """None: not measured, as after a power cut."""


@dataclass(frozen=True)
class _Record:
    """What one run has recorded; times in s since Start Stream."""

    path: Path
    start_ns: int
    """Start Stream on the clock of the frames."""
    started: datetime | None
    how: str | None
    begin_s: float
    """When the run folder was made."""
    cameras: Mapping[str, _Camera]
    counted: Mapping[str, int]
    """Losses that the run's account has, by camera."""
    last_event_s: float
    notes: Sequence[tuple[float, str, str]]
    """Time, kind and text."""
    follows: _Follows | None
    restarts: int
    planned_s: float

    @property
    def stream_started(self) -> datetime | None:
        return self.started and self.started - timedelta(seconds=self.begin_s)

    @property
    def seen(self) -> list[_Camera]:
        return [camera for camera in self.cameras.values() if camera.rows]

    @property
    def first_s(self) -> float:
        firsts = [self.seconds(camera.first_ns) for camera in self.seen]
        return min(firsts, default=self.begin_s)

    @property
    def last_s(self) -> float:
        lasts = [self.seconds(camera.last_ns) for camera in self.seen]
        return max(lasts, default=self.begin_s)

    def seconds(self, time_ns: int) -> float:
        return (time_ns - self.start_ns) / 1e9


def _read_run(path: Path) -> _Record:
    folder = RunFolder(path)
    facts = validate_facts(current_facts(dict(read_json(path / "run.json"))))[0]
    cameras = {}
    for name, form in facts["cameras"].items():
        cameras[name] = camera = _Camera(form.get("rate"))
        for frame, time_ns in _rows(folder, name):
            camera.add(frame, time_ns)

    firsts = [camera.first_ns for camera in cameras.values() if camera.rows]
    start_ns = facts["start_ns"]
    if start_ns is None:
        start_ns = min(firsts, default=0)
    opened_ns = facts.get("started_ns") or min(firsts, default=start_ns)

    notes, last_s = [], 0.0
    for row in events_table(folder.events_path).rows():
        time_s = float(row["time_s"] or 0.0)
        last_s = max(last_s, time_s)
        if row["kind"] == "note":
            notes.append((time_s, row["name"], row["text"]))
    return _Record(
        path=path,
        start_ns=start_ns,
        started=_started(facts),
        how=facts["how"],
        begin_s=(opened_ns - start_ns) / 1e9,
        cameras=cameras,
        counted=_counted(facts["accounting"]),
        last_event_s=last_s,
        notes=notes,
        follows=_follows(notes),
        restarts=sum(_restart(kind, text) is not None for _, kind, text in notes),
        planned_s=_planned_s(folder),
    )


def _rows(folder: RunFolder, camera: str) -> Iterator[tuple[int, int]]:
    """Yield frame number and time of each exposure with a row, in the order of the times."""
    tables = [camera_table(folder.table_path(camera), None)]
    videos = chain.from_iterable(
        _cells(video_table(path)) for path in folder.video_tables(camera)
    )
    return merge(
        *(_cells(table) for table in tables), videos, key=lambda row: (row[1], row[0])
    )


def _cells(table: Any) -> Iterator[tuple[int, int]]:
    for frame, time_ns in table.select("frame", "exposed_ns"):
        yield int(frame), int(time_ns)


def _started(facts: Mapping[str, Any]) -> datetime | None:
    if not facts["started"]:
        return None
    started = datetime.fromisoformat(facts["started"])
    if facts["start_ns"] is None:
        return started.astimezone()
    since = timedelta(
        microseconds=(facts.get("started_ns", facts["start_ns"]) - facts["start_ns"])
        // 1000
    )
    return (stream_start(facts) + since).astimezone()


def _counted(accounts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return by camera the losses in the accounts of a run.

    Analysis and recording count the same exposures: the span with more losses has them all.
    """
    spans: dict[tuple[str, str], int] = {}
    for account in accounts:
        key = account["camera"], account["span"]
        names = "lost", "dropped", "unlisted", "recording_losses"
        losses = sum(max(account.get(name) or 0, 0) for name in names)
        spans[key] = spans.get(key, 0) + losses
    found: dict[str, int] = {}
    for (camera, _), losses in spans.items():
        found[camera] = max(found.get(camera, 0), losses)
    return found


def _restart(kind: str, text: str) -> re.Match[str] | None:
    if kind != "rack":
        return None
    return RESTARTED.fullmatch(text) or INTERRUPTED.fullmatch(text)


def _follows(notes: Sequence[tuple[float, str, str]]) -> _Follows | None:
    for _, kind, text in notes:
        if (found := _restart(kind, text)) is not None:
            gap = found.groupdict().get("gap")
            name = Path(found["run"].replace("\\", "/")).name
            return _Follows(name, found["cause"], float(gap) if gap else None)
    return None


def _planned_s(folder: RunFolder) -> float:
    """Return PLANNED_MINUTES of a run's settings in s; 0: none, or they can't be read."""
    try:
        recording = read_sections(folder.settings_text).texts.get("Recording", {})
        return 60 * float(recording.get("PLANNED_MINUTES", 0))
    except (OSError, ValueError, DeepLabStreamError):
        return 0.0


# --- uptime


def _uptime(
    record: _Record, by_name: Mapping[str, _Record], is_followed: bool
) -> RunUptime:
    begin_s = record.begin_s
    if record.follows or record.first_s - begin_s <= START_S:
        begin_s = record.first_s
    end_s = _end_s(record, begin_s, is_followed)

    gaps = [*_gaps(record, begin_s, end_s)]
    outside = sum(
        max(seconds, 0.0) * camera.measured_rate
        for camera in record.cameras.values()
        for seconds in _outside(record, camera, begin_s, end_s)
    )
    before = _gap_before(record, by_name)
    planned_s = max(end_s - begin_s, 0.0)
    recorded_s = planned_s - sum(gap.seconds for gap in gaps)
    lost = counted = 0
    for name, camera in record.cameras.items():
        lost += camera.missing
        counted += min(record.counted.get(name, 0), camera.missing)
    missing = lost - counted + round(outside)
    if before is not None:
        gaps.insert(0, before)
        planned_s += before.seconds
        rates = sum(camera.measured_rate for camera in record.cameras.values())
        missing += round(before.seconds * rates)
    return RunUptime(
        name=record.path.name,
        started=record.started,
        ended=record.how or "",
        planned_s=planned_s,
        recorded_s=max(recorded_s, 0.0),
        with_row=sum(camera.rows for camera in record.cameras.values()),
        counted=counted,
        missing=missing,
        gaps=tuple(gaps),
        restarts=record.restarts,
        alarm_s=_alarm_s(record, begin_s, end_s),
    )


def _end_s(record: _Record, begin_s: float, is_followed: bool) -> float:
    """Return the planned end of a run."""
    if record.how in _REGULAR:
        return record.last_s
    end_s = max(record.last_s, record.last_event_s)
    if record.how is not None and not is_followed:
        end_s = max(end_s, begin_s + record.planned_s)
    return end_s


def _outside(
    record: _Record, camera: _Camera, begin_s: float, end_s: float
) -> tuple[float, float]:
    """Return the gaps of a camera at begin and end of a run, s; without any row, the whole."""
    if not camera.rows:
        # a camera that was not to be recorded makes no gap
        return (0.0 if record.seen else end_s - begin_s), 0.0
    first_s, last_s = record.seconds(camera.first_ns), record.seconds(camera.last_ns)
    before_s, after_s = first_s - begin_s, end_s - last_s
    return (
        before_s if before_s > START_S else 0.0,
        after_s if after_s > camera.limit_s else 0.0,
    )


def _gaps(record: _Record, begin_s: float, end_s: float) -> Iterator[UptimeGap]:
    """Yield the gaps of a run; gaps of several cameras that overlap are one."""
    spans: list[tuple[float, float]] = []
    for camera in record.cameras.values():
        spans += [
            (record.seconds(first), record.seconds(last))
            for first, last, _ in camera.gaps
        ]
        before_s, after_s = _outside(record, camera, begin_s, end_s)
        spans += [(begin_s, begin_s + before_s), (end_s - after_s, end_s)]
    last_s = begin_s
    joined: list[tuple[float, float]] = []
    for first, last in sorted(span for span in spans if span[1] > span[0]):
        if joined and first <= last_s:
            joined[-1] = joined[-1][0], max(last, last_s)
        else:
            joined.append((first, last))
        last_s = joined[-1][1]
    for first, last in joined:
        yield UptimeGap(first, last - first, _reason(record, first, last))


def _reason(record: _Record, first_s: float, last_s: float) -> str:
    near = [
        text
        for time_s, kind, text in record.notes
        if kind in _CAUSES and first_s - _NEAR_S <= time_s <= last_s + _NEAR_S
    ]
    if near:
        return near[0].splitlines()[0]
    if last_s >= max(record.last_s, record.last_event_s):
        return f"the run has ended: {record.how}" if record.how else UNKNOWN
    return UNKNOWN


def _gap_before(record: _Record, by_name: Mapping[str, _Record]) -> UptimeGap | None:
    """Return the gap between the run before and a restarted one."""
    follows = record.follows
    if follows is None:
        return None
    before = by_name.get(follows.run)
    if before is None or before is record:
        seconds = follows.gap_s or 0.0
        reason = follows.cause if seconds else f"{follows.cause} (time not known)"
        return UptimeGap(0.0, seconds, reason)
    if follows.gap_s is not None:
        # the same start of the computer: the times are those of one clock
        first_ns = record.start_ns + round(record.first_s * 1e9)
        seconds = (first_ns - before.start_ns) / 1e9 - before.last_s
        if seconds < 0:
            seconds = follows.gap_s
    else:
        seconds = _by_calendar(before, record)
    return UptimeGap(before.last_s, max(seconds, 0.0), follows.cause)


def _by_calendar(before: _Record, record: _Record) -> float:
    """Return the time between two runs by date and time of day, s."""
    first, second = before.stream_started, record.stream_started
    if first is None or second is None:
        return 0.0
    return (second - first).total_seconds() + record.first_s - before.last_s


def _alarm_s(record: _Record, begin_s: float, end_s: float) -> float | None:
    """Return the time in alarm; None: a version that did not record it."""
    changes = [(time_s, text) for time_s, kind, text in record.notes if kind == ALARMS]
    if not changes:
        alarms = any(kind in ("alarm", "error") for _, kind, _ in record.notes)
        return None if alarms else 0.0
    since: float | None = None
    total_s = 0.0
    for time_s, text in [*changes, (end_s, ACKNOWLEDGED)]:
        now_s = min(max(time_s, begin_s), end_s)
        if text.startswith(RAISED) and since is None:
            since = now_s
        elif text.startswith(ACKNOWLEDGED) and since is not None:
            total_s, since = total_s + now_s - since, None
    return total_s
