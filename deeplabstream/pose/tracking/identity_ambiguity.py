"""Identity ambiguity: which animals may be exchanged, since when, and their names before."""

from collections.abc import Iterable, Sequence

import numpy as np


class IdentityAmbiguities:
    """The ambiguities of one camera. At first any animal may be any other."""

    def __init__(self, animals: int) -> None:
        self._others = [set(range(animals)) - {n} for n in range(animals)]
        """By animal: the animals that it may be."""
        self._since_s = [-np.inf] * animals
        self._came_from = list(range(animals))
        """By animal: its name before the ambiguity."""

    def __bool__(self) -> bool:
        return any(self._others)

    def all(self) -> tuple[int, ...]:
        """Return all animals whose identity is ambiguous."""
        return tuple(n for n, others in enumerate(self._others) if others)

    def about(self, animal: int) -> bool:
        """Return whether an animal's identity is ambiguous."""
        return bool(self._others[animal])

    def between(self, one: int, other: int) -> bool:
        """Return whether one animal may be the other."""
        return other in self._others[one]

    def group(self, animal: int) -> list[int]:
        """Return an animal and all that it may be."""
        known, waiting = {animal}, [animal]
        while waiting:
            more = self._others[waiting.pop()] - known
            known |= more
            waiting += more
        return sorted(known)

    def begin(self, one: int, other: int, time_s: float) -> list[int]:
        """Doubt who of two is who, and so of all that were in doubt with them: all these."""
        whole = sorted({*self.group(one), *self.group(other)})
        for each in whole:
            if self._since_s[each] == -np.inf:
                self._since_s[each] = time_s
            self._others[each] = set(whole) - {each}
        return whole

    def end(self, one: int, other: int) -> None:
        """Know that neither of two is the other."""
        self._others[one].discard(other)
        self._others[other].discard(one)

    def known(self, animals: Iterable[int]) -> None:
        """Know for certain who these are: they are nobody else, and nobody else is they."""
        for animal in animals:
            for other in list(self._others[animal]):
                self.end(animal, other)
            self._came_from[animal], self._since_s[animal] = animal, -np.inf

    def reorder(self, order: Sequence[int]) -> None:
        """Let animal `order[n]` be the n-th one from now on; the names before stay."""
        self._since_s = [self._since_s[n] for n in order]
        new = {old: n for n, old in enumerate(order)}
        self._others = [{new[each] for each in self._others[n]} for n in order]

    def exchanged(self, order: Sequence[int]) -> None:
        """Do so, and remember whose names they had."""
        self.reorder(order)
        self._came_from = [self._came_from[n] for n in order]

    def settle(self, time_s: float, patience_s: float) -> dict[int, str]:
        """Return the words of those about whom there was doubt until now.

        After `patience_s` doubts are no longer entertained; 0: they are for ever. Of animals
        that are in doubt together the last one's counts.
        """
        told: dict[int, str] = {}
        for animal, others in enumerate(self._others):
            since_s = max(self._since_s[each] for each in self.group(animal))
            if others and 0 < patience_s <= time_s - since_s:
                told[animal] = "believed"
        for animal in told:
            self._others[animal] = set()
        for animal, came in enumerate(self._came_from):
            if self._others[animal]:
                continue
            self._since_s[animal] = -np.inf
            self._came_from[animal] = animal
            if came != animal:
                told[animal] = "exchanged"
        return told

    def words(self, told: dict[int, str]) -> list[str]:
        """Return a word for each animal: `doubt1`, what there is `told` of it, or both."""
        words = [told.get(animal, "") for animal in range(len(self._others))]
        numbers: dict[int, int] = {}
        for animal, others in enumerate(self._others):
            if others:
                first = self.group(animal)[0]
                doubt = f"doubt{numbers.setdefault(first, len(numbers) + 1)}"
                words[animal] = "+".join(filter(None, [doubt, words[animal]]))
        return words
