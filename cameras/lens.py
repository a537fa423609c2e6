"""Exposure and gain of a made camera, and what they do to pictures and rate."""

from dataclasses import dataclass

import numpy as np

from cameras.dial import Dial, Value
from core.frame import Image

_USUAL_US = 10_000.0
_LONGEST_US, _MOST_DB, _FASTEST = 1e6, 20.0, 2000.0
_SHORTEST_US, _SLOWEST = 10.0, 0.1


@dataclass
class Lens:
    """What its dials are set to.

    >>> Lens(100.0, 20_000.0).real_rate  # a picture takes 20 ms
    50.0
    """

    rate: float
    exposure_us: float | None = None
    gain: float = 0.0

    @property
    def real_rate(self) -> float:
        """Pictures per second: as asked for, or as exposure lets it."""
        return min(self.rate, 1e6 / (self.exposure_us or 1.0))

    @property
    def brightness(self) -> float:
        """By what the pictures are brighter than they are drawn."""
        exposed = (self.exposure_us or _USUAL_US) / _USUAL_US
        return float(exposed * 10 ** (self.gain / 20))

    def expose(self, image: Image) -> None:
        """Make a picture as bright as that, in place."""
        if self.brightness != 1.0:
            import cv2

            levels = np.clip(np.arange(256) * self.brightness, 0, 255)
            cv2.LUT(image, levels.astype(np.uint8), image)

    def dials(self) -> tuple[Dial, ...]:
        """Return what it is set to."""
        exposure_us = self.exposure_us or _USUAL_US
        return (
            Dial("exposure_us", exposure_us, _SHORTEST_US, _LONGEST_US),
            Dial("gain", self.gain, -_MOST_DB, _MOST_DB),
            Dial("rate", self.real_rate, _SLOWEST, _FASTEST),
        )

    def turn(self, key: str, value: Value) -> bool:
        """Set one of them, as near as it can be; False: it is none."""
        limits = {dial.key: (dial.low, dial.high) for dial in self.dials()}
        if key not in limits or not isinstance(value, float | int):
            return False
        low, high = limits[key]
        setattr(self, key, float(np.clip(value, low, high)))
        return True
