"""Frames: images of a camera with their times."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""(height, width) grey or (height, width, 3) BGR; x right, y down; pixel centres are
whole numbers. 8-bit, or 16-bit for depth and for cameras that give more than 8."""


def eight_bits(image: Image) -> NDArray[np.uint8]:
    """Return an image with the upper 8 of the bits that are in use.

    Otherwise images of 12-bit cameras and depth in millimetres would be black.
    """
    if image.dtype == np.uint8:
        return np.asarray(image, np.uint8)
    return (image >> max(0, int(image.max()).bit_length() - 8)).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """Format that a camera delivers, read back from the device."""

    shape: tuple[int, ...]
    """(height, width) or (height, width, 3)."""
    rate: float
    """Frames per second as the device states it; 0: unknown."""
    dtype: str = "uint8"
    """numpy's name of the pixel type."""

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.shape[0]

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.shape[1]

    @property
    def nbytes(self) -> int:
        """Size of one image in bytes."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    @property
    def pixels(self) -> str:
        """Size and pixel type, such as `640×480 grey 8 bit`."""
        colour = "grey" if len(self.shape) == 2 else "colour"
        bits = 8 * np.dtype(self.dtype).itemsize
        return f"{self.width}×{self.height} {colour} {bits} bit"

    def __str__(self) -> str:
        rate = f"at {round(self.rate, 2):g}/s" if self.rate else "at an unknown rate"
        return f"{self.pixels} {rate}"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of one camera."""

    camera: str
    index: int
    """Count at the device, from 0: a gap is a lost frame."""
    time_ns: int
    """Time of exposure, or of arrival where that is unknown; run's clock."""
    arrived_ns: int
    """Time of arrival in the computer."""
    image: Image
    device_id: int | None = None
    """Frame number of the device; None: not available."""
