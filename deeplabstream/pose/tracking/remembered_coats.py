"""Remembered coats: which animal of an earlier run each animal is, by brightness and colour.

The light differs from day to day, for all animals alike: the mean difference of all is taken off.
What then differs between the coat of one animal on two days has the standard deviation `DAY`.
Two animals are distinguished only if their swap is much less likely than that allows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from deeplabstream.pose.tracking.identity_evidence import Array, Mask
from deeplabstream.pose.tracking.name_assignment import best_names, swap_costs

DAY = 12.0
"""Standard deviation of an animal's coat between days, in grey levels."""
CERTAINTY = 0.99
"""Stated certainty of a name: `benchmarks/remembered_coats.py` measures more."""
LEAST = 20.0
"""Twice the log likelihood by which a swap must be worse: odds of 22,000 to 1."""
MISFIT = 4.0
"""Squared standard deviations from its coat above which an animal may be another one."""
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


class RememberedCoats:
    """Coats of all animals of a camera in one earlier run, in the order of their names."""

    def __init__(self, coats: Sequence[Sequence[float]]) -> None:
        """Store the features (animal, feature) of the coats: see `Coat`."""
        self._coats: Array = np.array(coats, np.float64)

    @property
    def alike(self) -> tuple[tuple[int, int], ...]:
        """Pairs whose coats differ too little to distinguish the two on another day."""
        pairs = combinations(range(len(self._coats)), 2)
        costs = self._costs(self._coats)
        return tuple(
            (one, other)
            for one, other in pairs
            if costs[one, other] + costs[other, one] < LEAST
        )

    def recognise(self, views: Array) -> Recognition:
        """Return the names of animals with these mean views (animal, feature)."""
        animals = len(self._coats)
        nothing = np.zeros((animals, animals), bool)
        unknown = tuple(range(animals)), nothing
        if views.shape != self._coats.shape:
            return Recognition(
                *unknown, "the frames had another format: grey or colour"
            )
        shift = views.mean(axis=0) - self._coats.mean(axis=0)
        if np.abs(shift).max() > MOST_SHIFT:
            return Recognition(*unknown, "the light differs too much")

        costs = self._costs(views - shift)
        allowed = ~nothing
        names = best_names(costs, allowed)
        by_name = costs[np.argsort(names)]
        if by_name.diagonal().max() > MISFIT:
            return Recognition(*unknown, "an animal looks like none of them")

        worse = swap_costs(by_name, allowed)
        apart = worse >= LEAST
        for one, other in self.alike:
            apart[one, other] = apart[other, one] = False
        return Recognition(tuple(names), apart)

    def _costs(self, views: Array) -> Array:
        """Return the distance of views to each coat (view, animal), in variances of a day."""
        off = views[:, None] - self._coats[None]
        return np.asarray((off * off).mean(axis=-1) / DAY**2)


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
