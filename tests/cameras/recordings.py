"""A made RealSense device of the SDK's own, and recordings that the SDK writes of it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyrealsense2 as rs

from deeplabstream.core.frame import Image

SERIAL = "123456789012"
STEP_MS = 10
"""Between two images, by the device's stamps."""


def images(index: int) -> dict[str, Image]:
    """Return what the made device sees: 64×48, each pixel another, all change."""
    rows, columns = np.mgrid[:48, :64]
    depth = 1000 + 10 * index + rows + 4 * columns
    grey = (20 + 3 * index + columns) % 256
    color = np.stack([grey, rows, np.full_like(rows, index)], axis=2)
    return {
        "depth": depth.astype(np.uint16),
        "infrared": grey.astype(np.uint8),
        "color": color.astype(np.uint8),
    }


class MadeDevice:
    """A software device with depth, left infrared and colour; `send` exposes it once.

    The colour lens shows things `shift` pixels further right than the depth lens;
    its pixels lie in memory as `layout` says. `options` have minimum, maximum and step, by
    sensor (depth or color).
    """

    def __init__(
        self,
        domain: Any = rs.timestamp_domain.hardware_clock,
        counts: bool = True,
        projector: bool = False,
        shift: float = 0.0,
        layout: Any = rs.format.bgr8,
        options: Mapping[str, Mapping[Any, tuple[float, float, float]]] = {},
    ) -> None:
        self._domain, self._counts = domain, counts
        self.device = rs.software_device()
        self.device.register_info(rs.camera_info.name, "Made RealSense")
        self.device.register_info(rs.camera_info.serial_number, SERIAL)
        depth = self.device.add_sensor("Stereo Module")
        color = self.device.add_sensor("RGB Camera")
        depth.add_read_only_option(rs.option.depth_units, 0.001)
        if projector:
            limits = rs.option_range()
            limits.min, limits.max, limits.step, limits.default = 0.0, 1.0, 1.0, 0.0
            depth.add_option(rs.option.emitter_enabled, limits, True)
        for name, limits_of in options.items():
            sensor = depth if name == "depth" else color
            for option, (low, high, step) in limits_of.items():
                limits = rs.option_range()
                limits.min, limits.max, limits.step, limits.default = (
                    low,
                    high,
                    step,
                    low,
                )
                sensor.add_option(option, limits, True)
        self._streams: dict[str, tuple[Any, Any]] = {}
        for uid, (name, sensor, index, pixels) in enumerate(
            (
                ("depth", depth, 0, rs.format.z16),
                ("infrared", depth, 1, rs.format.y8),
                ("color", color, 0, layout),
            )
        ):
            profile = sensor.add_video_stream(_video(name, uid, index, pixels, shift))
            self._streams[name] = sensor, profile
        for name in ("infrared", "color"):
            self._streams["depth"][1].register_extrinsics_to(
                self._streams[name][1], _same_place()
            )

    def send(self, index: int, stamp_ms: float | None = None) -> None:
        """Deliver image `index` of every stream that is running."""
        for name, image in images(index).items():
            sensor, profile = self._streams[name]
            streams = [each.stream_type() for each in sensor.get_active_streams()]
            if profile.stream_type() not in streams:
                continue
            frame = rs.software_video_frame()
            frame.pixels = image
            frame.bpp = image[0, 0].nbytes
            frame.stride = image[0].nbytes
            frame.timestamp = 5000 + index * STEP_MS if stamp_ms is None else stamp_ms
            frame.domain = self._domain
            frame.frame_number = index
            frame.profile = profile.as_video_stream_profile()
            if name == "depth":
                frame.depth_units = 0.001
            if self._counts:
                sensor.set_metadata(rs.frame_metadata_value.frame_counter, index)
            sensor.on_video_frame(frame)


class LoggedDevice:
    """A device whose sensors log options; like the SDK, they refuse some while streaming."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self.log: list[Any] = []
        self.stuck = False
        """Whether options keep their values."""
        self.unplugged = False
        self._sensors = [_LoggedSensor(self, each) for each in device.query_sensors()]

    def query_sensors(self) -> "list[_LoggedSensor]":
        return self._sensors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)


class _LoggedSensor:
    def __init__(self, device: LoggedDevice, sensor: Any) -> None:
        self._device, self._sensor = device, sensor
        self._streams = False

    def start(self, queue: Any) -> None:
        self._sensor.start(queue)
        self._streams = True
        self._device.log.append("start")

    def stop(self) -> None:
        self._sensor.stop()
        self._streams = False
        self._device.log.append("stop")

    def set_option(self, option: Any, value: float) -> None:
        """As librealsense 2.5x (ds-options.cpp): no change of the mode while streaming."""
        if option == rs.option.inter_cam_sync_mode and self._streams:
            raise RuntimeError(
                "Cannot change Inter-camera HW synchronization mode while streaming!"
            )
        self._device.log.append((option.name, value))
        if not self._device.stuck:
            self._sensor.set_option(option, value)

    def get_option(self, option: Any) -> float:
        if self._device.unplugged:
            raise RuntimeError("failed to set power state")
        return float(self._sensor.get_option(option))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sensor, name)


def write_recording(
    path: Path, indices: Iterable[int] = range(10), **made: Any
) -> Path:
    """Have the SDK record those images; each `STEP_MS` later than the one before."""
    source = MadeDevice(**made)
    recorder = rs.recorder(str(path), source.device)
    queue = rs.frame_queue(100)
    sensors = recorder.query_sensors()
    for sensor in sensors:
        sensor.open(sensor.get_stream_profiles())
        sensor.start(queue)
    for index in indices:
        source.send(index)
        for _ in images(index):
            queue.wait_for_frame(60_000)
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    del sensors, sensor, recorder
    return path


def _video(name: str, uid: int, index: int, layout: Any, shift: float) -> Any:
    video = rs.video_stream()
    video.type = getattr(rs.stream, name)
    video.index, video.uid, video.fmt = index, uid, layout
    video.width, video.height, video.fps = 64, 48, 1000 // STEP_MS
    video.bpp = {"depth": 2, "infrared": 1, "color": 3}[name]
    lens = rs.intrinsics()
    lens.width, lens.height, lens.fx, lens.fy = 64, 48, 50.0, 50.0
    lens.ppx, lens.ppy = 32.0 + (shift if name == "color" else 0.0), 24.0
    video.intrinsics = lens
    return video


def _same_place() -> Any:
    place = rs.extrinsics()
    place.rotation = [1, 0, 0, 0, 1, 0, 0, 0, 1]
    place.translation = [0, 0, 0]
    return place
