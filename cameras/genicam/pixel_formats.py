"""Pixel formats of GenICam, and their conversion to images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.plugin import DeviceError, Image

_BAYER = {"RG": "RGGB", "GR": "GRBG", "GB": "GBRG", "BG": "BGGR"}


@dataclass(frozen=True)
class Layout:
    """Conversion of a pixel format to an image."""

    to_image: Callable[[NDArray[Any]], Image]
    """From (height, width, samples) to an `Image`."""
    colour: bool
    dtype: str = "uint8"

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of the images."""
        return (height, width, 3) if self.colour else (height, width)


def layout_of(name: str) -> Layout:
    """Return how a pixel format is read; DeviceError: it is not supported.

    Grey stays grey, and more than 8 bits stay, at the low end of 16.
    """
    match name:
        case "Mono8":
            return Layout(_grey, colour=False)
        case "Mono10" | "Mono12" | "Mono14" | "Mono16":
            return Layout(_grey, colour=False, dtype="uint16")
        case "BGR8" | "BGRa8":
            return Layout(lambda raw: raw[:, :, :3], colour=True)
        case "RGB8" | "RGBa8" | "RGB8Packed":
            return Layout(lambda raw: raw[:, :, 2::-1], colour=True)
        case "BayerRG8" | "BayerGR8" | "BayerGB8" | "BayerBG8":
            return Layout(_demosaiced(_BAYER[name[5:7]]), colour=True)
    raise DeviceError(
        f"PIXEL_FORMAT {name} can't be used; Mono8, Mono10 to Mono16, BayerRG8 and the "
        "like, BGR8, RGB8 can"
    )


def _grey(raw: NDArray[Any]) -> Image:
    return raw[:, :, 0]


def _demosaiced(pattern: str) -> Callable[[NDArray[Any]], Image]:
    def to_image(raw: NDArray[Any]) -> Image:
        import cv2

        code: int = getattr(cv2, f"COLOR_Bayer{pattern}2BGR")
        return np.asarray(cv2.cvtColor(raw[:, :, 0], code), np.uint8)

    return to_image
