"""Pictures with animals of dots, and where the dots are: what tiny networks learn from."""

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 96, 128
PARTS = ["snout", "tailbase"]
SEVERAL_PARTS = ["snout", "spine", "tailbase"]
SEVERAL_EDGES = [("snout", "spine"), ("spine", "tailbase")]
_SHADES, _RADII = (20, 80, 120), (5, 6, 4)

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]


def drawn(
    rng: np.random.Generator, height: int = HEIGHT, width: int = WIDTH
) -> tuple[Picture, Points]:
    """Return a grey picture and the two dots in it, pixels."""
    rows, columns = np.mgrid[:height, :width]
    at = rng.uniform([24, 24], [width - 24, height - 24])
    turn = rng.uniform(0, 2 * np.pi)
    along = 9 * np.array([np.cos(turn), np.sin(turn)])
    points = np.stack([at + along, at - along])
    picture = rng.normal(170, 5, (height, width))
    for (x, y), shade, radius in zip(points, (20, 80), (5, 6), strict=True):
        picture[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] = shade
    return picture.clip(0, 255).astype(np.uint8), points


def drawn_animals(
    rng: np.random.Generator,
    count: int,
    height: int = HEIGHT,
    width: int = WIDTH,
    scale: float = 1.0,
) -> tuple[Picture, Points]:
    """Return a grey picture and the dots (animal, 3, 2) of `count` animals, pixels.

    Dots of an animal are 12 · `scale` px apart; animals may touch, and do not cross.
    """
    rows, columns = np.mgrid[:height, :width]
    step, animals = 12 * scale, list[Points]()
    edge = step + 8 * scale
    while len(animals) < count:
        at = rng.uniform([edge, edge], [width - edge, height - edge])
        turn = rng.uniform(0, 2 * np.pi)
        along = step * np.array([np.cos(turn), np.sin(turn)])
        points = np.stack([at + along, at, at - along])
        dense = np.linspace(points[0], points[-1], 9)
        others = [np.linspace(other[0], other[-1], 9) for other in animals]
        apart = [np.linalg.norm(dense[:, None] - o, axis=2).min() for o in others]
        if min(apart, default=np.inf) > 11 * scale:
            animals.append(points)
    picture = rng.normal(170, 5, (height, width))
    for points in animals:
        for (x, y), shade, radius in zip(points, _SHADES, _RADII, strict=True):
            near = (columns - x) ** 2 + (rows - y) ** 2
            picture[near < (radius * scale) ** 2] = shade
    return picture.clip(0, 255).astype(np.uint8), np.stack(animals)


def random_maps(seed: int) -> NDArray[np.float32]:
    """Return scores of three body parts and their centre, and six offsets, in 12 × 16 cells."""
    rng = np.random.default_rng(seed)
    maps = rng.random((10, 12, 16), np.float32)
    maps[4:] = (maps[4:] - 0.5) * 16
    return maps
