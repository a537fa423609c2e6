"""Counters of a Basler camera: frame numbers, and ticks of its clock."""

from dataclasses import dataclass
from typing import Any

from deeplabstream.plugin import CounterUnwrapper, DeviceError

from .features import feature

_INVALID = 2**64 - 1
_COUNTED = {"BaslerGigE": 1, "BaslerUsb": 0, "BaslerCamEmu": 0}
"""Device classes with known block ids, and the first id of each."""


def ticks_per_second(camera: Any) -> int:
    """Return the frequency of the time-stamp clock; 0: there is none."""
    frequency = feature(camera, "GevTimestampTickFrequency")
    if frequency is not None:
        return int(frequency.GetValue())
    nanoseconds = feature(camera, "TimestampLatchValue", "BslTimestampLatchValue")
    usb = camera.GetDeviceInfo().GetDeviceClass() == "BaslerUsb"
    return 1_000_000_000 if nanoseconds is not None or usb else 0


@dataclass
class BlockIdCounter:
    """Converts block ids to frame indices: exposures of the device from 0, losses included."""

    knows: bool = True
    """Whether the ids show losses; if not, frames are counted on arrival."""
    bits: int = 64
    first: int = 0
    _last: int = -1

    def __post_init__(self) -> None:
        self._unwrapper = CounterUnwrapper(self.bits, self.first)

    @classmethod
    def of(cls, camera: Any) -> "BlockIdCounter":
        """Return the counter for this camera; with GigE it runs to 65535 and skips 0."""
        kind = camera.GetDeviceInfo().GetDeviceClass()
        if kind not in _COUNTED:
            return cls(knows=False)
        first = _COUNTED[kind]
        mode = feature(camera, "BslGevGVSPExtendedIDMode", "GevGVSPExtendedIDMode")
        short = first == 1 and (mode is None or mode.GetValue() != "On")
        return cls(bits=16 if short else 64, first=first)

    def index(self, block_id: int) -> int:
        """Return the number of a frame; DeviceError: the device restarted its counter."""
        index = self._number(block_id) if self.knows else self._last + 1
        if index <= self._last:
            raise DeviceError("restarted its frame counter")
        self._last = index
        return index

    def device_id(self, block_id: int) -> int | None:
        """Return the device's frame number for the record; None: it gave none."""
        return block_id if block_id < _INVALID else None

    def lost(self, block_id: int) -> None:
        """Count a damaged frame, even if it is the first."""
        if self.knows and self.first <= block_id < _INVALID:
            self._number(block_id)

    def _number(self, block_id: int) -> int:
        if not self.first <= block_id < _INVALID:
            raise DeviceError("gave a frame without a number")
        return self._unwrapper.number(block_id)
