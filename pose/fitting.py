"""How a camera's picture becomes the network's: one rule, in training and live."""

from dataclasses import dataclass

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
    areas (OpenCV's INTER_AREA), growing is linear.
    """

    height: int
    width: int

    def extent(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return columns and rows that a picture of `shape` (height, width, …) covers."""
        scale = min(self.height / shape[0], self.width / shape[1])
        columns, rows = round(shape[1] * scale), round(shape[0] * scale)
        return max(1, min(self.width, columns)), max(1, min(self.height, rows))

    def place(self, image: Image, into: NDArray[np.uint8]) -> None:
        """Write the picture, grey or BGR, into `into` (height, width, 3), BGR."""
        import cv2

        if image.dtype != np.uint8:
            bits = 8 * image.itemsize
            raise ModelError(f"the network wants pictures of 8 bit, not of {bits}")
        columns, rows = self.extent(image.shape)
        if (rows, columns) != image.shape[:2]:
            shrinks = rows < image.shape[0]
            how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            image = np.asarray(
                cv2.resize(image, (columns, rows), interpolation=how), np.uint8
            )
        into[rows:] = REST
        into[:rows, columns:] = REST
        into[:rows, :columns] = image if image.ndim == 3 else image[..., None]

    def to_input(
        self, points: NDArray[np.float32], shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Return where `points` (…, 2) of a picture of `shape` lie in the input."""
        return np.asarray((points + 0.5) * self._scales(shape) - 0.5, np.float32)

    def to_image(
        self, points: NDArray[np.float32], shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Return where `points` (…, 2) of the input lie in a picture of `shape`."""
        return np.asarray((points + 0.5) / self._scales(shape) - 0.5, np.float32)

    def _scales(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        columns, rows = self.extent(shape)
        return np.array([columns / shape[1], rows / shape[0]], np.float32)
