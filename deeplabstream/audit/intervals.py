"""Intervals of shares of a finite population that was sampled by strata.

Of the N decisions of a stratum, n were judged, and k of these were right. The number of right
ones is estimated as N k/n, without bias whatever the numbers of clips of the strata. k has a
hypergeometric distribution. The limits of a stratum are the least and the largest number that
Blaker's test with mid-P values does not reject (Blaker 2000, Canadian Journal of Statistics
28:783-798; Lancaster 1961, Journal of the American Statistical Association 56:223-234). Where
the number can be missed at one end only, such as for rare errors, the test gives that end the
whole 5 %; limits with 2.5 % at each end would contain the truth too often there. After a
census both limits are the number itself.

Strata are combined by the distances of their limits from their estimates, which add as squares
(MOVER; Zou and Donner 2008, Statistics in Medicine 27:1693-1702), and so are the two parts of
a ratio. In a stratum without an error, the lower limit is the estimate itself: it widens the
interval at one end, and does not move it, as the prior of a Bayesian sum does. No constant was
fitted to data. The kind of limits was chosen among four on the simulated runs of
benchmarks/audit.py, which measures how often the intervals contain the truth.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import hypot, pi, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.recording.audit_results import Interval

_REJECTED = 0.05
"""P value up to which a number of decisions is rejected."""
_TIE = 1e-9
"""Largest difference of two tails that count as equal."""
_Z = 1.959964
"""Quantile of the normal distribution at 0.975."""
_FEWEST_TESTED, _MOST_TESTED = 1001, 4001
"""Numbers of decisions that are tested for a large stratum; fewer for many judged ones."""
_MOST_CELLS = 4_000_000
"""Size of a table of tested numbers and results above which fewer numbers are tested."""
Floats: TypeAlias = NDArray[np.float64]


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

    low, high = number_limits(size, judged, sum(shares))
    # These limits have 1 - n/N of the variance of divided raters already.
    divided = sum(share * (1 - share) for share in shares) / judged
    by_raters = _Z * size * sqrt(fraction * divided / judged)
    return Number(
        value,
        min(hypot(value - low, by_raters), least),
        min(hypot(high - value, by_raters), most),
    )


def number_limits(size: int, judged: int, held: float) -> tuple[float, float]:
    """Return the 95 % limits of the number of decisions of a stratum that held.

    Limits of Blaker's test with mid-P values, of the hypergeometric distribution.

    Parameters
    ----------
    size, judged : int
        Number of decisions of the stratum, and of the judged ones among them, above 0.
    held : float
        Number of judged decisions that held. Between two whole numbers, where raters
        disagree, limits are interpolated.

    >>> number_limits(1000, 20, 0)
    (0.0, 134.0)
    >>> number_limits(20, 20, 7)
    (7.0, 7.0)
    """
    if judged == size:
        return float(held), float(held)
    whole = min(int(held), judged - 1)
    before, after = (
        _whole_limits(size, judged, number) for number in (whole, whole + 1)
    )
    part = held - whole
    return (
        before[0] + part * (after[0] - before[0]),
        before[1] + part * (after[1] - before[1]),
    )


@lru_cache(maxsize=8192)
def _whole_limits(size: int, judged: int, held: int) -> tuple[float, float]:
    numbers, chances, tails = _tails(size, judged)
    less_likely = tails < tails[held] - _TIE
    equal = np.abs(tails - tails[held]) <= _TIE
    p_values = (chances * (less_likely + 0.5 * equal)).sum(axis=0)

    # The estimate itself is never rejected, even if it lies between two tested numbers.
    kept = np.append(numbers[p_values > _REJECTED], size * held / judged)
    if len(numbers) > size:
        return float(kept.min()), float(kept.max())

    # Not all numbers were tested: a limit is the next tested one that is rejected.
    first = np.searchsorted(numbers, kept.min()) - 1
    last = np.searchsorted(numbers, kept.max(), side="right")
    return (
        float(numbers[max(first, 0)]),
        float(numbers[min(last, len(numbers) - 1)]),
    )


@lru_cache(maxsize=8)  # a table takes up to 64 MB for 1000 judged decisions
def _tails(size: int, judged: int) -> tuple[Floats, Floats, Floats]:
    """Return the tested numbers, and the chances and smaller tails of each result.

    Returns
    -------
    numbers : numpy.ndarray of float64, shape (number,)
        Numbers of decisions of the stratum that may have held.
    chances : numpy.ndarray of float64, shape (judged + 1, number)
        Probability that 0, 1, ... of the judged ones held.
    tails : numpy.ndarray of float64, shape (judged + 1, number)
        Probability of fewer, or of more if that is less, with half of `chances`.
    """
    most = min(max(_MOST_CELLS // (judged + 1), _FEWEST_TESTED), _MOST_TESTED)
    numbers = _tested(size, most)
    held = np.arange(judged + 1)[:, None]
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size + 1)))])

    def log_ways(of: NDArray[np.int64], drawn: NDArray[np.int64]) -> Floats:
        """Return the logarithm of the binomial coefficient; -inf where it is 0."""
        rest = of - drawn
        return np.where(
            rest < 0, -np.inf, logs[of] - logs[drawn] - logs[np.maximum(rest, 0)]
        )

    chances = np.exp(
        log_ways(numbers, held)
        + log_ways(size - numbers, judged - held)
        - log_ways(np.array(size), np.array(judged))
    )
    fewer = np.cumsum(chances, axis=0) - chances / 2
    more = np.cumsum(chances[::-1], axis=0)[::-1] - chances / 2
    return numbers.astype(np.float64), chances, np.minimum(fewer, more)


def _tested(size: int, most: int) -> NDArray[np.int64]:
    """Return all numbers up to a size; of a large one, some, the closest near the ends."""
    if size < most:
        return np.arange(size + 1)
    angles = np.linspace(0, pi / 2, most)
    return np.unique(np.round(size * np.sin(angles) ** 2).astype(np.int64))


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
