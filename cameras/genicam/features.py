"""Features of a GenICam camera: set, read back, and compared."""

from typing import TYPE_CHECKING, Any

from deeplabstream.plugin import CameraControl, DeviceError, Value

if TYPE_CHECKING:
    from .camera import GenICam

_CLOSE = 0.01
_CONTROLS = {
    "exposure_us": "ExposureTime",
    "gain": "Gain",
    "rate": "AcquisitionFrameRate",
}


def value_of(nodes: Any, name: str) -> Any:
    """Return a feature's value; None when the camera has no such feature."""
    node = getattr(nodes, name, None)
    return None if node is None else node.value


def adjusted(nodes: Any, settings: "GenICam") -> tuple[str, ...]:
    """Apply the settings; return a sentence for each value that the camera changed.

    The pixel format is set before the rate, which it limits. Features that the user lists
    are set before both, because one of them may unlock others. Triggers that an earlier
    program left on are off before all else.
    """
    _triggers_off(nodes)
    requested: list[tuple[str, Any]] = []
    for feature in settings.features:
        name, equals, value = (part.strip() for part in feature.partition("="))
        if not (name and equals):
            raise DeviceError(f"FEATURES: {feature} is not written as Name=value")
        requested.append((name, value))
    requested.append(("PixelFormat", settings.pixel_format))
    width, height = settings.resolution or (None, None)
    requested += [("Width", width), ("Height", height)]
    requested += [("ExposureTime", settings.exposure_us), ("Gain", settings.gain)]
    if settings.rate is not None and settings.trigger == "free":
        if hasattr(nodes, "AcquisitionFrameRateEnable"):
            requested.append(("AcquisitionFrameRateEnable", True))
        requested.append(("AcquisitionFrameRate", settings.rate))
    remarks = (
        _put(nodes, name, value) for name, value in requested if value is not None
    )
    return tuple(sentence for sentence in remarks if sentence)


def choose(nodes: Any, name: str, value: str, key: str) -> None:
    """Set an enumeration and read it back; DeviceError: the camera has not accepted it.

    A camera with one trigger only needs no TriggerSelector.
    """
    if name == "TriggerSelector" and not hasattr(nodes, name):
        return
    if not attempt(nodes, name, value):
        node = getattr(nodes, name, None)
        available = ", ".join(getattr(node, "symbolics", ())) or "nothing"
        raise DeviceError(f"{key}: {name} {value} can't be had; available: {available}")


def attempt(nodes: Any, name: str, value: str | bool) -> bool:
    """Set a feature that some cameras lack; return whether it is set."""
    node = getattr(nodes, name, None)
    if node is None:
        return False
    try:
        if node.value != value:
            node.value = value
        return bool(node.value == value)
    except Exception:  # the type of the error depends on the camera
        return False


def _triggers_off(nodes: Any) -> None:
    attempt(nodes, "AcquisitionMode", "Continuous")
    attempt(nodes, "TriggerMode", "Off")
    selector = getattr(nodes, "TriggerSelector", None)
    for name in getattr(selector, "symbolics", ()):
        if attempt(nodes, "TriggerSelector", name):
            attempt(nodes, "TriggerMode", "Off")


def controls_of(nodes: Any, triggered: bool = False) -> tuple[CameraControl, ...]:
    """Return the available controls; a triggered camera has no rate."""
    return tuple(
        CameraControl(key, float(node.value), _limit(node, "min"), _limit(node, "max"))
        for key, name in _CONTROLS.items()
        if (node := getattr(nodes, name, None)) is not None
        and not (triggered and key == "rate")
    )


def set_control(nodes: Any, key: str, value: Value, triggered: bool = False) -> bool:
    """Set a control to the nearest possible value; False: the camera does not have it."""
    if triggered and key == "rate":
        return False
    node = getattr(nodes, _CONTROLS.get(key, ""), None)
    if node is None or not isinstance(value, float | int):
        return False
    low, high = _limit(node, "min"), _limit(node, "max")
    nearest = max(value, value if low is None else low)
    nearest = min(nearest, nearest if high is None else high)
    try:
        node.value = _like(node.value, nearest)
    except Exception as error:  # the type of the error depends on the camera
        raise DeviceError(f"does not take {key.upper()} = {value:g}: {error}") from None
    return True


def _limit(node: Any, name: str) -> float | None:
    limit = getattr(node, name, None)
    return float(limit) if isinstance(limit, float | int) else None


def _put(nodes: Any, name: str, value: Any) -> str | None:
    """Set a feature; return a sentence if the camera set another value."""
    node = getattr(nodes, name, None)
    if node is None:
        return f"the camera has no {name}: {value} was requested"
    try:
        node.value = _like(node.value, value)
    except Exception:  # the type of the error depends on the camera
        if options := getattr(node, "symbolics", ()):
            raise DeviceError(
                f"{name} = {value} is not one of {', '.join(options)}"
            ) from None
    now = node.value
    if isinstance(now, float | int) and not isinstance(now, bool):
        if abs(now - float(value)) <= _CLOSE * abs(float(value)):
            return None
    elif now == _like(now, value):
        return None
    return f"{name} is {now}; {value} was requested"


def _like(now: Any, value: Any) -> Any:
    """Convert a value to the type of the feature."""
    if isinstance(now, bool):
        return str(value).casefold() in ("1", "true", "yes", "on")
    return type(now)(value)
