"""Set-up of a Basler camera: features in the required order, each read back.

Names of features differ between models. ExposureTimeAbs goes before ExposureTime: where
both are there, the second does nothing.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deeplabstream.plugin import DeviceError

from .devices import supported_formats, translate_pylon_errors
from .pixel_formats import SHORT_NAMES

if TYPE_CHECKING:
    from .camera import Basler

EXPOSURE = ("ExposureTimeAbs", "ExposureTime")
"""Names of a feature in different models, in order of preference."""
GAIN = ("Gain", "GainRaw")
RATE = ("AcquisitionFrameRateAbs", "AcquisitionFrameRate")
_RESULTING = (
    "ResultingFrameRateAbs",
    "ResultingFrameRate",
    "BslResultingAcquisitionFrameRate",
    "BslResultingFrameRate",
)
_OFF_BY = 0.005
"""Relative difference between requested and actual value that is not reported."""


def feature(camera: Any, *names: str) -> Any:
    """Return the first feature of these names that this camera has; None: it has none."""
    nodes = camera.GetNodeMap()
    for name in names:
        node = nodes.GetNode(name)
        if node is not None and node.IsReadable():
            return node
    return None


def set_up(camera: Any, settings: "Basler") -> tuple[str, ...]:
    """Apply the settings; return a sentence for each value that the camera changed.

    DeviceError: it cannot stream with these settings.
    """
    with translate_pylon_errors():
        return tuple(_set_up(camera, settings))


def rate_of(camera: Any) -> float:
    """Return the highest rate with the present settings, 1/s; 0: not reported."""
    with translate_pylon_errors():
        resulting, exposure = feature(camera, *_RESULTING), feature(camera, *EXPOSURE)
        if resulting is None:
            resulting = feature(camera, *RATE)
        if resulting is None:
            return 0.0
        longest = 1e6 / exposure.GetValue() if exposure is not None else float("inf")
        return float(min(resulting.GetValue(), longest))


def _set_up(camera: Any, settings: "Basler") -> Iterator[str]:
    if settings.config is not None:
        _load(camera, settings.config)
    _triggers_off(camera)
    _choose_format(camera, settings.pixel_format)
    if settings.region is not None:
        yield from _set_region(camera, settings.region)
    elif settings.resolution is not None:
        yield from _set_resolution(camera, settings.resolution)
    if settings.exposure_us is not None:
        yield from set_exposure(camera, settings.exposure_us)
    if settings.gain is not None:
        yield from set_gain(camera, settings.gain)
    if settings.trigger == "free" and settings.rate is not None:
        yield from set_rate(camera, settings.rate)
    settings.arm(partial(_choose, camera), partial(_try_choose, camera))


def _load(camera: Any, config: Path) -> None:
    from pypylon import pylon

    with translate_pylon_errors(f"CONFIG = {config}: "):
        pylon.FeaturePersistence.Load(str(config), camera.GetNodeMap(), True)


def _choose_format(camera: Any, requested: str) -> None:
    available, node = supported_formats(camera), feature(camera, "PixelFormat")
    names = SHORT_NAMES.get(requested.lower(), (requested or node.GetValue(),))
    chosen = next((name for name in names if name in available), None)
    if chosen is None:
        raise DeviceError(
            f"PIXEL_FORMAT = {requested or names[0]} can't be had from it; "
            f"there are: {', '.join(available)}"
        )
    _choose(camera, "PixelFormat", chosen, "PIXEL_FORMAT")


def _set_resolution(camera: Any, size: tuple[int, int]) -> Iterator[str]:
    """Select a sensor region of that size in the centre."""
    _reset_offsets(camera)
    sides = ("Width", size[0]), ("Height", size[1])
    taken = tuple(_put(feature(camera, name), value) for name, value in sides)
    if taken != size:
        yield _otherwise("RESOLUTION", _listed(size), _listed(taken))
    whole = tuple(feature(camera, f"{name}Max").GetValue() for name, _ in sides)
    if taken != whole:
        for name in ("OffsetX", "OffsetY"):
            node = feature(camera, name)
            _put(node, (node.GetMin() + node.GetMax()) / 2)
        yield (
            f"RESOLUTION = {_listed(size)}: the middle of the sensor, which has "
            f"{_listed(whole)} px. REGION selects another part"
        )


def _reset_offsets(camera: Any) -> None:
    for name in ("OffsetX", "OffsetY"):
        node = feature(camera, name)
        if node is not None and node.IsWritable():
            node.SetValue(node.GetMin())


def _set_region(camera: Any, region: tuple[int, int, int, int]) -> Iterator[str]:
    """Set the size before the offsets, whose limits depend on it."""
    _reset_offsets(camera)
    x, y, width, height = region
    got = {
        name: _put(feature(camera, name), value)
        for name, value in (
            ("Width", width),
            ("Height", height),
            ("OffsetX", x),
            ("OffsetY", y),
        )
    }
    taken = got["OffsetX"], got["OffsetY"], got["Width"], got["Height"]
    if taken != region:
        yield _otherwise("REGION", _listed(region), _listed(taken))


def set_exposure(camera: Any, exposure_us: float) -> Iterator[str]:
    """Set the exposure time; yield a sentence if the camera changed it."""
    _try_choose(camera, "ExposureAuto", "Off")
    yield from _set_number(camera, EXPOSURE, "EXPOSURE_US", exposure_us)


def set_gain(camera: Any, gain: float) -> Iterator[str]:
    """Set the gain; yield a sentence if the camera changed it."""
    _try_choose(camera, "GainAuto", "Off")
    yield from _set_number(camera, GAIN, "GAIN", gain)


def set_rate(camera: Any, rate: float) -> Iterator[str]:
    """Set the rate; yield a sentence if the camera changed it."""
    _try_choose(camera, "AcquisitionFrameRateEnable", True)
    yield from _set_number(camera, RATE, "RATE", rate)
    given = rate_of(camera)
    if given and _differ(given, rate):
        yield f"RATE = {rate:g} was requested; exposure and size limit it to {given:.4g}"


def _set_number(
    camera: Any, names: tuple[str, ...], key: str, value: float
) -> Iterator[str]:
    node = feature(camera, *names)
    if node is None or not node.IsWritable():
        yield f"{key} can't be set on this camera"
        return
    taken = _put(node, value)
    if _differ(taken, value):
        yield _otherwise(key, f"{value:g}", f"{taken:g}")


def _triggers_off(camera: Any) -> None:
    """Switch all triggers off: one that another program left on would block the stream."""
    _try_choose(camera, "AcquisitionMode", "Continuous")
    selector = feature(camera, "TriggerSelector")
    if selector is None:
        return
    for name in selector.GetSettableValues():
        selector.SetValue(name)
        _try_choose(camera, "TriggerMode", "Off")


def _choose(camera: Any, name: str, value: str, key: str) -> None:
    """Set an enumeration and read it back; DeviceError: the camera has not accepted it."""
    node = feature(camera, name)
    available = node.GetSettableValues() if node is not None else ()
    if value in available and node.GetValue() != value:
        node.SetValue(value)
    if node is None or node.GetValue() != value:
        listed = ", ".join(available) or "nothing"
        raise DeviceError(f"{key}: {name} {value} can't be had; available: {listed}")


def _try_choose(camera: Any, name: str, value: str | bool) -> bool:
    node = feature(camera, name)
    return bool(node is not None and node.IsWritable() and node.TrySetValue(value))


def _put(node: Any, value: float) -> float:
    """Set the nearest possible value; return the value that the camera reports."""
    low, high = node.GetMin(), node.GetMax()
    nearest = min(max(value, low), high)
    if isinstance(low, int):
        step = node.GetInc()
        nearest = low + int(nearest - low) // step * step
    if node.IsWritable():
        node.SetValue(nearest)
    taken: float = node.GetValue()
    return taken


def _differ(taken: float, requested: float) -> bool:
    return abs(taken - requested) > max(_OFF_BY * abs(requested), 1e-3)


def _otherwise(key: str, requested: str, taken: str) -> str:
    return f"{key} = {requested} was requested; the camera set {taken}"


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
