"""What a network knows (`Skeleton`) and where it is (`Pose`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.packing import Packed

DOUBTS = ("doubt", "stray")
"""Words of `Pose.identity` for an animal of which it is not known who it is begin so."""


def changed_hands(identity: Sequence[str]) -> bool:
    """Return whether `Pose.identity` says that animals have exchanged their names now."""
    return any(word.endswith(("exchanged", "swapped")) for word in identity)


@dataclass(frozen=True, slots=True)
class Skeleton(Packed):
    """The body parts of one animal, the bones drawn between them, and the animals' names."""

    bodyparts: tuple[str, ...]
    bones: tuple[tuple[str, str], ...] = ()
    animals: tuple[str, ...] = ()
    """One name for each animal that is told apart; empty: there is one, without a name."""

    @property
    def count(self) -> int:
        """How many animals are told apart; 1 when they have no names."""
        return max(1, len(self.animals))

    def named(self, animals: int) -> tuple[str, ...]:
        """Return a name for each of so many animals: animal1, animal2 … if they have none."""
        if len(self.animals) == animals:
            return self.animals
        return tuple(f"animal{n}" for n in range(1, animals + 1))

    def animal(self, word: str) -> int | None:
        """Return which animal a name, or a number from 1 on, means; None: none of them."""
        place = _animal(self.animals, word)
        return place if place is not None and place < self.count else None

    def indices(self, bodyparts: Sequence[str]) -> list[int]:
        """Return the positions of `bodyparts`; KeyError names one that is not there."""
        return _places(self.bodyparts, tuple(bodyparts))


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Where the body parts of every animal are in one picture."""

    skeleton: Skeleton
    points: NDArray[np.float32]
    """(animal, bodypart, 2), px, x right, y down; NaN: not seen."""
    confidence: NDArray[np.float32]
    """(animal, bodypart), from 0 to 1."""
    identity: tuple[str, ...] = ()
    """Identity state of each animal (see `pose.tracking.identity`); empty: all known."""

    @property
    def names(self) -> tuple[str, ...]:
        """The body parts of all animals, in order: `snout`, of several `anna_snout`."""
        return part_names(self.skeleton, len(self.points))

    def moved(self, points: NDArray[np.float32]) -> "Pose":
        """Return the same pose with other points."""
        return Pose(self.skeleton, points, self.confidence, self.identity)

    def animal(self, word: str) -> int | None:
        """Return whose points a name, or a number from 1 on, means; None: nobody's."""
        place = _animal(self.skeleton.animals, word)
        return place if place is not None and place < len(self.points) else None

    def of(self, animal: int) -> "Pose":
        """Return the pose of one animal alone."""
        one = slice(animal, animal + 1)
        return Pose(
            self.skeleton, self.points[one], self.confidence[one], self.identity[one]
        )

    @property
    def doubts(self) -> dict[str, str]:
        """Return the words of `identity` by the animals' names, those that say something."""
        return {
            name: word
            for name, word in zip(self.skeleton.animals, self.identity, strict=False)
            if word
        }

    def doubted(self, animal: int) -> bool:
        """Return whether it is not known who this animal is."""
        return bool(self.identity) and self.identity[animal].startswith(DOUBTS)

    def seen(self, threshold: float) -> "Pose":
        """Return the pose with NaN where the confidence is below `threshold`."""
        points = self.points.copy()
        points[~(self.confidence >= threshold)] = np.nan
        return self.moved(points)

    def unknown(self) -> "Pose":
        """Return the pose of as many animals, nothing of which was seen."""
        points = np.full_like(self.points, np.nan)
        nothing = np.zeros_like(self.confidence)
        return Pose(self.skeleton, points, nothing, self.identity)

    def select(self, bodyparts: Sequence[str], animal: int = 0) -> NDArray[np.float32]:
        """Return (len(bodyparts), 2): the points of one animal, in the order asked."""
        return self.points[animal, self.skeleton.indices(bodyparts)]

    def places(self, bodyparts: Sequence[str], animal: int = 0) -> list[list[float]]:
        """Return the same as a list of [x, y]: plain numbers, for quick decisions."""
        rows: list[list[float]] = self.points[animal].tolist()
        return [rows[n] for n in _places(self.skeleton.bodyparts, tuple(bodyparts))]

    def knows(self, bodyparts: Sequence[str]) -> bool:
        """Return whether all of `bodyparts` were seen on at least one animal."""
        places = self.skeleton.indices(bodyparts)
        seen = np.isfinite(self.points[:, places]).all(axis=(1, 2))
        return bool(seen.any())

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Return what makes the same pose; arrays as bytes, which is the fastest."""
        points = np.asarray(self.points, np.float32)
        confidence = np.asarray(self.confidence, np.float32)
        shape = confidence.shape
        values = shape, points.tobytes(), confidence.tobytes(), self.identity
        return _pose, (self.skeleton, *values)


@lru_cache(maxsize=64)
def part_names(skeleton: Skeleton, animals: int) -> tuple[str, ...]:
    """Return one name for each body part of each animal, the first animal's first."""
    names = skeleton.named(animals)
    prefixes = [f"{name}_" for name in names] if animals > 1 else [""]
    return tuple(
        f"{prefix}{part}" for prefix in prefixes for part in skeleton.bodyparts
    )


@lru_cache(maxsize=256)
def _animal(names: tuple[str, ...], word: str) -> int | None:
    if word in names:
        return names.index(word)
    number = int(word) if word.isdecimal() else 0
    return number - 1 if number else None


@lru_cache(maxsize=1024)
def _places(known: tuple[str, ...], wanted: tuple[str, ...]) -> list[int]:
    """Return where each of `wanted` is; found once, as every frame asks for the same."""
    places = {name: place for place, name in enumerate(known)}
    return [places[name] for name in wanted]


def _pose(
    skeleton: Skeleton,
    shape: tuple[int, int],
    points: bytes,
    confidence: bytes,
    identity: tuple[str, ...],
) -> Pose:
    return Pose(
        skeleton,
        np.frombuffer(points, np.float32).reshape(*shape, 2),
        np.frombuffer(confidence, np.float32).reshape(shape),
        identity,
    )
