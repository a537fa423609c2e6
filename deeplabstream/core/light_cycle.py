"""Light cycle: the light and the dark phase of a room, by the times of a run.

The phase follows from the local time at which the stream was started, with its offset from
UTC, and from the times of the frames. The computer's clock is not read again: a clock that is
set during a run, also by daylight saving, changes no phase, and a re-run finds equal ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from typing import Literal, TypeAlias

from deeplabstream.core.daily_span import DailySpan

_HOUR_NS = 3600 * 10**9
_DAY_NS = 24 * _HOUR_NS

LightPhaseName: TypeAlias = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class LightMoment:
    """Place of a moment in the light cycle."""

    phase: LightPhaseName
    zeitgeber_h: float
    """Zeitgeber time: hours since the last lights-on, from 0 to below 24."""

    def __str__(self) -> str:
        """Return it as it is shown.

        >>> print(LightMoment("dark", 14.25))
        dark, ZT 14.2
        """
        return f"{self.phase}, {self.zeitgeber}"

    @property
    def zeitgeber(self) -> str:
        """Zeitgeber time as it is shown: `ZT 14.2`."""
        tenths = int(10 * self.zeitgeber_h)  # rounded down: 11.99 is before 12.0
        return f"ZT {tenths / 10:.1f}"


class LightCycle:
    """Phases of a run, by the time since the start of its stream.

    `lit`: the times of day from lights-on to lights-off. `started`: the local time of the
    start, with its offset from UTC, which holds for the whole run.
    """

    def __init__(self, lit: DailySpan, started: datetime) -> None:
        if started.tzinfo is None:
            raise ValueError("the start has no offset from UTC")
        on_ns = _ns_of_day(lit.begin)
        self._light_ns = (_ns_of_day(lit.end) - on_ns) % _DAY_NS
        self._zero_ns = (_ns_of_day(started.time()) - on_ns) % _DAY_NS
        """Zeitgeber time of the start of the stream."""

    def at(self, time_s: float) -> LightMoment:
        """Return the place of a moment, in seconds since the start of the stream."""
        zeitgeber_ns = self._zeitgeber_ns(time_s)
        phase: LightPhaseName = "light" if zeitgeber_ns < self._light_ns else "dark"
        return LightMoment(phase, zeitgeber_ns / _HOUR_NS)

    def is_near_change(self, time_s: float, within_s: float) -> bool:
        """Return whether the lamps go on or off less than so many seconds from a moment."""
        passed_ns, within_ns = self._zeitgeber_ns(time_s), round(1e9 * within_s)
        distances = (passed_ns, _DAY_NS - passed_ns, abs(passed_ns - self._light_ns))
        return min(distances) < within_ns

    def light_spans(
        self, start_s: float, end_s: float
    ) -> Iterator[tuple[float, float]]:
        """Yield begin and end of each light phase between two times, s, in order."""
        start_ns, end_ns = round(1e9 * start_s), round(1e9 * end_s)
        on_ns = start_ns - self._zeitgeber_ns(start_s)
        while on_ns < end_ns:
            begin_ns, until_ns = (
                max(on_ns, start_ns),
                min(on_ns + self._light_ns, end_ns),
            )
            if begin_ns < until_ns:
                yield begin_ns / 1e9, until_ns / 1e9
            on_ns += _DAY_NS

    def _zeitgeber_ns(self, time_s: float) -> int:
        return (self._zero_ns + round(1e9 * time_s)) % _DAY_NS


def light_cycle(
    lit: DailySpan, started: datetime, utc_offset: float | None
) -> LightCycle:
    """Return the phases of a run; `utc_offset`, h: that of the lamps' timer, if not the run's."""
    if utc_offset is not None:
        started = started.astimezone(timezone(timedelta(hours=utc_offset)))
    return LightCycle(lit, started)


def _ns_of_day(moment: time) -> int:
    seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second
    return seconds * 10**9 + moment.microsecond * 1000
