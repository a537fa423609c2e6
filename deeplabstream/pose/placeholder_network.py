"""Placeholder of a network: detects animals as blobs that differ from a plain floor.

For benchmarks, tests and experiments with several animals in the simulated arena
without a shelter. Animals that touch are one blob, and the blob is one animal.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton

SKELETON = Skeleton(
    ("snout", "leftear", "rightear", "tailbase"),
    (
        ("snout", "leftear"),
        ("snout", "rightear"),
        ("leftear", "tailbase"),
        ("rightear", "tailbase"),
    ),
)

_GRID = 160
"""Columns of the reduced image."""
_DIFFERS = 28
"""Grey levels, in any colour, by which an animal differs from the floor around it."""
_BORDER = 0.03
"""Share of the width at each side that shows walls."""
_SHADED = 0.08
"""Share of the width at each side where walls shade the floor."""
_LEAST = 0.004
"""Smallest blob, as a share of the image; smaller ones are noise or tails."""
_PLACES = ((-1.75, 0.0), (-1.0, -0.75), (-1.0, 0.75), (1.85, 0.0))
"""Snout, left ear, right ear, tail base: along and across, in standard deviations."""


@dataclass(frozen=True, slots=True)
class PlaceholderNetwork:
    """Placeholder that takes `seconds` per call and computes almost nothing.

    It sleeps for that time, so it uses no CPU, as a network on a GPU does. All body parts
    are put on the darkest of a coarse grid of pixels, about where a dark animal on a
    bright floor is; their confidence is 1. Of several `animals` it finds the blobs, the
    largest first: see `blobs`.
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
        """Return one pose per image, after `seconds` or as soon as possible."""
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


def blobs(image: Image, most: int) -> NDArray[np.float32]:
    """Return (most, 4, 2), px: snout, ears and tail base of the largest blobs; NaN: none."""
    import cv2

    step = max(1, image.shape[1] // _GRID)
    small = image[::step, ::step].astype(np.float32)
    blurred = np.asarray(cv2.blur(small, (3, 3)), np.float32)
    off = np.abs(blurred - np.asarray(cv2.blur(_floor(small), (3, 3)), np.float32))
    differs = (off if off.ndim == 2 else off.max(axis=2)) > _DIFFERS
    edge = round(_BORDER * small.shape[1])
    mask = np.zeros(differs.shape, np.uint8)
    mask[edge:-edge, edge:-edge] = differs[edge:-edge, edge:-edge]
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((4, 4), np.uint8)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    sizes = stats[1:count, cv2.CC_STAT_AREA]
    found = np.full((most, len(_PLACES), 2), np.nan, np.float32)
    largest = (1 + np.argsort(-sizes, kind="stable"))[:most].tolist()
    for row, label in enumerate(largest):
        if sizes[label - 1] >= _LEAST * mask.size:
            rows, columns = np.nonzero(labels == label)
            found[row] = step * _outlined(np.column_stack([columns, rows]))
    return found


def _floor(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the image of the floor without animals.

    It has one colour, the median; near the walls, which shade it, that of all pixels that are
    as far from the edge of the image.
    """
    floor = np.empty_like(image)
    floor[:] = np.median(image.reshape(-1, *image.shape[2:]), axis=0)
    for frame in _frames(*image.shape[:2]):
        floor[frame] = np.median(image[frame], axis=0)
    return floor


@lru_cache(maxsize=8)
def _frames(
    height: int, width: int
) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]:
    """Return rows and columns of the pixels at each distance from the edge, near the walls."""
    x, y = np.arange(width), np.arange(height)
    from_edge = np.minimum(
        np.minimum(y, y[::-1])[:, None], np.minimum(x, x[::-1])[None]
    )
    shaded = range(round(_SHADED * width))
    places = (np.nonzero(from_edge == distance) for distance in shaded)
    return tuple((rows, columns) for rows, columns in places if len(rows))


def _outlined(cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return (4, 2): the body parts of a blob with these cells (n, 2), x and y.

    It is longest from snout to tail base, and widest towards the tail base.
    """
    middle = cells.mean(axis=0)
    off = cells - middle
    spreads, axes = np.linalg.eigh(off.T @ off / len(cells))
    along = axes[:, 1]
    if ((off @ along) ** 3).sum() > 0:
        along = -along  # the narrow end is the head
    across = np.array([-along[1], along[0]])
    long, wide = np.sqrt(spreads[1]), np.sqrt(max(spreads[0], 1.0))
    places = np.array(_PLACES)
    return np.asarray(
        middle + long * places[:, :1] * along + wide * places[:, 1:] * across
    )
