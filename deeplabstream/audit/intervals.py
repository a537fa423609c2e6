"""Intervals of shares of a finite population that was sampled by strata.

Of the N decisions of a stratum, n were judged, and k of these were right. The number of right
ones is estimated as N k/n, without bias whatever the numbers of clips of the strata. The limits
of a stratum are those of Jeffreys (Brown, Cai and DasGupta 2001, Statistical Science
16:101-133) for n/(1 - n/N) clips, the finite population correction; after a census both are
the share itself.

Strata are combined by the distances of their limits from their estimates, which add as squares
(MOVER; Zou and Donner 2008, Statistics in Medicine 27:1693-1702), and so are the two parts of
a ratio. In a stratum without an error, the lower limit is the estimate itself: it widens the
interval at one end, and does not move it, as the prior of a Bayesian sum does. Nothing was
chosen by data. benchmarks/audit.py measures how often the intervals contain the truth.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import hypot, pi, sqrt

import numpy as np

from deeplabstream.recording.audit_results import Interval

_TAIL = 0.025
_Z = 1.959964
"""Quantile of the normal distribution at 1 - `_TAIL`."""
_ANGLES = (np.arange(10_000) + 0.5) * (pi / 2 / 10_000)
_LOG_SINE, _LOG_COSINE = np.log(np.sin(_ANGLES)), np.log(np.cos(_ANGLES))


@dataclass(frozen=True)
class Number:
    """An estimated number of decisions, and the distances of its 95 % limits from it."""

    value: float = 0.0
    below: float = 0.0
    above: float = 0.0

    @property
    def low(self) -> float:
        """Lower limit."""
        return max(self.value - self.below, 0.0)

    @property
    def high(self) -> float:
        """Upper limit."""
        return self.value + self.above

    def __add__(self, other: "Number") -> "Number":
        """Return the sum of two numbers that were estimated from different clips."""
        return Number(
            self.value + other.value,
            hypot(self.below, other.below),
            hypot(self.above, other.above),
        )


def number_held(strata: Iterable[tuple[int, Sequence[float]]]) -> Number:
    """Return at how many decisions the condition held, from the judged ones of each stratum.

    A stratum without a judged decision counts like the others, and has no limits of its own.

    Parameters
    ----------
    strata : iterable of (int, sequence of float)
        Number of decisions; and of each judged one: 1, it held; 0, it did not; between:
        raters disagree, and this is the share of those who say that it held.
    """
    strata = [(size, shares) for size, shares in strata if size]
    judged = [(size, sum(shares) / len(shares)) for size, shares in strata if shares]
    sizes = sum(size for size, _ in judged)
    usual = sum(size * share for size, share in judged) / sizes if sizes else 0.5

    total = Number()
    for size, shares in strata:
        total += _in_stratum(size, shares) if shares else _unjudged(size, usual)
    return total


def _unjudged(size: int, share: float) -> Number:
    return Number(size * share, size * share, size * (1 - share))


def _in_stratum(size: int, shares: Sequence[float]) -> Number:
    judged = len(shares)
    value = size * sum(shares) / judged
    fraction = judged / size
    # What is certain limits a number too: it can't be less than the decisions seen to hold.
    least = value - sum(share == 1 for share in shares)
    most = size - sum(share == 0 for share in shares) - value

    below = above = 0.0
    if judged < size:
        clips = judged / (1 - fraction)
        low, high = share_limits(value / size * clips, clips)
        below, above = value - size * low, size * high - value
    # Jeffreys' limits have 1 - n/N of the variance of divided raters already.
    divided = sum(share * (1 - share) for share in shares) / judged
    by_raters = _Z * size * sqrt(fraction * divided / judged)
    return Number(
        value, min(hypot(below, by_raters), least), min(hypot(above, by_raters), most)
    )


@lru_cache(maxsize=4096)
def share_limits(held: float, clips: float) -> tuple[float, float]:
    """Return Jeffreys' 95 % limits of a share; the lower is 0 for none, the upper 1 for all.

    They are quantiles of Beta(held + 1/2, clips - held + 1/2). With share = sin² of an angle,
    Jeffreys' prior is uniform, and the density of the angle is finite everywhere.

    >>> [round(limit, 4) for limit in share_limits(2, 20)]
    [0.0214, 0.2839]
    >>> share_limits(0, 20)[0]
    0.0
    """
    logs = 2 * held * _LOG_SINE + 2 * (clips - held) * _LOG_COSINE
    density = np.exp(logs - logs.max())
    below = np.cumsum(density) - density / 2
    angles = np.interp(
        np.array([_TAIL, 1 - _TAIL]) * density.sum(),
        below,
        _ANGLES,
        left=0,
        right=pi / 2,
    )
    low, high = np.sin(angles) ** 2
    return float(low) if held > 0 else 0.0, float(high) if held < clips else 1.0


def share_of(held: Number, size: int) -> Interval:
    """Return a number as a share of a known number of decisions, above 0."""
    return Interval(held.value / size, held.low / size, min(held.high / size, 1.0))


def share_of_both(held: Number, missed: Number) -> Interval | None:
    """Return a number as a share of its sum with another one; None: both are 0."""
    both = held.value + missed.value
    if both <= 0:
        return None
    return Interval(
        held.value / both,
        _least_share(held.value, held.below, missed.value, missed.above),
        1 - _least_share(missed.value, missed.below, held.value, held.above),
    )


def _least_share(part: float, below: float, rest: float, above: float) -> float:
    """Return the lower limit of part / (part + rest), from the limits that move it down.

    It is the share s at which the lower limit of (1 - s) part - s rest is 0; the distances of
    its two terms, (1 - s) below and s above, add as squares.
    """
    less = max(part**2 - below**2, 0.0)
    root = sqrt(max((part * rest) ** 2 - less * (rest**2 - above**2), 0.0))
    whole = less + part * rest + root
    return less / whole if whole > 0 else 0.0
