"""Hidden animals: which visible animals may cover them.

Two animals that walk together, one below the other, are often found as one. The hidden animal
is then not where it was last seen, and the pixels of the visible one may show it.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import dist

from deeplabstream.pose.tracking.motion_model import Array

Pair = tuple[int, int]

BESIDE = 1.0
"""Largest distance from the last position of a hidden animal, in lengths, at which another
one may cover it."""
STAYED = 0.3
"""Largest distance from its last position, in lengths, of an animal that did not move."""
APPEARS = 1.5
"""Largest distance between two animals, in lengths, when one reappears from below the other."""
TOGETHER_S = 2.0
"""Seconds for which an animal that went away may still cover the hidden one."""


class HiddenAnimals:
    """Hidden animals of one camera, each with those that may cover it."""

    def __init__(self) -> None:
        self._covered: dict[Pair, float] = {}
        """By hidden animal and visible one: when they were last beside each other."""

    def update(
        self,
        of: Mapping[int, int],
        found: Array,
        last: Array,
        in_shelter: Iterable[int],
        length: float,
        time_s: float,
    ) -> list[Pair]:
        """Update with the assignments of one frame; return pairs that may be swapped.

        Parameters
        ----------
        of : dict
            The detection of each visible animal.
        found : numpy.ndarray of float, shape (detection, 2)
            Middles of the detections, px.
        last : numpy.ndarray of float, shape (animal, 2)
            Last position of each animal before this frame, px; NaN: none yet.
        in_shelter : iterable of int
            Animals that no visible one covers.
        length : float
            Length of an animal, px.
        time_s : float
            Time of the frame.
        """
        swapped = []
        for hidden, other in list(self._covered):
            if hidden not in of:
                continue
            # It reappears: where it was, or beside the one that may have covered it
            del self._covered[hidden, other]
            place = found[of[hidden]].tolist()
            moved = dist(place, last[hidden].tolist()) > STAYED * length
            there = found[of[other]].tolist() if other in of else place
            if moved and dist(place, there) < APPEARS * length:
                swapped.append((hidden, other))

        for hidden in set(range(len(last))) - of.keys() - set(in_shelter):
            for other, detection in of.items():
                apart = dist(found[detection].tolist(), last[hidden].tolist())
                if apart < BESIDE * length:
                    self._covered[hidden, other] = time_s
        for animal in in_shelter:
            self._forget(animal)
        return swapped

    def covering(self, time_s: float) -> set[int]:
        """Return the animals that may cover a hidden one."""
        return {
            other
            for (_, other), beside_s in self._covered.items()
            if time_s - beside_s < TOGETHER_S
        }

    def reorder(self, order: Sequence[int]) -> None:
        """Make animal `order[n]` the n-th one."""
        new = {old: n for n, old in enumerate(order)}
        self._covered = {
            (new[hidden], new[other]): beside_s
            for (hidden, other), beside_s in self._covered.items()
        }

    def _forget(self, hidden: int) -> None:
        """Discard what may cover an animal."""
        self._covered = {
            pair: beside_s
            for pair, beside_s in self._covered.items()
            if pair[0] != hidden
        }
