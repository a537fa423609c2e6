"""Identity ambiguity: which animals may have been swapped, since when, and their former names.

Two animals are ambiguous while another assignment of detections to animals is nearly as
likely as the best one. Ambiguity is transitive when it begins: an animal that becomes
ambiguous with one of a group is ambiguous with the whole group. It ends pair by pair.
"""

from collections.abc import Iterable, Sequence

import numpy as np

RENAMED = "exchanged"
"""Flag: an ambiguity ended, and the animal has another name than before it."""
TIMED_OUT = "believed"
"""Flag: an ambiguity ended unresolved, because its time limit is over."""


class IdentityAmbiguities:
    """Identity ambiguities of one camera. At first any animal may be any other.

    `since_s`: time at which that began; infinity: it has no time limit.
    """

    def __init__(self, animals: int, since_s: float = -np.inf) -> None:
        self._others = [set(range(animals)) - {n} for n in range(animals)]
        """By animal: the animals with which it may have been swapped."""
        self._since_s = [since_s] * animals
        """Start time of each animal's ambiguity."""
        self._former = list(range(animals))
        """Name of each animal before the ambiguity."""

    def __bool__(self) -> bool:
        return any(self._others)

    def ambiguous_animals(self) -> tuple[int, ...]:
        """Return all animals whose identity is ambiguous."""
        return tuple(n for n, others in enumerate(self._others) if others)

    def is_ambiguous(self, animal: int) -> bool:
        """Return whether an animal's identity is ambiguous."""
        return bool(self._others[animal])

    def is_between(self, one: int, other: int) -> bool:
        """Return whether two animals may have been swapped."""
        return other in self._others[one]

    def group(self, animal: int) -> list[int]:
        """Return an animal and all animals that are ambiguous with it, also via others."""
        members, unvisited = {animal}, [animal]
        while unvisited:
            more = self._others[unvisited.pop()] - members
            members |= more
            unvisited += more
        return sorted(members)

    def begin(self, one: int, other: int, time_s: float) -> list[int]:
        """Mark two animals, and the groups of both, as ambiguous; return all of these."""
        # If A may be B, and B may be C, then A may be C: the groups become one
        members = sorted({*self.group(one), *self.group(other)})
        for animal in members:
            if self._since_s[animal] == -np.inf:
                self._since_s[animal] = time_s
        self.join(members)
        return members

    def join(self, members: Sequence[int]) -> None:
        """Make each member of a group ambiguous with all others of it."""
        for animal in members:
            self._others[animal] = set(members) - {animal}

    def end(self, one: int, other: int) -> None:
        """End the ambiguity between two animals; others of their group stay ambiguous."""
        self._others[one].discard(other)
        self._others[other].discard(one)

    def confirm(self, animals: Iterable[int]) -> None:
        """End all ambiguities of these animals: their present names are correct."""
        for animal in animals:
            for other in list(self._others[animal]):
                self.end(animal, other)
            self._former[animal], self._since_s[animal] = animal, -np.inf

    def reorder(self, order: Sequence[int]) -> None:
        """Make animal `order[n]` the n-th one; no animal's former name changes."""
        self._since_s = [self._since_s[n] for n in order]
        new = {old: n for n, old in enumerate(order)}
        self._others = [{new[animal] for animal in self._others[n]} for n in order]

    def swap(self, order: Sequence[int]) -> None:
        """Make animal `order[n]` the n-th one, with its former name: an identity switch."""
        self.reorder(order)
        self._former = [self._former[n] for n in order]
        # the name of an animal that was never known was not wrong
        for animal, since_s in enumerate(self._since_s):
            if since_s == np.inf:
                self._former[animal] = animal

    def resolve(self, time_s: float, timeout_s: float) -> dict[int, str]:
        """Return how ambiguities ended since the last call, as a flag by animal.

        `TIMED_OUT`: after `timeout_s` (0: never), counted from the last ambiguity that
        joined the group. `RENAMED`: an identity switch was undone.
        """
        ends: dict[int, str] = {}
        for animal, others in enumerate(self._others):
            since_s = max(self._since_s[member] for member in self.group(animal))
            if others and 0 < timeout_s <= time_s - since_s:
                ends[animal] = TIMED_OUT
        # Only now: `group` of the animals above must still see the whole group
        for animal in ends:
            self._others[animal] = set()

        for animal, former in enumerate(self._former):
            if self._others[animal]:
                continue
            self._since_s[animal] = -np.inf
            self._former[animal] = animal
            if former != animal:
                ends[animal] = RENAMED
        return ends

    def flags(self, ends: dict[int, str], states: Sequence[str] = ()) -> list[str]:
        """Return `Pose.identity`: for each animal `doubtN` of its group, its state, its end.

        Joined by `+`; those that are empty are left out.
        """
        states = states or [""] * len(self._others)
        flags = [
            "+".join(filter(None, [state, ends.get(animal, "")]))
            for animal, state in enumerate(states)
        ]
        numbers: dict[int, int] = {}
        for animal, others in enumerate(self._others):
            if others:
                # Groups are numbered in the order of their first animals
                first = self.group(animal)[0]
                ambiguity = f"doubt{numbers.setdefault(first, len(numbers) + 1)}"
                flags[animal] = "+".join(filter(None, [ambiguity, flags[animal]]))
        return flags
