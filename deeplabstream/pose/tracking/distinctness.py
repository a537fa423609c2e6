"""Distinctness: which animals their appearance distinguishes, as far as it is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from deeplabstream.pose.tracking.identity_evidence import IdentityEvidence

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Distinctness:
    """Which animals look alike, and whose appearance is not known."""

    alike: tuple[Pair, ...]
    """Pairs whose appearance is known, and differs too little to end an ambiguity."""
    unlearned: tuple[int, ...]
    """Animals whose appearance is not known yet: they may be alike."""
    remark: str = ""
    """Why a learned appearance is off; empty: it is not."""

    def sentences(self, names: Sequence[str]) -> tuple[str, str]:
        """Return which animals look alike, and whose appearance is not known; or ""."""
        alike, unlearned = "", ""
        if self.alike:
            alike = f"{self._alike_names(names)} look alike"
        if self.unlearned:
            unknown = listed([names[animal] for animal in self.unlearned])
            unlearned = f"the appearance of {unknown} is not learned yet"
        return alike, unlearned

    def _alike_names(self, names: Sequence[str]) -> str:
        """Return the pairs; all animals at once where each looks like every other."""
        animals = sorted({animal for pair in self.alike for animal in pair})
        if len(self.alike) == len(list(combinations(animals, 2))):
            return listed([names[animal] for animal in animals])
        pairs = [listed([names[one], names[other]]) for one, other in self.alike]
        return ", ".join(pairs)


def nothing_learned(animals: int) -> Distinctness:
    """Return that the appearance of no animal is known."""
    return Distinctness((), tuple(range(animals)))


def distinctness_of(appearance: IdentityEvidence, least: float) -> Distinctness:
    """Return which animals differ by less than `least`, in squared standard deviations."""
    learned = appearance.learned
    known = np.flatnonzero(learned).tolist()
    alike: tuple[Pair, ...] = ()
    if len(known) > 1:
        differences = appearance.differences
        alike = tuple(
            pair for pair in combinations(known, 2) if differences[pair] < least
        )
    return Distinctness(alike, tuple(np.flatnonzero(~learned).tolist()))


def listed(names: Sequence[str]) -> str:
    """Return names as text: `anna, bob and carl`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
