"""Pictures of a simulated mouse with the truth, for networks that benchmarks train."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.simulation.arena import ARENA_SKELETON, Arena

FRAME = (480, 640, 3)
Drawn = tuple[NDArray[np.uint8], NDArray[np.float32]]


def frames(count: int, width: int, height: int, seed: int = 1) -> Drawn:
    """Return images (n, height, width, 3) of a whole arena, and points (n, part, 2).

    They are frames of 640×480 that were brought to that size as every network's are.
    """
    arena = Arena(FRAME, seed, shelter=False)
    fitting = Fitting(height, width)
    images = np.empty((count, height, width, 3), np.uint8)
    frame, points = np.empty(FRAME, np.uint8), []
    for index in range(count):
        time_s = 1.7 * index  # far enough for another pose
        arena.draw(frame, time_s, index)
        fitting.place(frame, images[index])
        points.append(fitting.to_input(arena.truth(time_s)[0], FRAME))
    return images, np.asarray(points, np.float32)


def dataset(count: int) -> Any:
    """Return frames of 128×96 as a dataset."""
    from deeplabstream.pose.image_fitting import whole
    from deeplabstream.training.data.dataset import Dataset

    fitting = Fitting(96, 128)
    images, points = frames(count, fitting.width, fitting.height)
    known = np.ones(points.shape[:2], bool)
    windows = tuple(whole(FRAME, fitting) for _ in images)
    clips = ("drawn",) * count
    return Dataset(ARENA_SKELETON, fitting, images, points, known, windows, clips)


def crops(count: int, side: int, seed: int = 0) -> Drawn:
    """Return square pieces of such images with the mouse in it, points likewise.

    Their scales are those from 256×256 to 640×480, so that a network knows them all.
    """
    import cv2

    rng = np.random.default_rng(seed)
    arenas = [Arena(FRAME, seed + each, shelter=False) for each in range(4)]
    images = np.empty((count, side, side, 3), np.uint8)
    frame, points = np.empty(FRAME, np.uint8), []
    for index in range(count):
        arena, time_s = arenas[index % 4], float(rng.uniform(0, 300))
        arena.draw(frame, time_s, index)
        scale = float(rng.uniform(0.4, 1.0))
        small = cv2.resize(frame, None, fx=scale, fy=scale)
        xy = (arena.truth(time_s)[0] + 0.5) * scale - 0.5
        free = np.array(small.shape[1::-1]) - side
        corner = xy.mean(axis=0) - side * rng.uniform(0.25, 0.75, 2)
        left, top = np.clip(corner, 0, np.maximum(free, 0)).astype(int)
        piece = small[top : top + side, left : left + side]
        images[index] = 127
        images[index, : piece.shape[0], : piece.shape[1]] = piece
        points.append(xy - (left, top))
    return images, np.asarray(points, np.float32)
