"""Controls of a Basler camera: changes while it streams."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deeplabstream.plugin import Area, CameraControl, DeviceError, Value

from .devices import translate_pylon_errors
from .features import (
    EXPOSURE,
    GAIN,
    RATE,
    feature,
    rate_of,
    set_exposure,
    set_gain,
    set_rate,
)

_AREA = ("OffsetX", "OffsetY", "Width", "Height")
_SETTERS = {"exposure_us": set_exposure, "gain": set_gain, "rate": set_rate}


@dataclass(frozen=True)
class PylonControls:
    """Exposure, gain, rate, and the region of the sensor."""

    camera: Any
    free: bool
    """Whether the camera is free-running, so that its rate can be set."""

    def read(self) -> tuple[CameraControl, ...]:
        """Return the controls that the camera has, with their values."""
        with translate_pylon_errors():
            return tuple(self._read())

    def set_control(self, key: str, value: Value) -> bool:
        """Set a control to the nearest possible value; False: not possible while streaming."""
        with translate_pylon_errors():
            if key == "region" and isinstance(value, tuple):
                return self._move(value)
            if key not in _SETTERS or not isinstance(value, float | int):
                return False
            if key == "rate" and not self.free:
                return False
            for remark in _SETTERS[key](self.camera, float(value)):
                if "can't be set" in remark:
                    raise DeviceError(remark)
            return True

    def _read(self) -> Iterator[CameraControl]:
        for key, names in (("exposure_us", EXPOSURE), ("gain", GAIN)):
            if (node := feature(self.camera, *names)) is not None:
                yield CameraControl(key, node.GetValue(), node.GetMin(), node.GetMax())
        node = feature(self.camera, *RATE)
        if self.free and node is not None:
            yield CameraControl(
                "rate", rate_of(self.camera), node.GetMin(), node.GetMax()
            )
        sides = [feature(self.camera, name) for name in ("WidthMax", "HeightMax")]
        if None not in sides:
            whole: Area = (0, 0, sides[0].GetValue(), sides[1].GetValue())
            yield CameraControl("region", self._region(), (0, 0, 1, 1), whole)

    def _region(self) -> Area:
        x, y, width, height = (feature(self.camera, n).GetValue() for n in _AREA)
        return x, y, width, height

    def _move(self, region: Area) -> bool:
        """Move the sensor region, if its size does not change."""
        if region[2:] != self._region()[2:]:
            return False
        for name, value in zip(_AREA, region[:2], strict=False):
            node = feature(self.camera, name)
            if not node.IsWritable():
                return False
            step = node.GetInc()
            nearest = min(max(value, node.GetMin()), node.GetMax())
            node.SetValue(nearest // step * step)
        return True
