"""Kinematics: path length, speed, mobility, freezing, heading and turning of one track.

Angles grow clockwise on the screen (x right, y down), as in `core.geometry`.
"""

import numpy as np

from deeplabstream.analysis.tracks import (
    Bools,
    Floats,
    Spans,
    bouts_of,
    held_state,
    is_known,
)


def step_lengths(xy: Floats) -> Floats:
    """Return the distance between successive positions.

    Parameters
    ----------
    xy : numpy.ndarray of float64, shape (frame, 2 or 3)
        Positions. NaN: not known.

    Returns
    -------
    numpy.ndarray of float64, shape (frame - 1,)
        NaN where one of the two is not known.
    """
    return _lengths(np.diff(xy, axis=0))


def weighted_sum(rate: Floats, seconds: Floats) -> float:
    """Return the sum of a rate per second over intervals; those of 0 s do not count."""
    counted = seconds > 0
    return float(rate[counted] @ seconds[counted])


def velocities(t: Floats, xy: Floats, known: Bools, window_s: float = 0.0) -> Floats:
    """Return the velocity in each interval: net displacement over a centred window.

    Parameters
    ----------
    t : numpy.ndarray of float64, shape (frame,)
        Time of each frame, s.
    xy : numpy.ndarray of float64, shape (frame, 2 or 3)
        Positions. NaN: not known.
    known : numpy.ndarray of bool, shape (frame - 1,)
        Intervals in which the position is known; the window ends at any other.
    window_s : float
        Duration of the window; 0, or shorter than the interval: the interval itself.

    Returns
    -------
    numpy.ndarray of float64, shape (frame - 1, 2 or 3)
        Unit of `xy` per second; NaN where the position is not known.
    """
    start, end = t[:-1], t[1:]
    if window_s:
        first, last = _segments(t, known)
        middle = (start + end) / 2
        start = np.minimum(start, np.maximum(middle - window_s / 2, first))
        end = np.maximum(end, np.minimum(middle + window_s / 2, last))
    moved = _at(t, xy, end) - _at(t, xy, start)
    return np.where(known[:, None], moved / (end - start)[:, None], np.nan)


def speeds(t: Floats, xy: Floats, known: Bools, window_s: float = 0.0) -> Floats:
    """Return the speed in each interval (frame - 1,): the length of `velocities`."""
    return _lengths(velocities(t, xy, known, window_s))


def _lengths(vectors: Floats) -> Floats:
    """Return the lengths (n,) of vectors (n, 2 or 3)."""
    return np.asarray(np.hypot.reduce(vectors, axis=1))


def _segments(t: Floats, known: Bools) -> tuple[Floats, Floats]:
    """Return start and end of the known part around each interval (frame - 1,)."""
    number = np.arange(len(known))
    begins = np.where(~known, number + 1, 0)
    first = np.maximum.accumulate(begins) if len(begins) else begins
    ends = np.where(~known, number, len(known))
    last = np.minimum.accumulate(ends[::-1])[::-1] if len(ends) else ends
    return t[np.minimum(first, len(known))], t[last]


def _at(t: Floats, xy: Floats, moments: Floats) -> Floats:
    """Return the positions (moment, 2 or 3) on the path, exact at the frames."""
    found, count = is_known(xy), xy.shape[1]
    if not found.any():
        return np.full((len(moments), count), np.nan)
    axes = [np.interp(moments, t[found], xy[found, axis]) for axis in range(count)]
    return np.column_stack(axes)


def median_speed(speed: Floats, seconds: Floats) -> float:
    """Return the median speed (time-weighted); NaN: there is no data.

    `speed` and `seconds` (frame - 1,): of each interval, and how many seconds of it count.
    """
    counted = (seconds > 0) & np.isfinite(speed)
    if not counted.any():
        return np.nan
    order = np.argsort(speed[counted], kind="stable")
    ordered, share = speed[counted][order], np.cumsum(seconds[counted][order])
    half = share[-1] / 2
    at = int(np.searchsorted(share, half - 1e-12 * share[-1]))
    if abs(share[at] - half) <= 1e-9 * share[-1] and at + 1 < len(ordered):
        return float((ordered[at] + ordered[at + 1]) / 2)
    return float(ordered[at])


