"""Floor image: the image of a calibrated camera as seen from above, on the floor z = 0."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image, eight_bits
from deeplabstream.space.calibrated_camera import CalibratedCamera

_MOST_PIXELS = 300
"""Largest number of pixels of a floor image along each side."""


@dataclass(frozen=True, slots=True, eq=False)
class FloorImage:
    """Which pixel of a camera shows each place of a part of the floor.

    What is above the floor is shown too far away from the camera.
    """

    rows: NDArray[np.int64]
    """(y, x): row of the camera's image; the first row has the largest y."""
    columns: NDArray[np.int64]
    seen: NDArray[np.bool_]
    """(y, x): False where the camera sees no floor."""

    def of(self, image: Image) -> NDArray[np.uint8]:
        """Return blue, green, red and opacity (y, x, 4) of the floor."""
        chosen = eight_bits(image)[self.rows, self.columns]
        floor = np.empty((*self.seen.shape, 4), np.uint8)
        floor[..., :3] = chosen[..., None] if chosen.ndim == 2 else chosen[..., :3]
        floor[..., 3] = np.where(self.seen, 255, 0)
        return floor


def floor_image(
    camera: CalibratedCamera,
    shape: tuple[int, int],
    least: tuple[float, float],
    most: tuple[float, float],
) -> FloorImage:
    """Return the floor image of a part of the floor.

    `shape`: height and width of the camera's images; `least`, `most`: smallest and largest
    x, y in mm.
    """
    size = np.subtract(most, least)
    width, height = (np.maximum(1, _MOST_PIXELS * size / size.max())).astype(int)
    x = least[0] + (np.arange(width) + 0.5) * size[0] / width
    y = most[1] - (np.arange(height) + 0.5) * size[1] / height
    places = np.zeros((height, width, 3))
    places[..., 0], places[..., 1] = x, y[:, None]

    pixels = np.rint(camera.project(places))
    limits = np.array([shape[1], shape[0]])
    inside = (pixels >= 0) & (pixels < limits)
    seen: NDArray[np.bool_] = np.asarray(inside.all(axis=-1))
    column, row = (
        np.where(seen[..., None], pixels, 0).astype(np.int64).transpose(2, 0, 1)
    )
    return FloorImage(row, column, seen)
