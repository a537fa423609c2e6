"""Onset counter: what the limits of a trigger count, in a run and in one that continues it."""

from collections import deque
from dataclasses import dataclass

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class OnsetCounts:
    """Onsets of a trigger and its time true, up to a moment."""

    number: int = 0
    """Number of onsets, real and sham."""
    recent: tuple[float, ...] = ()
    """Times of those within the last minute, s since Start Stream; before it: negative."""
    ended_s: float | None = None
    """End of the last onset; None: there was none."""
    total_s: float = 0.0
    """Total time true."""

    def later(self, seconds: float) -> "OnsetCounts":
        """Return the counts with times since a moment that is later by `seconds`."""
        ended_s = None if self.ended_s is None else self.ended_s - seconds
        recent = tuple(time_s - seconds for time_s in self.recent)
        return OnsetCounts(self.number, recent, ended_s, self.total_s)


class OnsetCounter:
    """Counts the onsets of a trigger, and its time true; times never decrease."""

    def __init__(self, counts: OnsetCounts | None = None) -> None:
        counts = counts or OnsetCounts()
        self.number = counts.number
        self.ended_s, self.total_s = counts.ended_s, counts.total_s
        self.on = False
        """Whether an onset, real or sham, has not ended."""
        self.sham = False
        """Whether that onset is sham."""
        self._recent = deque(counts.recent)
        self._before_s = 0.0

    def advance(self, time_s: float) -> None:
        """Count the time since the last call, if the trigger is true."""
        if self.on and not self.sham:
            self.total_s += time_s - self._before_s
        self._before_s = time_s

    def begin(self, time_s: float, sham: bool) -> None:
        """Count an onset."""
        self.on, self.sham = True, sham
        self.number += 1
        self._recent.append(time_s)

    def end(self, time_s: float) -> None:
        """End the onset."""
        self.on, self.sham, self.ended_s = False, False, time_s

    def in_last_minute(self, time_s: float) -> int:
        """Return the number of onsets in the last minute."""
        while self._recent and time_s - self._recent[0] >= MINUTE_S:
            self._recent.popleft()
        return len(self._recent)

    def counts(self, time_s: float) -> OnsetCounts:
        """Return the counts at a time; an onset that lasts ends with it."""
        self.in_last_minute(time_s)
        ended_s = time_s if self.on else self.ended_s
        return OnsetCounts(self.number, tuple(self._recent), ended_s, self.total_s)
