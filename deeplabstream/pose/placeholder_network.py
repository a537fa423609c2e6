"""A placeholder for a network, for benchmarks and tests."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.blob_detection import blobs

SKELETON = Skeleton(
    ("snout", "leftear", "rightear", "tailbase"),
    (
        ("snout", "leftear"),
        ("snout", "rightear"),
        ("leftear", "tailbase"),
        ("rightear", "tailbase"),
    ),
)


@dataclass(frozen=True, slots=True)
class PlaceholderNetwork:
    """Takes `seconds` per call and computes next to nothing.

    It sleeps for that time, so it uses no CPU, as a network on a GPU
    does. All body parts are put on the darkest of a coarse grid of pixels, about where
    a dark animal on a bright floor is; their confidence is 1. Of several `animals` it
    finds the blobs, the largest first: `deeplabstream.pose.blob_detection`.
    """

    seconds: float = 0.0
    animals: int = 1
    skeleton: Skeleton = SKELETON
    threshold: float = 0.5
    provider: str = "stand-in"
    sha256: str = ""

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per image, `seconds` from now or as soon as it can."""
        end = time.perf_counter() + self.seconds
        look = self._pose if self.animals == 1 else self._poses
        poses = [look(image) for image in images]
        left = end - time.perf_counter()
        if left > 0:
            time.sleep(left)
        return poses

    def _pose(self, image: Image) -> Pose:
        step = max(1, image.shape[1] // 40)
        grid = image[::step, ::step]
        grid = grid if grid.ndim == 2 else grid[..., 1]
        row, column = np.unravel_index(int(grid.argmin()), grid.shape)
        parts = len(self.skeleton.bodyparts)
        points = np.empty((1, parts, 2), np.float32)
        points[:] = column * step, row * step
        return Pose(self.skeleton, points, np.ones((1, parts), np.float32))

    def _poses(self, image: Image) -> Pose:
        found = blobs(image, self.animals)
        sure = np.isfinite(found[..., 0]).astype(np.float32)
        return Pose(self.skeleton, found, sure)
