"""Detection of an LED by its brightness, for the latency test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.estimator import EstimatorWrapper, PoseEstimator

PREFIX = "led:"
"""Prefix of MODEL = led:X Y WIDTH HEIGHT LEVEL:NETWORK."""
SKELETON = Skeleton(("led",))
OFF_PX = 10_000.0
"""Offset to the right of the point of an LED that is off."""
LEAST_GREY = 12
"""Grey levels of 255 by which the LED's pixels must be brighter when it is lit."""
_MOST_PIXELS = 64 * 64
"""Largest region, because averaging more pixels takes time in each frame."""


@dataclass(frozen=True)
class Led:
    """Position of the LED in the frame, px, and the grey level between off and lit."""

    x: int
    y: int
    width: int
    height: int
    level: float

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of its region, px."""
        return self.x + self.width / 2, self.y + self.height / 2

    def brightness(self, image: Image) -> float:
        """Return the mean grey level of its pixels; see `grey`."""
        part = image[self.y : self.y + self.height, self.x : self.x + self.width]
        return float(grey(part).mean()) if part.size else 0.0

    def model(self, network: str) -> str:
        """Return the text of `[Pose Estimation] MODEL`; without `network` only the LED."""
        numbers = f"{self.x} {self.y} {self.width} {self.height} {self.level:.6g}"
        return f"{PREFIX}{numbers}:{network}"


def split_model(name: str) -> tuple[Led | None, str]:
    """Return the LED of a MODEL, if any, and the network after it.

    >>> split_model("led:8 16 4 4 127.5:openfield")
    (Led(x=8, y=16, width=4, height=4, level=127.5), 'openfield')
    >>> split_model("openfield")
    (None, 'openfield')
    """
    if not name.startswith(PREFIX):
        return None, name
    numbers, _, network = name.removeprefix(PREFIX).partition(":")
    try:
        x, y, width, height, level = map(float, numbers.split())
    except ValueError:
        raise ModelError(
            f"{name!r}: expected led:X Y WIDTH HEIGHT LEVEL:NETWORK"
        ) from None
    return Led(int(x), int(y), int(width), int(height), level), network


class LedDetector(EstimatorWrapper):
    """Runs a network, and places the point `led` according to the brightness of the LED's region.

    The network's poses are computed and dropped, so that they take their usual time.
    """

    skeleton = SKELETON
    threshold = 0.5

    def __init__(self, led: Led, network: PoseEstimator) -> None:
        """Store the LED and the network."""
        self.led, self.estimator = led, network

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return one pose per image: the LED's centre, or far to the right when it is off."""
        self.estimator.estimate(images, cameras)
        return [self._pose(image) for image in images]

    def _pose(self, image: Image) -> Pose:
        x, y = self.led.centre
        lit = self.led.brightness(image) > self.led.level
        points = np.array([[[x if lit else x + OFF_PX, y]]], np.float32)
        return Pose(SKELETON, points, np.ones((1, 1), np.float32))


@dataclass(frozen=True)
class Search:
    """Result of comparing frames with the LED lit and dark."""

    led: Led | None
    """None: no pixel is brighter on every frame with the LED lit."""
    contrast: float
    """Grey levels of 255 between lit and dark, of the LED's pixels, or the best ones."""
    saturated: float
    """Share of the dark frames' pixels that are at the upper end of the range."""
    dimmed: float
    """Share by which the rest of the frame is darker when the LED is lit."""


def grey(image: Image) -> Image:
    """Return an image (height, width); of colours, the brightest."""
    return image if image.ndim == 2 else cast("Image", image.max(axis=2))


def contrast(lit: Sequence[Image], dark: Sequence[Image]) -> NDArray[np.float64]:
    """Return the brightness difference of each pixel between lit and dark frames, of 255.

    Parameters
    ----------
    lit, dark : sequence of Image
        Grey frames, (height, width), of one size; at least one of each.

    Returns
    -------
    ndarray
        (height, width). What moves differs among the frames of a kind and does not count:
        three of four lit frames are so much brighter than three of four dark ones.
    """
    low, high = np.percentile(lit, 25, axis=0), np.percentile(dark, 75, axis=0)
    return (low - high) * 255 / _white(lit)


def find_led(lit: Sequence[Image], dark: Sequence[Image]) -> Search:
    """Find the LED: the largest group of pixels that are brighter on the lit frames.

    Parameters
    ----------
    lit, dark : sequence of Image
        Grey frames as `contrast` takes them.
    """
    import cv2

    white, gain = _white(lit), contrast(lit, dark)
    before, after = np.median(dark, axis=0), np.median(lit, axis=0)
    saturated = float((before >= 0.98 * white).mean())
    best = float(gain.max())
    mask = (gain >= max(LEAST_GREY, best / 2)).astype(np.uint8)
    rest = cv2.dilate(mask, np.ones((31, 31), np.uint8)) == 0
    usable = rest & (before > 0.08 * white) & (before < 0.95 * white)
    dimmed = 0.0
    if usable.sum() >= 100:
        dimmed = float(1 - np.median(after[usable] / before[usable]))
    if not mask.any():
        return Search(None, best, saturated, dimmed)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    label = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    x, y, width, height = (int(n) for n in stats[label, :4])
    if width * height > _MOST_PIXELS:
        row, column = np.unravel_index(int(gain.argmax()), gain.shape)
        x, y, width, height = _around(int(column), int(row), gain.shape)
    led = Led(x, y, width, height, 0.0)
    levels = [np.median([led.brightness(i) for i in frames]) for frames in (lit, dark)]
    led = Led(x, y, width, height, float(np.mean(levels)))
    return Search(led, best, saturated, dimmed)


def _white(images: Sequence[Image]) -> float:
    """Return the largest grey level: for more than 8 bits, the largest in the images."""
    deep = images[0].dtype != np.uint8
    return float(max(1, *(int(i.max()) for i in images))) if deep else 255.0


def _around(x: int, y: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return a square of 16 px around a pixel, within the frame."""
    left, top = max(0, x - 8), max(0, y - 8)
    return left, top, min(16, shape[1] - left), min(16, shape[0] - top)
