"""Drawn animals as a network would find them: in no order, noisy, with gaps, merged."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.tracking.identity_tracker import IdentityTracker
from deeplabstream.simulation.arena import ARENA_SKELETON, Arena

THRESHOLD = 0.5


@dataclass
class Crowd:
    """Yields pictures, what a network might say of them, and who was in which row."""

    arena: Arena
    seed: int = 0
    rate: float = 30.0
    noise_px: float = 1.5
    dropouts: float = 0.03
    """Share of body parts, and of whole animals, that are not seen."""
    merge_px: float = 16.0
    """Two animals whose middles are nearer are one detection, half of each."""
    start_s: float = 0.0
    hides: bool = True
    """Whether what lies under another animal is mostly not seen."""
    covered: int = field(default=0, init=False)
    merged: int = field(default=0, init=False)

    def frames(self, count: int) -> Iterator[tuple[float, Image, Pose, list[int]]]:
        """Yield time, picture, the raw pose, and whose each of its rows is; -1: nobody's.

        A merged detection is nobody's.
        """
        random = np.random.default_rng(self.seed)
        image: Image = np.empty(self.arena.shape, np.uint8)
        for index in range(count):
            time_s = self.start_s + index / self.rate
            self.arena.draw(image, time_s, index)
            pose, whose = self._pose(time_s, random)
            yield time_s, image, pose, whose

    def _pose(
        self, time_s: float, random: np.random.Generator
    ) -> tuple[Pose, list[int]]:
        truth = self.arena.truth(time_s)
        points = truth + random.normal(0, self.noise_px, truth.shape).astype(np.float32)
        shape = truth.shape[:2]
        sure = random.uniform(0.7, 1.0, shape).astype(np.float32)
        unseen = random.random(shape) < self.dropouts
        unseen |= (random.random(shape[0]) < self.dropouts)[:, None]
        under = self.arena.covered(time_s)
        if self.hides:
            unseen |= under & (random.random(shape) < 0.8)
        self.covered += int(under.any())
        whose = list(range(shape[0]))
        middles = truth.mean(axis=1)
        for one in range(shape[0]):
            for two in range(one):
                apart = float(np.linalg.norm(middles[one] - middles[two]))
                if apart < self.merge_px:
                    mixed = random.random(shape[1]) < 0.5
                    points[two, mixed] = points[one, mixed]
                    unseen[two] &= unseen[one]
                    unseen[one] = True
                    whose[one] = whose[two] = -1
                    self.merged += 1
        sure[unseen | np.isnan(points[..., 0])] = 0
        points[sure == 0] = np.nan
        for row, seen in enumerate((sure > 0).any(axis=1)):
            whose[row] = whose[row] if seen else -1
        order = random.permutation(shape[0])
        pose = Pose(ARENA_SKELETON, points[order], sure[order])
        return pose, [whose[row] for row in order]


def skeleton(animals: int) -> Skeleton:
    """Return the drawn animals' skeleton with names for so many."""
    return replace(ARENA_SKELETON, animals=("anna", "bob", "carl", "dora")[:animals])


@dataclass
class Tally:
    """What became of the names, counted over animals and pictures."""

    told: int = 0
    """Animals that were seen, once all had their names."""
    doubted: int = 0
    wrong: int = 0
    """Under another's name, in doubt."""
    silent: int = 0
    """Under another's name, and nobody said so."""
    exchanged: int = 0
    believed: int = 0


def followed(crowd: Crowd, identity: IdentityTracker, pictures: int) -> Tally:
    """Have the names told, and compare them with those that were given first."""
    tally, owners = Tally(), list[int]()
    for time_s, image, pose, whose in crowd.frames(pictures):
        out = identity.update(image, pose, time_s)
        now = [_owner(points, pose, whose) for points in out.points]
        doubted = [out.is_ambiguous(animal) for animal in range(len(now))]
        tally.exchanged += out.identity.count("exchanged")
        tally.believed += out.identity.count("believed")
        if not owners and not any(doubted) and min(now) >= 0:
            owners = now
        for owner, first, doubt in zip(now, owners, doubted, strict=False):
            if owner >= 0:
                tally.told += 1
                tally.doubted += doubt
                tally.wrong += owner != first and doubt
                tally.silent += owner != first and not doubt
    return tally


def _owner(points: NDArray[np.float32], pose: Pose, whose: list[int]) -> int:
    if np.isnan(points).all():
        return -1
    for row, owner in enumerate(whose):
        if np.array_equal(points, pose.points[row], equal_nan=True):
            return owner
    raise AssertionError("a pose that the network never gave")
