"""Missed days: days between runs on which none was recorded, and what was planned on them."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta, tzinfo

from deeplabstream.analysis.uptime import RunUptime, UptimeGap
from deeplabstream.core.daily_span import DailySpan, utc

NO_RUN = "no run"
"""Beginning of the name of what takes the place of a run that was not recorded."""
_DAY = timedelta(days=1)


def days_without_run(
    runs: Sequence[RunUptime], zone: tzinfo | None = None
) -> list[date]:
    """Return the days between the first and the last run on which no run was recorded.

    `zone`: that of the days; None: the computer's. A gap before a restart belongs to the run
    that was restarted.
    """
    return [
        day
        for day in _days(runs, zone)
        if not _covered(runs, utc(day, time(), zone), utc(day + _DAY, time(), zone))
    ]


def missed_spans(
    runs: Sequence[RunUptime], daily: DailySpan, zone: tzinfo | None = None
) -> list[RunUptime]:
    """Return what was planned daily between the first and the last run, and has no run.

    The rate of exposures is that of the run before.
    """
    started = [run for run in runs if run.started]
    missed: list[RunUptime] = []
    for day in _days(runs, zone):
        span = daily.on(day, zone)
        before = [run for run in started if run.started and run.started <= span.begin]
        if not before or _covered(runs, span.begin, span.end):
            continue
        seconds = (span.end - span.begin).total_seconds()
        gap = UptimeGap(0.0, seconds, f"no run began ({daily})")
        missed.append(
            RunUptime(
                name=f"{NO_RUN} {day:%Y-%m-%d}",
                started=span.begin,
                ended="",
                planned_s=seconds,
                recorded_s=0.0,
                with_row=0,
                counted=0,
                missing=round(seconds * _rate(before)),
                gaps=(gap,),
                restarts=0,
                alarm_s=0.0,
            )
        )
    return missed


def _days(runs: Sequence[RunUptime], zone: tzinfo | None) -> Iterator[date]:
    """Yield the days from that of the first run until before that of the last one."""
    days = [run.started.astimezone(zone).date() for run in runs if run.started]
    day, last = min(days, default=date.max), max(days, default=date.min)
    while day < last:
        yield day
        day += _DAY


def _covered(runs: Sequence[RunUptime], begin: datetime, end: datetime) -> bool:
    """Return whether the planned time of a run has a part of a time."""
    for run in runs:
        if run.started is not None:
            first = run.started - timedelta(seconds=run.before_s)
            if first < end and begin < first + timedelta(seconds=run.planned_s):
                return True
    return False


def _rate(runs: Sequence[RunUptime]) -> float:
    """Return the exposures per second of the last run that has some; 0: none has."""
    for run in reversed(runs):
        if run.exposures and run.planned_s:
            return run.exposures / run.planned_s
    return 0.0
