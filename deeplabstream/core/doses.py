"""Doses: what an output has given (pulses and on-time), and limits of it in an hour and a day."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

HOUR_S, DAY_S = 3600.0, 86400.0
MERGED_S = 60.0
"""Doses within this time are one entry, with the time of the last: it counts longer."""
MOST_PULSES = 2**62
_TOLERANCE = 1e-6
"""Differences below this are rounding errors of sums: pulses or seconds."""


@dataclass(frozen=True, slots=True)
class Dose:
    """A number of pulses, and their on-time."""

    pulses: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Dose") -> "Dose":
        return Dose(self.pulses + other.pulses, self.seconds + other.seconds)

    def __sub__(self, other: "Dose") -> "Dose":
        return Dose(self.pulses - other.pulses, self.seconds - other.seconds)

    def includes(self, other: "Dose") -> bool:
        """Return whether neither pulses nor on-time of `other` are larger."""
        return (
            other.pulses <= self.pulses and other.seconds <= self.seconds + _TOLERANCE
        )

    def at_least(self, other: "Dose") -> "Dose":
        """Return the larger number of pulses and the larger on-time of two doses."""
        return Dose(max(self.pulses, other.pulses), max(self.seconds, other.seconds))

    @property
    def is_none(self) -> bool:
        """Whether nothing was given."""
        return not self.pulses and not self.seconds


@dataclass(frozen=True, slots=True)
class DoseLimit:
    """The largest amount that an output may give in any hour, or in any day (24 hours)."""

    key: str
    """Key of the setting."""
    most: float
    window_s: float
    of: Literal["pulses", "seconds"]
    unit: str
    per_second: float = 1.0
    """Amount per second of on-time."""

    def amount(self, dose: Dose) -> float:
        """Return the amount of a dose, in `unit`."""
        if self.of == "pulses":
            return dose.pulses
        return dose.seconds * self.per_second

    def left(self, given: Dose) -> Dose:
        """Return what may still be given after `given`; the other quantity is not limited."""
        left = max(self.most - self.amount(given), 0.0)
        if self.of == "pulses":
            return Dose(int(left), inf)
        return Dose(MOST_PULSES, left / self.per_second)

    def text(self, given: Dose) -> str:
        """Return how much was given.

        >>> limit = DoseLimit("MAX_PULSES_PER_DAY", 50, DAY_S, "pulses", "pulses")
        >>> limit.text(Dose(37, 7.4))
        '37 of 50 pulses in the last 24 h (MAX_PULSES_PER_DAY)'
        """
        hours = self.window_s / HOUR_S
        return (
            f"{round(self.amount(given), 3):g} of {self.most:g} {self.unit} in the last "
            f"{'hour' if hours == 1 else f'{hours:g} h'} ({self.key})"
        )


class DoseHistory:
    """Doses of the last 24 hours, by time in seconds; at most one entry per `MERGED_S`."""

    def __init__(self, entries: Iterable[tuple[float, Dose]] = ()) -> None:
        self._entries = deque(entries)
        self._began_s = -inf
        """Time of the first dose of the last entry."""

    def add(self, dose: Dose, time_s: float) -> None:
        """Add a dose that ended at a time, or with the last one if that is later."""
        if dose.is_none:
            return
        if self._entries:
            time_s = max(time_s, self._entries[-1][0])
        if self._entries and 0 <= time_s - self._began_s < MERGED_S:
            dose += self._entries.pop()[1]
        else:
            self._began_s = time_s
        self._entries.append((time_s, dose))
        while time_s - self._entries[0][0] >= DAY_S:
            self._entries.popleft()

    def close_entry(self) -> None:
        """Begin a new entry with the next dose, so that the present ones do not change."""
        self._began_s = -inf

    def given(self, window_s: float, time_s: float) -> Dose:
        """Return what was given in the last `window_s`."""
        total = Dose()
        for at_s, dose in reversed(self._entries):
            if time_s - at_s >= window_s:
                break
            total += dose
        return total

    def free_at_s(self, limit: DoseLimit, needed: Dose, time_s: float) -> float:
        """Return when `needed` fits into a limit, if nothing is given until then; inf: never."""
        given = self.given(limit.window_s, time_s)
        for at_s, dose in self._entries:
            if time_s - at_s >= limit.window_s:
                continue
            if limit.left(given).includes(needed):
                break
            given -= dose
            time_s = at_s + limit.window_s
        return time_s if limit.left(given).includes(needed) else inf

    @property
    def entries(self) -> Sequence[tuple[float, Dose]]:
        """All entries, the earliest first."""
        return tuple(self._entries)
