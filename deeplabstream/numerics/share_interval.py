"""Interval of a share that was estimated from a number of independent trials."""

from math import sqrt

_Z = 1.959963984540054
"""Quantile of the normal distribution at 0.975."""


def wilson_interval(part: float, count: float) -> tuple[float, float]:
    """Return the limits of the 95 % interval of a share (Wilson score).

    Parameters
    ----------
    part : float
        Trials with the outcome, 0 to `count`.
    count : float
        All trials; 0: the limits are 0 and 1.
    """
    if not count:
        return 0.0, 1.0
    share = part / count
    middle = share + _Z**2 / (2 * count)
    half = _Z * sqrt(share * (1 - share) / count + _Z**2 / (4 * count * count))
    scale = 1 + _Z**2 / count
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
