"""What a network knows (`Skeleton`) and where it is (`Pose`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.packing import Packed


@dataclass(frozen=True, slots=True)
class Skeleton(Packed):
    """The body parts of one animal and the bones drawn between them."""

    bodyparts: tuple[str, ...]
    bones: tuple[tuple[str, str], ...] = ()

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

    @property
    def names(self) -> tuple[str, ...]:
        """The body parts of all animals, in order: `snout`, of several `animal2_snout`."""
        return part_names(self.skeleton.bodyparts, len(self.points))

    def seen(self, threshold: float) -> "Pose":
        """Return the pose with NaN where the confidence is below `threshold`."""
        points = self.points.copy()
        points[~(self.confidence >= threshold)] = np.nan
        return Pose(self.skeleton, points, self.confidence)

    def unknown(self) -> "Pose":
        """Return the pose of as many animals, nothing of which was seen."""
        points = np.full_like(self.points, np.nan)
        return Pose(self.skeleton, points, np.zeros_like(self.confidence))

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
        return _pose, (self.skeleton, shape, points.tobytes(), confidence.tobytes())


@lru_cache(maxsize=64)
def part_names(bodyparts: tuple[str, ...], animals: int) -> tuple[str, ...]:
    """Return one name for each body part of each animal, the first animal's first."""
    numbers = range(1, animals + 1)
    prefixes = [f"animal{n}_" for n in numbers] if animals > 1 else [""]
    return tuple(f"{prefix}{part}" for prefix in prefixes for part in bodyparts)


@lru_cache(maxsize=1024)
def _places(known: tuple[str, ...], wanted: tuple[str, ...]) -> list[int]:
    """Return where each of `wanted` is; found once, as every frame asks for the same."""
    places = {name: place for place, name in enumerate(known)}
    return [places[name] for name in wanted]


def _pose(
    skeleton: Skeleton, shape: tuple[int, int], points: bytes, confidence: bytes
) -> Pose:
    return Pose(
        skeleton,
        np.frombuffer(points, np.float32).reshape(*shape, 2),
        np.frombuffer(confidence, np.float32).reshape(shape),
    )
