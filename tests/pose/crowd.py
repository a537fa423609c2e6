"""Drawn animals as a network would find them: in no order, noisy, with gaps, merged."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cameras.arena import ARENA_SKELETON, Arena
from core.frame import Image
from core.pose import Pose

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


def named(animals: int) -> "tuple[str, ...]":
    """Return names for so many."""
    return ("anna", "bob", "carl", "dora")[:animals]


def skeleton(animals: int):  # type: ignore[no-untyped-def]
    return replace(ARENA_SKELETON, animals=named(animals))
