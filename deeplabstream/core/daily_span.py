"""Daily span: a time of day from which, and one until which, something happens each day."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

TIME_OF_DAY = r"([01]\d|2[0-3]):[0-5]\d"
"""Pattern of a time of day, such as 07:00."""
_SPAN = re.compile(rf"(?P<begin>{TIME_OF_DAY}) *(-|–|to) *(?P<end>{TIME_OF_DAY})")
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class DatedSpan:
    """Time from `begin` until before `end`, both in UTC."""

    day: date
    """Date of the begin by the local calendar."""
    begin: datetime
    end: datetime

    def contains(self, now: datetime) -> bool:
        """Return whether a time lies in it."""
        return self.begin <= now < self.end


@dataclass(frozen=True)
class DailySpan:
    """Times of day by the local clock; an end at or before the begin is on the next day."""

    begin: time
    end: time

    def __str__(self) -> str:
        """Return it as it is written in a file."""
        return f"{self.begin:%H:%M} - {self.end:%H:%M}"

    def on(self, day: date, zone: tzinfo | None) -> DatedSpan:
        """Return the span that begins on a day; `zone` None: that of the computer.

        In spring, a time of day that the clock skips is as much later as it skips. In autumn,
        a time of day that comes twice is the first one.
        """
        last = day if self.end > self.begin else day + _DAY
        return DatedSpan(day, utc(day, self.begin, zone), utc(last, self.end, zone))

    def spans(self, now: datetime, zone: tzinfo | None) -> Iterator[DatedSpan]:
        """Yield the spans that are not over at `now`, from the present one on; no end."""
        day = now.astimezone(zone).date() - _DAY
        while True:
            if (span := self.on(day, zone)).end > now:
                yield span
            day += _DAY


def read_daily_span(text: str) -> DailySpan:
    """Return the span of a text such as `19:00 - 07:00`; ValueError: it is none.

    >>> print(read_daily_span("19:00-07:00"))
    19:00 - 07:00
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError("expected two times of day, such as 19:00 - 07:00")
    begin, end = time.fromisoformat(found["begin"]), time.fromisoformat(found["end"])
    if begin == end:
        raise ValueError("begin and end must differ")
    return DailySpan(begin, end)


def utc(day: date, moment: time, zone: tzinfo | None) -> datetime:
    """Return a local time in UTC; `zone` None: that of the computer."""
    local = datetime.combine(day, moment, tzinfo=zone)
    return local.astimezone(UTC)
