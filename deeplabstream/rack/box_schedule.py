"""Box schedule: when a box is started and stopped by the calendar.

The calendar decides when a run starts, and when a daily run ends; the clock, which is never
set, limits durations. So a calendar that is set forwards or back, also by summer time, neither
leaves out a start nor repeats one:

* A daily run ends by the calendar, but never lasts longer than its span.
* A day's run is not started again before the next day by the clock.
* Daily runs start at least 12 h after each other, counted from the times at which their spans
  began.
"""

from dataclasses import dataclass
from datetime import date, datetime

from deeplabstream.core.clock import Calendar, Clock
from deeplabstream.core.daily_span import DailySpan, DatedSpan, utc
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.settings.rack_file import BoxSection

SAME_DAY_NS = 235 * 360 * 10**9
"""Time within which a date that comes again is the same day; a calendar that was set back by
a day repeats the date after 24 h."""
APART_NS = 12 * 3600 * 10**9
"""Shortest time between the begins of two daily spans."""


@dataclass(frozen=True)
class _Run:
    """The run that was started last."""

    started_ns: int
    day: date | None = None
    """Day of its span; None: it is not daily."""
    begun_ns: int = 0
    """Time of the clock at which its span began by the calendar."""
    ends: datetime | None = None
    left_ns: int | None = None
    """Time from its start to the end of its span."""


class BoxSchedule:
    """What is due for a box by START_AT, DAILY and MAX_HOURS, a calendar and a clock."""

    def __init__(self, box: BoxSection, clock: Clock, calendar: Calendar) -> None:
        self._box, self._clock, self._calendar = box, clock, calendar
        self._limit_ns = (
            None if box.max_hours is None else round(box.max_hours * 3.6e12)
        )
        self._run: _Run | None = None
        self._begun = False
        """Whether it was started since a user has started the box."""

    @property
    def animal(self) -> str:
        """The animal of ANIMALS that is in the box, or the next one; empty: no ANIMALS."""
        return ""

    @property
    def repeats(self) -> bool:
        """Whether another run follows after the present one."""
        return self._box.daily is not None

    def restart(self) -> None:
        """Let the box start again today, on behalf of a user."""
        self._run, self._begun = None, False

    def count_run(self, ended: datetime) -> None:
        """Count a run of an earlier rack that has ended, so that it is not repeated today."""
        now = self._calendar.now()
        if self._box.daily is None:
            self._begun = True
        elif self._span(self._box.daily, now).begin <= ended and self.due():
            self.begin()

    def recall(self, animal: str, interrupted: bool) -> None:
        """Go on with the last animal that was in the box: without ANIMALS, nothing changes."""

    def choose(self, animal: str) -> None:
        """Make an animal the next one; DeepLabStreamError: that is not possible."""
        raise DeepLabStreamError(f"there is no {animal}: the box has no ANIMALS")

    def end(self) -> None:
        """Store that the run is over: without ANIMALS, nothing changes."""

    def is_over(self, reported: datetime) -> bool:
        """Return whether a run that last reported at a time is of an earlier span than now."""
        if self._box.daily is None:
            return False
        return self._span(self._box.daily, self._calendar.now()).begin > reported

    def due(self) -> bool:
        """Return whether the box has to be started now."""
        now = self._calendar.now()
        if self._box.daily is None:
            return not self._begun and self._start_at(now) <= now
        span = self._span(self._box.daily, now)
        return self._begin(span) <= now and not self._done(span, now)

    def begin(self) -> None:
        """Store that the box has been started."""
        now, now_ns = self._calendar.now(), self._clock.now_ns()
        self._begun = True
        if self._box.daily is None:
            self._run = _Run(now_ns)
            return
        span = self._span(self._box.daily, now)
        self._run = _Run(
            started_ns=now_ns,
            day=span.day,
            begun_ns=now_ns - _ns(now, span.begin),
            ends=span.end,
            left_ns=_ns(span.end, now),
        )

    def over(self) -> str:
        """Return why the present run has to end now; empty: it may go on."""
        run = self._run
        if run is None:
            return ""
        lasted_ns = self._clock.now_ns() - run.started_ns
        past = run.ends is not None and self._calendar.now() >= run.ends
        if past or (run.left_ns is not None and lasted_ns >= run.left_ns):
            return f"DAILY = {self._box.daily}"
        if self._limit_ns is not None and lasted_ns >= self._limit_ns:
            return f"MAX_HOURS = {self._box.max_hours:g}"
        return ""

    def next_start(self) -> datetime:
        """Return the local date and time of the next start."""
        now = self._calendar.now()
        if self._box.daily is None:
            return self._local(self._start_at(now))
        for span in self._box.daily.spans(now, self._calendar.zone):
            begin = self._begin(span)
            if begin < span.end and not self._done(span, max(now, begin)):
                return self._local(begin)
        raise AssertionError("days have no end")

    def waiting(self) -> str:
        """Return what the box waits for: `waits until 19:00`, with the day if not today."""
        start, today = self.next_start(), self._local(self._calendar.now()).date()
        return f"waits until {start:{'%H:%M' if start.date() == today else '%Y-%m-%d %H:%M'}}"

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(self._calendar.zone)

    def _start_at(self, now: datetime) -> datetime:
        start = self._box.start_at
        return utc(start.date(), start.time(), self._calendar.zone) if start else now

    def _begin(self, span: DatedSpan) -> datetime:
        """Return when the run of a span starts: not before START_AT."""
        return max(span.begin, self._start_at(span.begin))

    def _span(self, daily: DailySpan, now: datetime) -> DatedSpan:
        """Return the span of now, or else the next one."""
        return next(daily.spans(now, self._calendar.zone))

    def _done(self, span: DatedSpan, moment: datetime) -> bool:
        """Return whether the run of a span is the last one again, at a time from now on."""
        run = self._run
        if run is None:
            return False
        ahead_ns = _ns(moment, self._calendar.now())
        since_ns = self._clock.now_ns() + ahead_ns - run.begun_ns
        if span.day != run.day:
            return since_ns < APART_NS
        return since_ns < max(SAME_DAY_NS, _ns(span.end, span.begin))


def _ns(later: datetime, earlier: datetime) -> int:
    return round((later - earlier).total_seconds() * 1e9)
