"""RealSense devices: discovery, and selection of a stream."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deeplabstream.plugin import Device, DeviceError

LAYOUTS = {"color": ("bgr8", "rgb8"), "infrared": ("y8",), "depth": ("z16",)}
"""The supported pixel formats, by stream, the preferred one first."""

_USUAL_RATE = 30


def present() -> list[Any]:
    """Return the SDK's devices that are plugged in."""
    import pyrealsense2 as rs

    return list(rs.context().query_devices())


def find(serial: str) -> Any:
    """Return the device with that serial number, or the only one.

    Called before the start, because without a device the SDK waits 15 s in it.
    """
    devices = {about(device, "serial_number"): device for device in present()}
    if not devices:
        raise DeviceError("there is no RealSense camera; is it plugged in (USB 3)?")
    listed = ", ".join(sorted(devices))
    if serial and serial not in devices:
        raise DeviceError(f"there is no RealSense camera {serial}; there are: {listed}")
    if not serial and len(devices) > 1:
        raise DeviceError(f"SERIAL must say which RealSense camera: {listed}")
    return devices[serial or listed]


@contextmanager
def play(recording: Path) -> Iterator[Any]:
    """Load a recording as a device; an old .bag is converted into a temporary one."""
    import pyrealsense2 as rs

    if not recording.is_file():
        raise DeviceError(f"there is no recording {recording}")
    context = rs.context()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = recording
        try:
            if recording.suffix.lower() == ".bag":
                path = Path(folder) / f"{recording.stem}.db3"
                context.convert_bag_to_db3(str(recording), str(path))
            device = context.load_device(str(path))
        except RuntimeError as error:
            raise DeviceError(
                f"{recording} is not a RealSense recording that can be read: {error}"
            ) from error
        try:
            yield device
        finally:
            del device


def about(device: Any, what: str) -> str:
    """Return a property of a device (a name of the SDK's `camera_info`), or ''."""
    import pyrealsense2 as rs

    key = getattr(rs.camera_info, what)
    return str(device.get_info(key)) if device.supports(key) else ""


def profiles(device: Any, kind: str) -> list[tuple[Any, Any]]:
    """Return sensor and profile of every supported stream of that kind."""
    import pyrealsense2 as rs

    stream = getattr(rs.stream, kind)
    return [
        (sensor, profile.as_video_stream_profile())
        for sensor in device.query_sensors()
        for profile in sensor.get_stream_profiles()
        if profile.stream_type() == stream
        and profile.format().name in LAYOUTS[kind]
        and profile.is_video_stream_profile()
    ]


def choose(
    device: Any, kind: str, size: tuple[int, int] | None, rate: float | None
) -> tuple[Any, Any]:
    """Return sensor and profile of the requested stream; the device's default comes first.

    DeviceError: none fits; it lists the available ones.
    """
    available = profiles(device, kind)
    fitting = [
        (sensor, profile)
        for sensor, profile in available
        if size in (None, (profile.width(), profile.height()))
        and rate in (None, profile.fps())
    ]
    if not fitting:
        request = f"{size[0]}×{size[1]}" if size else ""
        request += f" at {rate:g}/s" if rate else ""
        listed = (
            "; ".join(_listed(kind, [p for _, p in available])) or "none of that kind"
        )
        raise DeviceError(
            f"has no stream {kind} {request.strip()}; there are: {listed}"
        )

    def rank(choice: tuple[Any, Any]) -> tuple[float, ...]:
        profile = choice[1]
        return (
            max(1, profile.stream_index()),
            not profile.is_default(),
            -profile.width() * profile.height(),
            abs(profile.fps() - _USUAL_RATE),
            LAYOUTS[kind].index(profile.format().name),
        )

    return min(fitting, key=rank)


def describe(device: Any, kind: str) -> Device:
    """Return a device for `--list-cameras`."""
    serial = about(device, "serial_number")
    formats = [
        line
        for name in LAYOUTS
        for line in _listed(name, [profile for _, profile in profiles(device, name)])
    ]
    label = about(device, "name")
    return Device(kind, serial, f"SERIAL = {serial}", label, tuple(formats))


def _listed(kind: str, found: Sequence[Any]) -> list[str]:
    """Return lines such as `color 640×480 at 15, 30/s`, largest first."""
    rates: dict[tuple[int, int], set[int]] = {}
    for profile in found:
        size = profile.width(), profile.height()
        rates.setdefault(size, set()).add(profile.fps())
    return [
        f"{kind} {width}×{height} at {', '.join(map(str, sorted(all_of_them)))}/s"
        for (width, height), all_of_them in sorted(rates.items(), reverse=True)
    ]
