"""Uptime of runs: planned and recorded time, exposures accounted for, gaps, restarts, alarms.

All is computed from the tables and events of the runs, on the clock of their frames, which is
never set. Nothing is repaired or written.

* Planned is the time of a run, with the gap before it if it was restarted, and up to
  PLANNED_MINUTES if it ended unexpectedly and was not restarted.
* An exposure is accounted for if it has a row in a table, or if the run's account counts it as
  lost. Without an account, as after a kill, and between two runs, exposures are missing.
* An interval without frames of a camera is a gap from `GAP_S` on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deeplabstream.analysis.uptime_record import (
    CameraExposures,
    RunRecord,
    read_run,
)
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.journal_entries import ACKNOWLEDGED, ALARMS, RAISED
from deeplabstream.recording.run_schema import VIDEO_ENDED

START_S = 10.0
"""Time in which a run may have no frame at its begin, while cameras and encoders open."""
UNKNOWN = "not known"
_REGULAR = ("stopped", "ended", "finished", VIDEO_ENDED)
_CAUSES = ("camera", "computer", "guard", "analysis", "recording", "error", "alarm")
"""Kinds of notes that may tell the cause of a gap."""
_NEAR_S = 3.0
"""Time around a gap in which a note may tell its cause."""


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
    before_s: float = 0.0
    """Part of the planned time that is the gap before a restart."""

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
            records.append(read_run(path))
        except (OSError, ValueError, KeyError, TypeError, DeepLabStreamError) as error:
            failed.append((path, str(error) or type(error).__name__))
    records.sort(key=lambda it: it.started.timestamp() if it.started else 0.0)
    by_name = {record.path.name: record for record in records}
    followed = {record.follows.run for record in records if record.follows}
    return [
        _uptime(record, by_name, record.path.name in followed) for record in records
    ], failed


def _uptime(
    record: RunRecord, by_name: Mapping[str, RunRecord], is_followed: bool
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
        before_s=before.seconds if before is not None else 0.0,
    )


def _end_s(record: RunRecord, begin_s: float, is_followed: bool) -> float:
    """Return the planned end of a run."""
    if record.how in _REGULAR:
        return record.last_s
    end_s = max(record.last_s, record.last_event_s)
    if record.how is not None and not is_followed:
        end_s = max(end_s, begin_s + record.planned_s)
    return end_s


def _outside(
    record: RunRecord, camera: CameraExposures, begin_s: float, end_s: float
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


def _gaps(record: RunRecord, begin_s: float, end_s: float) -> Iterator[UptimeGap]:
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


def _reason(record: RunRecord, first_s: float, last_s: float) -> str:
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


def _gap_before(
    record: RunRecord, by_name: Mapping[str, RunRecord]
) -> UptimeGap | None:
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


def _by_calendar(before: RunRecord, record: RunRecord) -> float:
    """Return the time between two runs by date and time of day, s."""
    first, second = before.stream_started, record.stream_started
    if first is None or second is None:
        return 0.0
    return (second - first).total_seconds() + record.first_s - before.last_s


def _alarm_s(record: RunRecord, begin_s: float, end_s: float) -> float | None:
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
