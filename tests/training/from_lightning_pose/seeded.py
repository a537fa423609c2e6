"""Numbers for every tensor of a network, from a seed: the same wherever they are made.

`make.py`, run where Lightning Pose 2.4.3 is installed, put them into its own ResNet-18
tracker, kept the checkpoint that Lightning wrote, without its tensors (they are 45 MB), and
the heat maps that it gave. The test puts the tensors back.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def filled(
    shapes: Iterable[tuple[str, tuple[int, ...]]],
) -> dict[str, NDArray[np.generic]]:
    """Return an array for each name and shape, in their order."""
    rng = np.random.default_rng(0)
    made: dict[str, NDArray[np.generic]] = {}
    for name, shape in shapes:
        if name.endswith("num_batches_tracked"):
            made[name] = np.zeros(shape, np.int64)
            continue
        numbers = rng.standard_normal(shape).astype(np.float32)
        if name.endswith("running_var"):
            numbers = 1 + 0.1 * np.abs(numbers)
        elif len(shape) == 1 and name.endswith("weight"):
            numbers = 1 + 0.1 * numbers
        elif len(shape) == 1 or name.startswith("head"):
            numbers = 0.1 * numbers
        else:
            numbers = numbers * np.float32(np.sqrt(1 / np.prod(shape[1:])))
        made[name] = numbers.astype(np.float32)
    return made


def picture() -> NDArray[np.uint8]:
    """Return the picture (1, 128, 128, 3), BGR, that it was shown."""
    return np.random.default_rng(1).integers(0, 256, (1, 128, 128, 3), np.uint8)


def poses() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return labels (60, 6, 2), some of them missing, and predictions (9, 6, 2), px.

    Body parts 0, 1, 2 are seen in a mirror as 3, 4, 5.
    """
    rng = np.random.default_rng(7)
    world = np.cumsum(rng.normal(size=(69, 3, 3)), axis=0) * 8 + rng.normal(size=(3, 3))
    seen = [world @ rng.normal(size=(3, 2)) for _ in "ab"]
    points = np.concatenate(seen, axis=1) * 2 + 200
    points += rng.normal(size=points.shape)
    labels, found = points[:60].astype(np.float32), points[60:].astype(np.float32)
    found[::2, 1] += 25
    labels[rng.random((60, 6)) < 0.05] = np.nan
    return labels, found
