"""Tracks: positions over time, gaps filled up to a limit, and the time that counts.

Between two frames the position changes along a straight line, and the state (inside a
region, moving) is that of the earlier frame. So the values of adjoining spans add up to
the value of the whole. The *interval* i lasts from frame i to frame i + 1.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Spans: TypeAlias = NDArray[np.float64]
"""(span, 2): start and end of each span, s; in order, not overlapping."""


def is_known(points: NDArray[np.floating]) -> Bools:
    """Return on which frames all coordinates are known.

    Parameters
    ----------
    points : numpy.ndarray of float, shape (frame, ...)
        NaN: not known.

    Returns
    -------
    numpy.ndarray of bool, shape (frame,)
    """
    flat = np.isfinite(points).reshape(len(points), -1)
    return np.asarray(np.all(flat, axis=1), np.bool_)


def fill_gaps(t: Floats, xy: Floats, max_gap_s: float) -> tuple[Floats, Bools]:
    """Interpolate short gaps linearly.

    Parameters
    ----------
    t : numpy.ndarray of float64, shape (frame,)
        Time of each frame, s, increasing.
    xy : numpy.ndarray of float64, shape (frame, 2 or 3)
        Positions. NaN: not found.
    max_gap_s : float
        Longest time from the last position before a gap to the first one after it that is
        filled.

    Returns
    -------
    filled : numpy.ndarray of float64, shape of `xy`
        NaN in longer gaps, and before the first and after the last position.
    interpolated : numpy.ndarray of bool, shape (frame,)
        Which frames were filled.
    """
    found = is_known(xy)
    filled = np.where(found[:, None], xy, np.nan)
    at = np.flatnonzero(found)
    if len(at) in (0, len(t)):
        return filled, np.zeros(len(t), np.bool_)
    missing = np.flatnonzero(~found)
    after = np.searchsorted(at, missing)
    between = (after > 0) & (after < len(at))
    missing, after = missing[between], after[between]
    short = t[at[after]] - t[at[after - 1]] <= max_gap_s
    missing = missing[short]
    for axis in range(xy.shape[1]):
        filled[missing, axis] = np.interp(t[missing], t[at], xy[at, axis])
    interpolated = np.zeros(len(t), np.bool_)
    interpolated[missing] = True
    return filled, interpolated


def smooth(t: Floats, xy: Floats, window_s: float) -> Floats:
    """Return centred moving means of the positions.

    Parameters
    ----------
    t : numpy.ndarray of float64, shape (frame,)
        Time of each frame, s.
    xy : numpy.ndarray of float64, shape (frame, 2 or 3)
        Positions. NaN: not known; stays NaN, and is left out of the means.
    window_s : float
        Frames at most half of it before or after are averaged; 0: no smoothing.

    Returns
    -------
    numpy.ndarray of float64, shape of `xy`
        Smoothed positions.
    """
    if not window_s:
        return xy
    first = np.searchsorted(t, t - window_s / 2 - 1e-9)
    last = np.searchsorted(t, t + window_s / 2 + 1e-9)
    found = is_known(xy)
    axes = xy.shape[1]
    origin = np.nanmean(xy, axis=0) if found.any() else np.zeros(axes)
    sums = np.zeros((len(t) + 1, axes + 1))
    sums[1:, :axes] = np.cumsum(np.where(found[:, None], xy - origin, 0.0), axis=0)
    sums[1:, axes] = np.cumsum(found)
    within = sums[last] - sums[first]
    means = within[:, :axes] / np.maximum(within[:, axes:], 1) + origin
    return np.where(found[:, None], means, np.nan)


def known_intervals(t: Floats, xy: Floats, max_gap_s: float) -> Bools:
    """Return in which intervals (frame - 1,) the position is known.

    Parameters
    ----------
    t : numpy.ndarray of float64, shape (frame,)
        Time of each frame, s.
    xy : numpy.ndarray of float64, shape (frame, ...)
        Positions after `fill_gaps`. NaN: not known.
    max_gap_s : float
        Longest interval; a longer one is a gap in the frames.
    """
    found = is_known(xy)
    return np.asarray(found[1:] & found[:-1] & (np.diff(t) <= max_gap_s + 1e-9))


class SpanClock:
    """Seconds of counted time up to a moment.

    Parameters
    ----------
    spans : numpy.ndarray of float64, shape (span, 2)
        Start and end of each span, s; in order, not overlapping.
    """

    def __init__(self, spans: Spans) -> None:
        spans = np.asarray(spans, np.float64).reshape(-1, 2)
        self.spans = spans[spans[:, 1] > spans[:, 0]]
        counted = np.repeat(np.cumsum(np.diff(self.spans).ravel()), 2)
        self._edges = self.spans.ravel()
        self._counted = np.concatenate([[0.0], counted])[: len(self._edges)]
        self._last: tuple[Floats, Floats] | None = None

    @property
    def total_s(self) -> float:
        """Seconds of all spans together."""
        return float(np.diff(self.spans).sum())

    def until(self, t: Floats) -> Floats:
        """Return the counted seconds before each of the times `t`."""
        if not len(self._edges):
            return np.zeros(np.shape(t))
        return np.asarray(np.interp(t, self._edges, self._counted))

    def between(self, t: Floats) -> Floats:
        """Return the counted seconds of each interval (frame - 1,) between times `t`."""
        # cached, because it is called for each subject
        if self._last is None or self._last[0] is not t:
            self._last = t, np.asarray(np.diff(self.until(t)))
        return self._last[1]

    def within(self, bouts: Spans) -> Floats:
        """Return the counted seconds of each bout (bout, 2)."""
        bouts = np.asarray(bouts, np.float64).reshape(-1, 2)
        return self.until(bouts[:, 1]) - self.until(bouts[:, 0])

    def holds(self, t: Floats) -> Bools:
        """Return which of the moments `t` lie in a span; its end belongs to the next."""
        t = np.asarray(t, np.float64)
        if not len(self.spans):
            return np.zeros(t.shape, np.bool_)
        at = np.searchsorted(self.spans[:, 0], t, side="right") - 1
        return np.asarray((at >= 0) & (t < self.spans[np.maximum(at, 0), 1]))

    def offset_s(self, moment: float) -> float:
        """Return the counted seconds from the start of the first span to a moment."""
        return float(self.until(np.array([moment]))[0])


def held_state(on: Bools, off: Bools, first: bool = False) -> Bools:
    """Return a state that `on` switches on, and `off` switches off, where both are false it stays.

    Parameters
    ----------
    on, off : numpy.ndarray of bool, shape (n,)
        Never both true.
    first : bool
        The state before the first change.
    """
    at = np.where(on | off, np.arange(len(on)), -1)
    last = np.maximum.accumulate(at) if len(at) else at
    return np.where(last >= 0, on[last], first)


def bouts_of(t: Floats, state: Bools, known: Bools, min_s: float = 0.0) -> Spans:
    """Return the bouts of a state of intervals.

    Parameters
    ----------
    t : numpy.ndarray of float64, shape (frame,)
        Time of each frame, s.
    state : numpy.ndarray of bool, shape (frame - 1,)
        Whether the state holds in each interval.
    known : numpy.ndarray of bool, shape (frame - 1,)
        Intervals in which it is known; any other interval ends a bout.
    min_s : float
        Shortest bout; shorter ones are left out.

    Returns
    -------
    numpy.ndarray of float64, shape (bout, 2)
        Start and end of each bout, s.
    """
    edges = np.diff(np.concatenate([[False], state & known, [False]]).astype(np.int8))
    bouts = np.column_stack([t[edges[: len(t)] > 0], t[edges[: len(t)] < 0]])
    return bouts[np.diff(bouts).ravel() >= min_s - 1e-9]


def joined(bouts: Spans, gap_s: float) -> Spans:
    """Return bouts (bout, 2) with those joined that are less than `gap_s` apart."""
    bouts = np.asarray(bouts, np.float64).reshape(-1, 2)
    if len(bouts) < 2:
        return bouts
    apart = bouts[1:, 0] - bouts[:-1, 1] >= gap_s - 1e-9
    starts = np.concatenate([[True], apart])
    ends = np.concatenate([apart, [True]])
    return np.column_stack([bouts[starts, 0], bouts[ends, 1]])


def outside_of(bouts: Spans, start_s: float, end_s: float) -> Spans:
    """Return the spans from `start_s` to `end_s` that lie between bouts (bout, 2)."""
    inner = np.clip(np.asarray(bouts, np.float64).reshape(-1, 2), start_s, end_s)
    edges = np.concatenate([[start_s], inner.ravel(), [end_s]]).reshape(-1, 2)
    return edges[edges[:, 1] > edges[:, 0]]
