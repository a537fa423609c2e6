"""Duration histogram: quantiles of any number of durations, in constant memory."""

from math import exp, log

import numpy as np

_LEAST_NS = 1_000
_MOST_NS = 10**12
_RATIO = 1.002
"""Ratio of a bin's limits: a quantile is wrong by 0.1 % at most, within the limits."""
_BINS = int(log(_MOST_NS / _LEAST_NS) / log(_RATIO)) + 2


class DurationHistogram:
    """Counts durations in bins of equal ratio, from 1 µs to 1000 s; takes 83 kB.

    Durations outside are counted in the first or last bin.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._count = 0

    def __len__(self) -> int:
        """Return the number of durations."""
        return self._count

    def add(self, duration_ns: int) -> None:
        """Count a duration, in ns."""
        bounded = min(max(duration_ns, _LEAST_NS), _MOST_NS)
        self._counts[int(log(bounded / _LEAST_NS) / log(_RATIO))] += 1
        self._count += 1

    def quantile_ns(self, share: float) -> float:
        """Return the duration that a share of all does not exceed, within 0.1 %.

        Parameters
        ----------
        share : float
            From 0 to 1; 0.5: the median.

        Returns
        -------
        float
            Duration, in ns: the geometric middle of a bin; NaN: nothing was counted.
        """
        if not self._count:
            return float("nan")
        rank = min(max(int(np.ceil(share * self._count)), 1), self._count)
        index = int(np.searchsorted(np.cumsum(self._counts), rank))
        return _LEAST_NS * exp((index + 0.5) * log(_RATIO))
