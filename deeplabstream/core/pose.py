"""Skeletons, poses and confidence thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import nan

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.packing import Packed

AMBIGUOUS = ("doubt", "stray")
"""Prefixes of the states in `Pose.identity` that mean an ambiguous identity."""

REJECTED = frozenset({"jump", "bone"})
"""Flags of points that a plausibility check of [Tracking] rejected."""


def is_rejected(flag: str) -> bool:
    """Return whether the flags of a point, joined by `+`, mean that it was rejected."""
    return not REJECTED.isdisjoint(flag.split("+"))


def identity_switched(identity: Sequence[str]) -> bool:
    """Return whether `Pose.identity` reports an identity switch on this frame."""
    return any(state.endswith(("exchanged", "swapped")) for state in identity)


@dataclass(frozen=True, slots=True)
class Skeleton(Packed):
    """Body parts of one animal, the edges between them, and names of the animals."""

    bodyparts: tuple[str, ...]
    edges: tuple[tuple[str, str], ...] = ()
    animals: tuple[str, ...] = ()
    """A name for each animal; empty: one animal without a name."""

    @property
    def count(self) -> int:
        """Number of animals; 1 without names."""
        return max(1, len(self.animals))

    def named(self, animals: int) -> tuple[str, ...]:
        """Return a name for each animal: animal1, animal2 … if they have none."""
        if len(self.animals) == animals:
            return self.animals
        return tuple(f"animal{n}" for n in range(1, animals + 1))

    def animal(self, word: str) -> int | None:
        """Return the index of an animal by its name or its number from 1 on; None: unknown."""
        place = _animal(self.animals, word)
        return place if place is not None and place < self.count else None

    def indices(self, bodyparts: Sequence[str]) -> list[int]:
        """Return the indices of `bodyparts`; KeyError names a missing one."""
        return [*_places(self.bodyparts, tuple(bodyparts))]


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Positions of the body parts of all animals in one frame."""

    skeleton: Skeleton
    points: NDArray[np.float32]
    """(animal, body part, 2), px, x right, y down; NaN: not found."""
    confidence: NDArray[np.float32]
    """(animal, body part), from 0 to 1."""
    identity: tuple[str, ...] = ()
    """State of each animal's identity (`pose.tracking.identity_tracker`); empty: all known."""
    spread_px: float = nan
    """Distance of the networks of an ensemble from their median; NaN: a single
    network."""
    _rows: list[list[list[float]]] | None = field(default=None, init=False, repr=False)

    @property
    def rows(self) -> list[list[list[float]]]:
        """Points of each animal as lists [x, y], made once: an array costs more per point."""
        rows = self._rows
        if rows is None:
            rows = self.points.tolist()
            object.__setattr__(self, "_rows", rows)
        return rows

    @property
    def names(self) -> tuple[str, ...]:
        """Body parts of all animals in order: `snout`, of several animals `anna_snout`."""
        return part_names(self.skeleton, len(self.points))

    def moved(self, points: NDArray[np.float32]) -> "Pose":
        """Return the same pose with other points."""
        return Pose(
            self.skeleton, points, self.confidence, self.identity, self.spread_px
        )

    def animal(self, word: str) -> int | None:
        """Return the index of an animal by its name or its number from 1 on; None: unknown."""
        place = _animal(self.skeleton.animals, word)
        return place if place is not None and place < len(self.points) else None

    def of(self, animal: int) -> "Pose":
        """Return the pose of one animal."""
        one = slice(animal, animal + 1)
        return Pose(
            self.skeleton, self.points[one], self.confidence[one], self.identity[one]
        )

    @property
    def flags(self) -> dict[str, str]:
        """States in `identity` that are not empty, by the names of the animals."""
        return {
            name: state
            for name, state in zip(self.skeleton.animals, self.identity, strict=False)
            if state
        }

    def is_ambiguous(self, animal: int) -> bool:
        """Return whether the identity of an animal is ambiguous."""
        return bool(self.identity) and self.identity[animal].startswith(AMBIGUOUS)

    def may_be_another(self, animal: int) -> bool:
        """Return whether an animal may be another one than on the frames before."""
        return self.is_ambiguous(animal) or identity_switched(
            self.identity[animal : animal + 1]
        )

    def seen(self, threshold: float) -> "Pose":
        """Return the pose with NaN where the confidence is below `threshold` or NaN."""
        if all(sure >= threshold for row in self.confidence.tolist() for sure in row):
            return self  # lists: an array operation costs 20 µs when caches are cold
        points = self.points.copy()
        points[~(self.confidence >= threshold)] = np.nan
        return self.moved(points)

    def unknown(self) -> "Pose":
        """Return a pose without any point, for the same animals."""
        points = np.full_like(self.points, np.nan)
        nothing = np.zeros_like(self.confidence)
        return Pose(self.skeleton, points, nothing, self.identity)

    def select(self, bodyparts: Sequence[str], animal: int = 0) -> NDArray[np.float32]:
        """Return the points (body part, 2) of one animal, in the order of `bodyparts`, px."""
        return self.points[animal, self.skeleton.indices(bodyparts)]

    def places(self, bodyparts: Sequence[str], animal: int = 0) -> list[list[float]]:
        """Return the same as lists [x, y], which are faster for single points."""
        rows = self.rows[animal]
        requested = _places(self.skeleton.bodyparts, tuple(bodyparts))
        # copies, because the cached rows are shared
        return [[*rows[n]] for n in requested]

    def knows(self, bodyparts: Sequence[str]) -> bool:
        """Return whether all of `bodyparts` were found on at least one animal."""
        places = self.skeleton.indices(bodyparts)
        seen = np.isfinite(self.points[:, places]).all(axis=(1, 2))
        return bool(seen.any())

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Return the pose for pickling, arrays as bytes for speed."""
        return pose_from, (self.skeleton, *self.plain)

    @property
    def plain(self) -> tuple[object, ...]:
        """The arguments of `pose_from` besides the skeleton."""
        points = np.asarray(self.points, np.float32)
        confidence = np.asarray(self.confidence, np.float32)
        arrays = points.tobytes(), confidence.tobytes()
        return confidence.shape, *arrays, self.identity, self.spread_px


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Confidences below which triggers see NaN; each network has its own."""

    usual: float
    own: Mapping[str, float] = field(default_factory=dict)
    """Thresholds of cameras that have their own network."""

    def of(self, camera: str) -> float:
        """Return the threshold of a camera."""
        return self.own.get(camera, self.usual)


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
def _places(known: tuple[str, ...], requested: tuple[str, ...]) -> tuple[int, ...]:
    """Return the index of each of `requested`; cached, because every frame needs the same."""
    places = {name: place for place, name in enumerate(known)}
    return tuple(places[name] for name in requested)


def nothing_found(skeleton: Skeleton) -> Pose:
    """Return a pose without any point, for all animals of a skeleton."""
    shape = max(1, len(skeleton.animals)), len(skeleton.bodyparts)
    points = np.full((*shape, 2), np.nan, np.float32)
    return Pose(skeleton, points, np.zeros(shape, np.float32))


def pose_from(
    skeleton: Skeleton,
    shape: tuple[int, int],
    points: bytes,
    confidence: bytes,
    identity: tuple[str, ...],
    spread_px: float,
) -> Pose:
    """Return a pose; `shape` (animal, body part), points and confidence as float32."""
    return Pose(
        skeleton,
        np.frombuffer(points, np.float32).reshape(*shape, 2),
        np.frombuffer(confidence, np.float32).reshape(shape),
        identity,
        spread_px,
    )
