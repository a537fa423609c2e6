"""Tag evidence: which animal is meant when a reader at a known place reads its tag.

A read names an animal only if that animal alone can have been at the reader: no other one
was seen there, and none that is not visible now was last seen near it.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

import numpy as np

from deeplabstream.core.regions import Region
from deeplabstream.pose.tracking.motion_model import Array, Mask

PRESENT_S = 0.25
"""Seconds before a read in which an animal at the reader may be the one that is read: readers
report a tag with a delay."""
REACH = 1.0
"""Largest distance from a reader, in lengths, at which an animal that is not visible may be
at the reader: it was last seen there."""
CONFLICT_S = 1.0
"""Seconds within which the tags of two animals show that both are at the reader."""

TagOutcome = Literal["known", "named", "no_animal", "several", "unseen"]
"""Result of a tag read: the animal had this name; it got the name; no animal is at the reader;
several may be; one may be that is not visible."""


@dataclass(frozen=True)
class TagPlace:
    """Where a reader reads tags, in px of its camera's image."""

    reader: str
    region: Region


@dataclass(frozen=True, slots=True)
class AnimalTag:
    """A read of an animal's tag."""

    reader: str
    animal: int
    number: str


@dataclass(frozen=True, slots=True)
class TagResult:
    """Result of a tag read; `former`: the animal's name until then, -1 if none is meant."""

    read: AnimalTag
    outcome: TagOutcome
    former: int = -1


class TagReaders:
    """Which animals are at the readers of one camera."""

    def __init__(self, animals: int, places: Sequence[TagPlace] = ()) -> None:
        self._places = {place.reader: place.region for place in places}
        self._at = {reader: [-np.inf] * animals for reader in self._places}
        """By reader and animal: when a body part was last seen at the reader."""
        self._strays = dict.fromkeys(self._places, -np.inf)
        """By reader: when a detection without an animal was last seen there."""
        self._read: dict[str, tuple[int, float]] = {}
        """By reader: the animal that was read last, and when."""
        self._times = -np.inf, -np.inf
        """Times of the last two frames."""

    def update(
        self, of: Mapping[int, int], points: Array, seen: Mask, time_s: float
    ) -> None:
        """Update with the assignments of one frame.

        `of`: the detection of each visible animal; `points` (detection, bodypart, 2), px,
        with `seen`.
        """
        self._times = self._times[1], time_s
        if not self._places:
            return
        animal_of = {detection: animal for animal, detection in of.items()}
        for reader, region in self._places.items():
            inside = region.contains(points.reshape(-1, 2)).reshape(seen.shape) & seen
            for detection in np.flatnonzero(inside.any(axis=1)).tolist():
                if detection in animal_of:
                    self._at[reader][animal_of[detection]] = time_s
                else:
                    self._strays[reader] = time_s

    def reorder(self, order: Sequence[int]) -> None:
        """Make animal `order[n]` the n-th one."""
        for reader, times in self._at.items():
            self._at[reader] = [times[n] for n in order]

    def animal_of(
        self,
        read: AnimalTag,
        unseen: Mapping[int, Array],
        covering: Set[int],
        length: float,
        left: Callable[[int], bool],
    ) -> tuple[int, TagOutcome]:
        """Return the animal that is meant, -1 for none, and what the read shows of it.

        Parameters
        ----------
        read : AnimalTag
            A read between the last two frames.
        unseen : mapping of int to numpy.ndarray of float, shape (2,)
            Last position, px, of each animal that is not visible and may be at the reader.
        covering : set of int
            Visible animals that may cover another one.
        length : float
            Length of an animal, px.
        left : callable
            Whether an animal may be the one that is read, and has left its shelter.

        Returns
        -------
        animal : int
            Its present name. With `several`: the one that became ambiguous, or -1.
        outcome : str
            `known`: it has the name of the tag or is to get it.
        """
        region = self._places[read.reader]
        previous_s, now_s = self._times
        since_s = min(now_s - PRESENT_S, previous_s)
        present = [n for n, at_s in enumerate(self._at[read.reader]) if at_s >= since_s]
        near = {
            animal
            for animal, place in unseen.items()
            if region.depth(*place.tolist()) >= -REACH * length
        }
        if not present:
            return -1, "unseen" if near else "no_animal"
        if len(present) > 1 or self._strays[read.reader] >= since_s:
            return -1, "several"

        (animal,) = present
        if animal in covering or near - {animal, read.animal}:
            return -1, "unseen"
        # the one that is named by the tag may be hidden at the reader itself
        if animal != read.animal and read.animal in near and not left(animal):
            return -1, "unseen"

        # one animal, and the tags of two: one of them is not visible
        before, at_s = self._read.get(read.reader, (-1, -np.inf))
        if before == animal != read.animal and now_s - at_s <= CONFLICT_S:
            return animal, "several"
        self._read[read.reader] = read.animal, now_s
        return animal, "known"
