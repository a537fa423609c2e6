"""Simulated camera: exposure timing, driver buffer, exposure and gain."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from deeplabstream.core.clock import Pacer
from deeplabstream.core.frame import Image
from deeplabstream.plugins.camera import CameraControl, Value


@dataclass
class ExposureClock:
    """Counts exposures at a rate, from frame `first` at second `since_s` of the stream on."""

    rate: float
    first: int = 0
    since_s: float = 0.0
    _pacer: Pacer = field(init=False)

    def __post_init__(self) -> None:
        self._pacer = Pacer(self.rate)

    def exposed(self, now_ns: int) -> int:
        """Return how many frames were exposed since the start."""
        return self.first + self._pacer.past(now_ns)

    def wait(self, index: int, early_ns: int = 0) -> int:
        """Sleep until `early_ns` before frame `index`; return when it is due, in ns."""
        return self._pacer.wait(index - self.first, early_ns)

    def time_s(self, index: int) -> float:
        """Return the second of the stream that frame `index` shows."""
        return self.since_s + (index - self.first) / self.rate

    def changed(self, rate: float, first: int) -> "ExposureClock":
        """Return the timing that continues with frame `first`, due at once."""
        return ExposureClock(rate, first, self.time_s(first))


_USUAL_US = 10_000.0
_LONGEST_US, _MOST_DB, _FASTEST = 1e6, 20.0, 2000.0
_SHORTEST_US, _SLOWEST = 10.0, 0.1


@dataclass
class SimulatedExposure:
    """Exposure, gain and rate of the simulated camera.

    >>> SimulatedExposure(100.0, 20_000.0).real_rate  # a frame takes 20 ms
    50.0
    """

    rate: float
    exposure_us: float | None = None
    gain: float = 0.0

    @property
    def real_rate(self) -> float:
        """Frames per second: as requested, or as the exposure allows."""
        return min(self.rate, 1e6 / (self.exposure_us or 1.0))

    @property
    def brightness(self) -> float:
        """Factor of the brightness."""
        exposed = (self.exposure_us or _USUAL_US) / _USUAL_US
        return float(exposed * 10 ** (self.gain / 20))

    def expose(self, image: Image) -> None:
        """Apply the brightness to an image, in place."""
        if self.brightness != 1.0:
            import cv2

            levels = np.clip(np.arange(256) * self.brightness, 0, 255)
            cv2.LUT(image, levels.astype(np.uint8), image)

    def controls(self) -> tuple[CameraControl, ...]:
        """Return the controls with their values."""
        exposure_us = self.exposure_us or _USUAL_US
        return (
            CameraControl("exposure_us", exposure_us, _SHORTEST_US, _LONGEST_US),
            CameraControl("gain", self.gain, -_MOST_DB, _MOST_DB),
            CameraControl("rate", self.real_rate, _SLOWEST, _FASTEST),
        )

    def set_control(self, key: str, value: Value) -> bool:
        """Set a control to the nearest possible value; False: there is no such control."""
        limits = {
            control.key: (control.low, control.high) for control in self.controls()
        }
        if key not in limits or not isinstance(value, float | int):
            return False
        low, high = limits[key]
        setattr(self, key, float(np.clip(value, low, high)))
        return True


DEPTH = 10
"""Frames buffered for a slow reader; the default of Basler's driver."""


class DriverBuffer:
    """Counts exposures, keeps the oldest unread ones, loses new ones while it is full.

    Only their numbers are kept: an image is computed when it is read.

    >>> buffer = DriverBuffer(depth=2)
    >>> buffer.expose(4)  # 0 and 1 are buffered, 2 and 3 are lost
    >>> [buffer.take(), buffer.take(), buffer.take()]
    [0, 1, 4]
    """

    def __init__(self, depth: int = DEPTH) -> None:
        self._depth = depth
        self._waiting: deque[int] = deque()
        self._exposed = 0

    def expose(self, count: int) -> None:
        """Count `count` frames as exposed since the first one."""
        room = self._depth - len(self._waiting)
        new = range(self._exposed, max(count, self._exposed))
        self._waiting.extend(new[:room])
        self._exposed = new.stop

    def take(self) -> int:
        """Return the oldest buffered frame; else the one that is exposed next."""
        if self._waiting:
            return self._waiting.popleft()
        self._exposed += 1
        return self._exposed - 1
