"""Exposure, gain and rate of a camera that OpenCV opens: set and read back."""

import sys
from typing import TYPE_CHECKING

from cameras.dial import Dial, Value
from core.errors import DeviceError

if TYPE_CHECKING:
    from cv2 import VideoCapture

_FASTEST = 10_000.0
"""What some drivers report as their rate is no rate."""
_PROPERTIES = {"exposure": "EXPOSURE", "gain": "GAIN", "rate": "FPS"}
_BY_HAND = 1.0 if sys.platform == "linux" else 0.25
"""Of CAP_PROP_AUTO_EXPOSURE: V4L2 counts its menu, DirectShow wants a quarter."""


def dials_of(capture: "VideoCapture") -> tuple[Dial, ...]:
    """Return what the driver says of each; it does not tell limits, nor what it can't do."""
    return tuple(Dial(key, _read(capture, key)) for key in _PROPERTIES)


def turned(capture: "VideoCapture", key: str, value: Value) -> bool:
    """Set one; False: it is none of them. DeviceError: the driver refuses."""
    import cv2

    if key not in _PROPERTIES or not isinstance(value, float | int):
        return False
    if key == "exposure":
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _BY_HAND)
    if not capture.set(_number(key), float(value)):
        raise DeviceError(f"does not let its {key} be set")
    return True


def rate_of(capture: "VideoCapture") -> float:
    """Return pictures per second; 0: the driver does not say."""
    rate = float(capture.get(_number("rate")))
    return rate if 0 < rate < _FASTEST else 0.0


def _read(capture: "VideoCapture", key: str) -> float | None:
    if key == "rate":
        return rate_of(capture) or None
    value = float(capture.get(_number(key)))
    unknown = value == 0 or (value == -1 and sys.platform == "linux")
    return None if unknown and key == "exposure" else value


def _number(key: str) -> int:
    import cv2

    number: int = getattr(cv2, f"CAP_PROP_{_PROPERTIES[key]}")
    return number
