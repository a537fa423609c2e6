"""Images of ellipses on an uneven floor with noise, drawn with known centres and axes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image

SHAPE = (120, 200)


def image_of(
    flies: Sequence[tuple[float, float, float]],
    seed: int = 0,
    *,
    floor: float = 170,
    depth: float = 110,
    noise: float = 2.0,
    half: tuple[float, float] = (7.0, 3.5),
) -> Image:
    """Return a grey image with flies (x, y, angle in radians), darker by `depth`."""
    height, width = SHAPE
    y, x = np.mgrid[:height, :width].astype(float)
    made = floor + 0.1 * x - 0.1 * y
    made += np.random.default_rng(seed).normal(0, noise, SHAPE)
    for place_x, place_y, angle in flies:
        along = (x - place_x) * np.cos(angle) + (y - place_y) * np.sin(angle)
        across = -(x - place_x) * np.sin(angle) + (y - place_y) * np.cos(angle)
        away = np.hypot(along / half[0], across / half[1])
        # the border is one pixel wide, as in a sharp image
        made -= depth * np.clip((1 - away) * half[1] + 0.5, 0, 1)
    return np.clip(np.round(made), 0, 255).astype(np.uint8)


def by_threshold(image: Image, background: Image, level: float) -> NDArray[np.float64]:
    """Return (x, y) of the largest group of pixels that differ by more than `level`.

    SciPy and a known background, no code of the program; NaN: there is none.
    """
    from scipy import ndimage

    away = np.abs(image.astype(float) - background)
    labels, count = ndimage.label(away > level, np.ones((3, 3)))
    if not count:
        return np.full(2, np.nan)
    numbers = np.arange(1, count + 1)
    sizes = ndimage.sum_labels(labels > 0, labels, numbers)
    row, column = ndimage.center_of_mass(labels == numbers[int(np.argmax(sizes))])
    return np.array([column, row])
