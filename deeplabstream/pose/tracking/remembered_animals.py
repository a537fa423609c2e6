"""Remembered animals: which animal of an earlier run each animal is.

Three kinds of evidence add up, each as a squared distance in standard deviations between days:
the coat (brightness and colour), marks along the tail, and the length of the body. What all
animals have in common is taken off: another light, another distance of the camera, growth.
Marks may fade or lie a little farther along the tail. What is not seen today, or was not seen
in the earlier run, says nothing; nor do marks or lengths that fit no animal. Two animals are
distinguished only if their swap is much less likely than that allows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from deeplabstream.pose.tracking.identity_evidence import Array, Mask, Traits
from deeplabstream.pose.tracking.name_assignment import best_names, swap_costs
from deeplabstream.pose.tracking.tail_marks import SEGMENTS

DAY = 12.0
"""Standard deviation of an animal's coat between days, in grey levels."""
MARK_DAY = 0.08
"""Standard deviation of the contrast of a mark between days, beside fading."""
MARK_LENGTH = 2.0
"""Length of a mark, in segments of the tail."""
FADING = (0.7, 1.4)
"""Smallest and largest change of the contrast of all marks of an animal between days."""
MARK_SHIFTS = np.arange(-4, 5) * 0.5
"""Displacements of marks between days, in segments."""
_PLACES = (np.arange(SEGMENTS) - MARK_SHIFTS[:, None]).clip(0, SEGMENTS - 1)
_BELOW = np.minimum(_PLACES.astype(np.intp), SEGMENTS - 2)
_SHARE = _PLACES - _BELOW
LENGTH_DAY = 0.05
"""Standard deviation of an animal's body length between days: growth and posture."""
CERTAINTY = 0.99
"""Stated certainty of a name: `benchmarks/remembered_animals.py` measures more."""
LEAST = 20.0
"""Twice the log likelihood by which a swap must be worse: odds of 22,000 to 1."""
MISFIT = 4.0
"""Squared standard deviations from its coat above which an animal may be another one."""
TRAIT_MISFIT = 9.0
"""The same of marks and length; above it they say nothing, as after marks were renewed."""
MOST_SHIFT = 60.0
"""Largest difference of the light between two days, in grey levels."""
VIEWS = 15
"""Whole views of each animal that are averaged before they are recognised."""
VIEWS_TO_REMEMBER = 100
"""Views of each animal, while its name was certain, before the coats are remembered."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """Which animals were recognised."""

    names: tuple[int, ...]
    """Animal as which each is known, by the likeliest assignment."""
    apart: Mask
    """(animal, animal), by name: whether the two are distinguished for certain."""
    misfit: str = ""
    """Why none is recognised; empty: some may be."""


class RememberedAnimals:
    """Traits of all animals of a camera in one earlier run, in the order of their names."""

    def __init__(self, animals: Sequence[Traits]) -> None:
        self._animals = tuple(animals)
        self._coats: Array = np.array([it.coat for it in animals], np.float64)
        self._between = self._all_costs(self._animals)

    @property
    def alike(self) -> tuple[tuple[int, int], ...]:
        """Pairs whose traits differ too little to distinguish the two on another day."""
        return _less_apart(sum(self._between.values(), np.array(0.0)), LEAST)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Traits that distinguish animals, or help to, as text."""
        pairs = len(self._animals) * (len(self._animals) - 1) // 2
        return tuple(
            trait
            for trait, costs in self._between.items()
            if len(_less_apart(costs, LEAST / 2)) < pairs
        )

    def needs_more_than_coats(self, animals: Iterable[int]) -> bool:
        """Return whether traits beside the coat distinguish any of these animals."""
        by_coat = _less_apart(self._between["coat"], LEAST)
        ambiguous = set(combinations(sorted(animals), 2)) & {*by_coat}
        return not ambiguous <= {*self.alike}

    def recognise(self, views: Sequence[Traits]) -> Recognition:
        """Return the names of animals with these mean views."""
        animals = len(self._animals)
        nothing = np.zeros((animals, animals), bool)
        unknown = tuple(range(animals)), nothing
        coats = np.array([it.coat for it in views], np.float64)
        if coats.shape != self._coats.shape:
            return Recognition(
                *unknown, "the frames had another format: grey or colour"
            )
        shift = coats.mean(axis=0) - self._coats.mean(axis=0)
        if np.abs(shift).max() > MOST_SHIFT:
            return Recognition(*unknown, "the light differs too much")

        found = self._all_costs(views)
        costs = sum(found.values(), np.zeros((animals, animals)))
        allowed = ~nothing
        names = best_names(costs, allowed)
        rows = np.argsort(names)
        if found["coat"][rows].diagonal().max() > MISFIT:
            return Recognition(*unknown, "an animal looks like none of them")

        apart = swap_costs(costs[rows], allowed) >= LEAST
        for one, other in self.alike:
            apart[one, other] = apart[other, one] = False
        return Recognition(tuple(names), apart)

    def _all_costs(self, views: Sequence[Traits]) -> dict[str, Array]:
        """Return the distance of views to each animal (view, animal), by trait."""
        coats = np.array([it.coat for it in views], np.float64)
        off = _common_off(coats, self._coats) / DAY
        lengths, remembered = (
            np.array([it.length_px or np.nan for it in animals])[:, None]
            for animals in (views, self._animals)
        )
        grown = _common_off(np.log(lengths), np.log(remembered)) / LENGTH_DAY
        marks = np.array(
            [
                [mark_distance(view.marks, animal.marks) for animal in self._animals]
                for view in views
            ]
        )
        return {
            "coat": np.asarray((off * off).mean(axis=-1)),
            "tail marks": _where_known(marks),
            "body length": _where_known((grown * grown)[..., 0]),
        }


