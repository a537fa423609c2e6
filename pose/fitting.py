"""How a camera's picture becomes the network's: one rule, in training and live."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from core.frame import Image

REST = 127
"""The grey of what the picture does not cover; networks see it as 0."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """The size of a network's input, and how pictures of any size are brought to it.

    The picture is scaled, its aspect kept, until it just fits. It lies in the left upper
    corner; what is left over, at the right or at the bottom, is grey. Shrinking averages
    squares of whole pixels as long as they fit into both sides, and is linear for the
    rest, as growing is: five times as fast as averages of parts of pixels.
    """

    height: int
    width: int

    def extent(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return columns and rows that a picture of `shape` (height, width, …) covers."""
        return _extent(self.height, self.width, *shape[:2])

    def place(self, image: Image, into: NDArray[np.uint8]) -> None:
        """Write the picture, grey or BGR, into `into` (height, width, 3), BGR."""
        import cv2

        if image.dtype != np.uint8:
            bits = 8 * image.itemsize
            raise ModelError(f"the network wants pictures of 8 bit, not of {bits}")
        columns, rows = self.extent(image.shape)
        high, wide = image.shape[:2]
        if (side := _square(high, wide, rows, columns)) > 1:
            size = (wide // side, high // side)
            image = np.asarray(
                cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8
            )
        if rows < self.height:
            into[rows:] = REST
        if columns < self.width:
            into[:rows, columns:] = REST
        target = into[:rows, :columns]
        if image.ndim == 2:
            if image.shape != (rows, columns):
                image = np.asarray(cv2.resize(image, (columns, rows)), np.uint8)
            target[...] = image[..., None]
        elif image.shape[:2] == (rows, columns):
            np.copyto(target, image)
        else:
            cv2.resize(image, (columns, rows), dst=target)

    def to_input(
        self, points: NDArray[np.float32], shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Return where `points` (…, 2) of a picture of `shape` lie in the input."""
        scales = _scales(*shape[:2], *self.extent(shape))
        return np.asarray((points + 0.5) * scales - 0.5, np.float32)

    def to_image(
        self, points: NDArray[np.float32], shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Return where `points` (…, 2) of the input lie in a picture of `shape`."""
        scales = _scales(*shape[:2], *self.extent(shape))
        return np.asarray((points + 0.5) / scales - 0.5, np.float32)


# Remembered, as a camera's pictures are all of one size: once a network has emptied the
# processor's caches, even these few lines take longer than they look.


@lru_cache
def _extent(height: int, width: int, high: int, wide: int) -> tuple[int, int]:
    scale = min(height / high, width / wide)
    columns, rows = round(wide * scale), round(high * scale)
    return max(1, min(width, columns)), max(1, min(height, rows))


@lru_cache
def _scales(high: int, wide: int, columns: int, rows: int) -> NDArray[np.float32]:
    scales = np.array([columns / wide, rows / high], np.float32)
    scales.flags.writeable = False
    return scales


@lru_cache
def _square(high: int, wide: int, rows: int, columns: int) -> int:
    """Return the side of the largest squares to average: a divisor of both sides."""
    most = min(high // rows, wide // columns)
    sides = range(max(1, most), 0, -1)
    return next(side for side in sides if not (high % side or wide % side))
