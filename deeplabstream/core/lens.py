"""Lens: focal length, centre and distortion of one camera, as a setting and in pixels."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from deeplabstream.core.lens_distortion import (
    DISTORTIONS,
    Floats,
    distorted,
    padded,
    turns_back,
    undistorted,
    undistorted_point,
)

LARGEST = 1e9
"""Largest number of a lens; larger ones are damaged, and their squares may overflow."""
FORM = "WIDTH HEIGHT FX FY CX CY K1 K2 P1 P2 K3"
_FIRST = 6
"""Numbers before the coefficients of distortion."""


@dataclass(frozen=True)
class Lens:
    """Lens of a camera: `WIDTH HEIGHT FX FY CX CY K1 K2 P1 P2 K3`, as OpenCV has them.

    Straight pixels are those of a camera with the same focal length and centre without
    distortion.

    Raises
    ------
    ValueError
        A number is not possible.
    """

    size: tuple[int, int]
    """Width and height of the images that it was calibrated with."""
    focal: tuple[float, float]
    centre: tuple[float, float]
    distortion: tuple[float, ...]

    def __post_init__(self) -> None:
        if not (min(self.focal) > 0 and min(self.size) > 0):
            raise ValueError("a lens has a size and focal lengths above 0")
        if len(self.distortion) > len(DISTORTIONS):
            raise ValueError(
                f"a lens has at most {len(DISTORTIONS)} coefficients of distortion: "
                f"{', '.join(DISTORTIONS)}"
            )

    def __str__(self) -> str:
        numbers = *self.size, *self.focal, *self.centre, *self.distortion
        return " ".join(f"{number:.8g}" for number in numbers)

    def straight(self, pixels: ArrayLike) -> Floats:
        """Return pixels (..., 2) without distortion; NaN: the lens shows nothing there."""
        bent = (np.asarray(pixels, np.float64) - self.centre) / self.focal
        return undistorted(bent, self._coefficients) * self.focal + self.centre

    def straight_place(self, x: float, y: float) -> tuple[float, float]:
        """Return one pixel without distortion: as `straight`, faster for single points."""
        (fx, fy), (cx, cy) = self.focal, self.centre
        u, v = undistorted_point((x - cx) / fx, (y - cy) / fy, self._numbers)
        return u * fx + cx, v * fy + cy

    def bent(self, straight: ArrayLike) -> Floats:
        """Return where the image shows straight pixels (..., 2); NaN: it does not."""
        flat = (np.asarray(straight, np.float64) - self.centre) / self.focal
        found = distorted(flat, self._coefficients)
        found[turns_back(flat, self._coefficients)] = np.nan
        return found * self.focal + self.centre

    @cached_property
    def _coefficients(self) -> Floats:
        return padded(np.array(self.distortion))

    @cached_property
    def _numbers(self) -> list[float]:
        return [float(number) for number in self._coefficients]


def parse_lens(text: object) -> Lens | None:
    """Return the lens that numbers describe; None: there is no text."""
    if text is None or isinstance(text, Lens):
        return text
    words = str(text).replace(",", " ").split()
    if not words:
        return None
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) < _FIRST or not (np.abs(numbers) <= LARGEST).all():
        raise ValueError(f"expected the numbers {FORM}, not {text!r}")
    width, height, fx, fy, cx, cy = numbers[:_FIRST]
    return Lens(
        (round(width), round(height)), (fx, fy), (cx, cy), tuple(numbers[_FIRST:])
    )