def remembered_of(
    names: Sequence[str], traits: Mapping[str, Traits]
) -> RememberedAnimals | None:
    """Return the traits of all animals in the order of their names; None: one has none.

    Nor where some are of grey and some of colour images.
    """
    found = [traits[name] for name in names if name in traits]
    if len(found) < len(names) or len({len(it.coat) for it in found}) != 1:
        return None
    return RememberedAnimals(found)


def mark_distance(view: Sequence[float], remembered: Sequence[float]) -> float:
    """Return the squared distance of the marks of two tails, in standard deviations.

    Faded or strengthened, and moved along the tail, as far as that is usual from day to day.
    NaN: one is empty, or one is of a grey image and the other one of a colour image.
    """
    if not view or len(view) != len(remembered):
        return float("nan")
    then = np.array(remembered).reshape(SEGMENTS, -1)
    low, high = then[_BELOW], then[_BELOW + 1]
    expected = low + _SHARE[..., None] * (high - low)
    now = np.array(view).reshape(SEGMENTS, -1)
    # Not the ends: what lies there after a displacement is not known. Without the mean: skin
    # differs from a floor that may be another one
    a = now[1:-1] - now[1:-1].mean(axis=0)
    b = expected[:, 1:-1] - expected[:, 1:-1].mean(axis=1, keepdims=True)
    product, square = (a * b).sum(axis=(1, 2)), (b * b).sum(axis=(1, 2))
    gain = np.clip(product / np.maximum(square, 1e-9), *FADING)
    squares = (a * a).sum() - 2 * gain * product + gain**2 * square
    least = float(squares.min()) / a.shape[1]
    return float(max(0.0, least) / MARK_LENGTH / MARK_DAY**2)


def _common_off(views: Array, remembered: Array) -> Array:
    """Return (view, animal, feature): differences without what all have in common."""
    shift = views.mean(axis=0) - remembered.mean(axis=0)
    return np.asarray((views - shift)[:, None] - remembered[None])


def _where_known(costs: Array) -> Array:
    """Return costs (view, animal) in which nothing speaks against unknown names (NaN).

    Nor against any name where no animal fits.
    """
    best = np.min(costs, axis=1, where=~np.isnan(costs), initial=np.inf)[:, None]
    known = np.isfinite(best) & (best <= TRAIT_MISFIT) & ~np.isnan(costs)
    return np.where(known, costs - np.where(np.isfinite(best), best, 0.0), 0.0)


def _less_apart(costs: Array, least: float) -> tuple[tuple[int, int], ...]:
    """Return pairs of animals whose swap costs less than `least`."""
    both = costs + costs.T
    pairs = combinations(range(len(costs)), 2)
    return tuple(pair for pair in pairs if both[pair] < least)


class WholeViews:
    """Mean views of animals that have had no name yet, since each may have been swapped."""

    def __init__(self, animals: int) -> None:
        self._counts = [0] * animals
        self._sums: Array = np.zeros((animals, 0))

    def update(self, views: Mapping[int, Array]) -> Array | None:
        """Add views (feature,) by animal; return the means (animal, feature) of enough views.

        They are returned once: the next ones are of later views.
        """
        for animal, view in views.items():
            if self._sums.shape[1] != len(view):  # from grey to colour, or back
                self._counts = [0] * len(self._counts)
                self._sums = np.zeros((len(self._counts), len(view)))
            self._counts[animal] += 1
            self._sums[animal] += view
        if min(self._counts) < VIEWS:
            return None
        means = self._sums / np.array(self._counts)[:, None]
        self.reset(range(len(self._counts)))
        return np.asarray(means)

    def reset(self, animals: Iterable[int]) -> None:
        """Discard the views of these animals."""
        for animal in animals:
            self._counts[animal], self._sums[animal] = 0, 0.0

    def reorder(self, order: Sequence[int]) -> None:
        """Make animal `order[n]` the n-th one."""
        self._counts = [self._counts[n] for n in order]
        self._sums = self._sums[list(order)]