def moving(speed: Floats, start_speed: float, stop_speed: float) -> Bools:
    """Return in which intervals (frame - 1,) the animal moves.

    It moves from `start_speed` on until it is slower than `stop_speed`. Where the speed is
    not known (NaN) it does not move, and the next state does not depend on the last one.
    """
    unknown = ~np.isfinite(speed)
    with np.errstate(invalid="ignore"):
        return held_state(speed >= start_speed, (speed < stop_speed) | unknown)


def immobile_bouts(
    t: Floats, speed: Floats, known: Bools, limits: tuple[float, float], min_s: float
) -> Spans:
    """Return the bouts (bout, 2) in which the animal does not move for `min_s` or longer.

    `limits`: start speed and stop speed of `moving`.
    """
    return bouts_of(t, ~moving(speed, *limits), known & np.isfinite(speed), min_s)


def freezing_bouts(
    t: Floats, part_speeds: Floats, known: Bools, limit: float, min_s: float
) -> Spans:
    """Return the bouts (bout, 2) in which every body part is slower than a limit.

    Parameters
    ----------
    t : numpy.ndarray of float64, shape (frame,)
        Time of each frame, s.
    part_speeds : numpy.ndarray of float64, shape (body part, frame - 1)
        Speed of each body part; NaN: not known. A bout ends where none is known; a body
        part that is not known does not end it.
    known : numpy.ndarray of bool, shape (frame - 1,)
        Intervals in which the animal's position is known.
    limit : float
        Speed from which on a body part moves.
    min_s : float
        Shortest bout.
    """
    with np.errstate(invalid="ignore"):
        still = ~np.any(part_speeds >= limit, axis=0)
    is_seen = np.asarray(np.any(np.isfinite(part_speeds), axis=0), np.bool_)
    return bouts_of(t, np.asarray(still, np.bool_), known & is_seen, min_s)


def headings(vectors: Floats) -> Floats:
    """Return the direction of each vector (frame, 2), degrees from 0 (right) clockwise to 360.

    NaN where a vector is not known or has no length.
    """
    x, y = vectors.T
    angle = np.degrees(np.arctan2(y, x)) % 360.0
    return np.where((x == 0) & (y == 0), np.nan, angle)


def turns(heading: Floats) -> Floats:
    """Return the turn of each interval (frame - 1,), degrees from -180 to 180.

    Positive: clockwise on the screen. NaN where a heading is not known.
    """
    return (np.diff(heading) + 180.0) % 360.0 - 180.0


def mean_direction(heading: Floats, seconds: Floats) -> tuple[float, float]:
    """Return the circular mean of directions, and the mean resultant length.

    Parameters
    ----------
    heading : numpy.ndarray of float64, shape (frame,)
        Degrees; NaN: not known.
    seconds : numpy.ndarray of float64, shape (frame - 1,)
        Seconds of the interval after each frame that count.

    Returns
    -------
    mean : float
        Degrees from 0 to 360; NaN: no direction is known, or they cancel.
    length : float
        From 0 (all directions equally) to 1 (always the same direction).
    """
    counted = (seconds > 0) & np.isfinite(heading[:-1])
    angle, weight = np.radians(heading[:-1][counted]), seconds[counted]
    if not len(weight):
        return np.nan, np.nan
    x, y = float(np.cos(angle) @ weight), float(np.sin(angle) @ weight)
    length = float(np.hypot(x, y) / weight.sum())
    mean = float(np.degrees(np.arctan2(y, x)) % 360.0) if length > 1e-9 else np.nan
    return mean, length


def angles_to(vectors: Floats, ways: Floats) -> Floats:
    """Return the unsigned angle between vectors and directions (frame, 2), 0 to 180 degrees.

    NaN where one is not known or has no length.
    """
    return np.asarray(np.abs((headings(vectors) - headings(ways) + 180) % 360 - 180))
