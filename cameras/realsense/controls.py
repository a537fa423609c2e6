"""Exposure and gain of a RealSense sensor, also while it streams."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deeplabstream.plugin import CameraControl, DeviceError, Value

from .devices import about

if TYPE_CHECKING:
    from .camera import RealSense

_OPTIONS = {"exposure_us": "exposure", "gain": "gain"}
_COLOR_MODULE, _COLOR_UNIT_US = "RGB Camera", 100.0
"""This module uses exposure units of 100 µs (UVC); depth modules use µs."""
_CLOSE = 0.01


@dataclass(frozen=True)
class SensorControls:
    """Controls of one sensor, shared by its streams, such as infrared and depth."""

    sensor: Any

    def apply(self, camera: "RealSense") -> Iterator[str]:
        """Set exposure and gain as requested; yield a sentence for each difference."""
        for key in _OPTIONS:
            value = getattr(camera, key)
            if value is None:
                continue
            request = f"{key.upper()} = {value:g} was requested"
            if not self.set_control(key, value):
                yield f"{request}; it cannot be set on this sensor or recording"
                continue
            now = next(control.now for control in self.read() if control.key == key)
            if isinstance(now, float) and abs(now - value) > _CLOSE * abs(value):
                yield f"{request}; the camera set {now:g}"

    def read(self) -> tuple[CameraControl, ...]:
        """Return the controls that this sensor has, with their limits."""
        controls = []
        for key in _OPTIONS:
            if (option := self._option(key)) is not None:
                limits, unit = self.sensor.get_option_range(option), self._unit(key)
                now = self.sensor.get_option(option) * unit
                high = limits.max * unit
                controls.append(CameraControl(key, now, limits.min * unit, high))
        return tuple(controls)

    def set_control(self, key: str, value: Value) -> bool:
        """Set a control to the nearest possible value; False: the sensor does not have it.

        Automatic exposure, which controls gain too, is switched off.
        """
        import pyrealsense2 as rs

        option = self._option(key)
        if option is None or not isinstance(value, float | int):
            return False
        limits, automatic = self.sensor.get_option_range(option), rs.option
        steps = round((value / self._unit(key) - limits.min) / (limits.step or 1.0))
        nearest = limits.min + steps * (limits.step or 1.0)
        try:
            if self.sensor.supports(automatic.enable_auto_exposure):
                self.sensor.set_option(automatic.enable_auto_exposure, 0.0)
            self.sensor.set_option(option, min(max(nearest, limits.min), limits.max))
        except RuntimeError as error:
            raise DeviceError(f"{key.upper()} = {value:g}: {error}") from error
        return True

    def _option(self, key: str) -> Any:
        """Return the SDK's option that can be written; None: there is none."""
        import pyrealsense2 as rs

        option = getattr(rs.option, _OPTIONS.get(key, ""), None)
        if option is None or not self.sensor.supports(option):
            return None
        return None if self.sensor.is_option_read_only(option) else option

    def _unit(self, key: str) -> float:
        module = about(self.sensor, "name")
        colour = key == "exposure_us" and module == _COLOR_MODULE
        return _COLOR_UNIT_US if colour else 1.0
