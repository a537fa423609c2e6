"""Pixel formats of Basler cameras, and their conversion to images."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.plugin import Image

_NAME = re.compile(r"(Mono)(8|10|12|16)|(BGR|RGB)8(?:Packed)?|Bayer(RG|GR|GB|BG)8")
_TILES = {"RG": "RGGB", "GR": "GRBG", "GB": "GBRG", "BG": "BGGR"}

SHORT_NAMES = {
    "mono": ("Mono8",),
    "mono8": ("Mono8",),
    "mono10": ("Mono10",),
    "mono12": ("Mono12",),
    "mono16": ("Mono16",),
    "bayer": ("BayerRG8", "BayerGR8", "BayerGB8", "BayerBG8"),
    "bgr": ("BGR8", "BGR8Packed", "RGB8", "RGB8Packed"),
}
"""Values of the setting, and the camera's names for each, the best first."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Conversion of a pixel format to an image."""

    dtype: str
    """Grey of more than 8 bits keeps its values: 12 bits are 0 to 4095."""
    colour: bool
    conversion: str = ""
    """OpenCV's name of the conversion to BGR; empty: it is copied."""

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of its images."""
        return (height, width, 3) if self.colour else (height, width)

    def copier(self) -> Callable[[NDArray[Any], Image], None]:
        """Return the function that writes the device's pixels into an image, in one pass."""
        if not self.conversion:
            return lambda pixels, image: np.copyto(image, pixels)
        import cv2

        code: int = getattr(cv2, self.conversion)

        def convert(pixels: NDArray[Any], image: Image) -> None:
            converted = cv2.cvtColor(pixels, code, image)
            if converted is not image:
                np.copyto(image, np.asarray(converted))

        return convert


def layout_of(name: str) -> Layout | None:
    """Return the conversion of the camera's format of this name; None: it can't be read."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    grey, bits, order, tile = match.groups()
    if grey:
        return Layout("uint8" if bits == "8" else "uint16", colour=False)
    if tile:
        return Layout("uint8", True, f"COLOR_Bayer{_TILES[tile]}2BGR")
    return Layout("uint8", True, "COLOR_RGB2BGR" if order == "RGB" else "")
