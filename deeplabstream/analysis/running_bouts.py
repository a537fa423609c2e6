"""Bouts of a state while a run is recorded."""

from math import nan

TOLERANCE_S = 1e-9


class RunningBouts:
    """Bouts of a state that last at least `min_s`; a bout counts as soon as it is long enough."""

    def __init__(self, min_s: float, zero_s: float) -> None:
        self._min_s, self._zero_s = min_s - TOLERANCE_S, zero_s
        self._closed_s = 0.0
        self._closed = 0
        self._first_s = nan
        self._since_s = self._until_s = nan

    def hold(self, start_s: float, end_s: float) -> None:
        """Extend the current bout by an interval."""
        if self._since_s != self._since_s:
            self._since_s = start_s
        self._until_s = end_s
        if self._first_s != self._first_s and self._lasting_s:
            self._first_s = self._since_s - self._zero_s

    def end(self) -> None:
        """End the bout, if any."""
        if lasting_s := self._lasting_s:
            self._closed_s += lasting_s
            self._closed += 1
        self._since_s = self._until_s = nan

    @property
    def _lasting_s(self) -> float:
        """Duration of the present bout; 0 while it is too short."""
        lasts_s = self._until_s - self._since_s
        return lasts_s if lasts_s >= self._min_s else 0.0

    @property
    def total_s(self) -> float:
        """Seconds of all bouts."""
        return self._closed_s + self._lasting_s

    @property
    def count(self) -> float:
        """Number of bouts."""
        return float(self._closed + (self._lasting_s > 0))

    @property
    def latency_s(self) -> float:
        """Seconds until the first bout begins; NaN: none does."""
        return self._first_s
