"""Peri-event averages: a signal around events, its mean and standard error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """A number over a session."""

    name: str
    unit: str
    times_s: Numbers
    values: Numbers
    """(time,); NaN: not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """One signal around an event of all trials."""

    offsets_s: Numbers
    """(offset,) from the event."""
    trials: Numbers
    """(trial, offset); NaN: not known."""

    @property
    def mean(self) -> Numbers:
        """(offset,) over the trials that are known there."""
        known = np.isfinite(self.trials)
        total = np.where(known, self.trials, 0).sum(axis=0)
        count = known.sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    @property
    def error(self) -> Numbers:
        """(offset,) standard error of the mean; NaN with fewer than two trials."""
        known = np.isfinite(self.trials)
        count = known.sum(axis=0)
        off = np.where(known, self.trials - self.mean, 0)
        variance = (off**2).sum(axis=0) / np.maximum(count - 1, 1)
        return np.where(count > 1, np.sqrt(variance / np.maximum(count, 1)), np.nan)


def around(
    signal: Signal, events_s: Numbers, before_s: float, after_s: float, rate: float = 50
) -> Around:
    """Return a signal around each event that has a time, linearly between its samples.

    NaN where one of the two samples is not known, and outside of the session.
    """
    offsets = np.arange(-round(before_s * rate), round(after_s * rate) + 1) / rate
    events = events_s[np.isfinite(events_s)]
    queries = events[:, None] + offsets
    known = np.isfinite(signal.values)
    if known.sum() < 2:
        return Around(offsets, np.full(queries.shape, np.nan))
    times = signal.times_s
    filled = np.interp(times, times[known], signal.values[known])
    values = np.interp(queries, times, filled, np.nan, np.nan)
    unknown = np.interp(queries, times, (~known).astype(float), 1.0, 1.0)
    return Around(offsets, np.where(unknown > 0, np.nan, values))
