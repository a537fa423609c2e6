"""One stream of a RealSense device: chosen, numbered, aligned, described."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from deeplabstream.plugin import (
    NO_FRAME_YET,
    CameraStream,
    CapturedFrame,
    DeviceError,
    Image,
    ImageFormat,
)

from .controls import SensorControls
from .depth_alignment import Alignment
from .devices import about, choose
from .live import LiveFrames
from .playback import PlayedFrames
from .synchronisation import FREE, GENLOCK, mode_of, set_mode

if TYPE_CHECKING:
    from .camera import RealSense


@contextmanager
def stream(device: Any, camera: "RealSense") -> Iterator[CameraStream]:
    """Start the stream that the camera's settings select."""
    import pyrealsense2 as rs

    sensor, profile = choose(device, camera.stream, camera.resolution, camera.rate)
    try:
        controls, mode = SensorControls(sensor), mode_of(camera)
        remarks = (*_emitter(device, camera.emitter), *_usb(device))
        remarks += tuple(controls.apply(camera))
        alignment = None
        if camera.align is not None:
            alignment = Alignment(choose(device, "color", camera.align, None)[1])
        if camera.stream != "color" or mode != FREE:
            remarks += set_mode(device, FREE if mode == GENLOCK else mode)
        frames = _frames(device, sensor, profile, camera)
        if mode == GENLOCK and isinstance(frames, LiveFrames):
            frames.wait_for_pulses(lambda: set_mode(device, GENLOCK))
    except RuntimeError as error:
        raise DeviceError(f"can't be set up: {error}") from error
    number, index = -1, -1

    def read(image: Image) -> CapturedFrame | None:
        nonlocal number, index
        try:
            received = frames.next()
            if received is None and mode == GENLOCK:
                set_mode(device, GENLOCK)  # RuntimeError: it was unplugged
                return NO_FRAME_YET
            if received is None:
                return None
            frame, time_ns = received
            before, number = number, frame.get_frame_number()
            index += number - before if 0 <= before < number else 1
            _put(frame if alignment is None else alignment(frame), image)
        except RuntimeError as error:
            raise DeviceError(f"failed: {error}") from error
        return CapturedFrame(index, time_ns, number, clock_jump_ns=frames.clock_jump_ns)

    try:
        first = frames.first
        counter = rs.frame_metadata_value.frame_counter
        unstamped = rs.timestamp_domain.system_time
        stamped = first.get_frame_timestamp_domain() != unstamped
        yield CameraStream(
            _format(first if alignment is None else alignment(first), profile.fps()),
            read,
            knows_losses=first.supports_frame_metadata(counter),
            clock="device" if stamped else "host",
            device=_name(device, sensor, camera.stream),
            remarks=remarks,
            controls=controls.read,
            set_control=controls.set_control,
        )
    finally:
        frames.stop()


def _frames(
    device: Any, sensor: Any, profile: Any, camera: "RealSense"
) -> LiveFrames | PlayedFrames:
    if not device.is_playback():
        return LiveFrames(sensor, profile)
    playback = device.as_playback()
    return PlayedFrames(playback, sensor, profile, camera.paced, camera.repeat)


def _emitter(device: Any, requested: bool | None) -> tuple[str, ...]:
    """Switch the projector; return a sentence if that failed."""
    import pyrealsense2 as rs

    if requested is None:
        return ()
    state = "on" if requested else "off"
    option = rs.option.emitter_enabled
    for sensor in device.query_sensors():
        if not sensor.supports(option):
            continue
        if sensor.is_option_read_only(option):
            return (f"EMITTER: a recording can't be lit; requested: {state}",)
        sensor.set_option(option, float(requested))
        if bool(sensor.get_option(option)) != requested:
            return (f"EMITTER: the projector did not switch {state}",)
        return ()
    return (f"EMITTER: has no projector that could be switched {state}",)


def _usb(device: Any) -> tuple[str, ...]:
    usb = about(device, "usb_type_descriptor")
    slow = usb.startswith(("1", "2"))
    return (f"is plugged in as USB {usb}: fewer sizes and rates",) if slow else ()


def _name(device: Any, sensor: Any, kind: str) -> str:
    """Return `Intel RealSense D435 123456789012, depth in steps of 1 mm`."""
    import pyrealsense2 as rs

    name = f"{about(device, 'name')} {about(device, 'serial_number')}, {kind}"
    if kind == "depth" and sensor.supports(rs.option.depth_units):
        name += f" in steps of {1000 * sensor.get_option(rs.option.depth_units):g} mm"
    return name


def _format(frame: Any, rate: int) -> ImageFormat:
    pixels = np.asanyarray(frame.get_data())
    return ImageFormat(pixels.shape, float(rate), str(pixels.dtype))


def _put(frame: Any, image: Image) -> None:
    import pyrealsense2 as rs

    pixels = np.asanyarray(frame.get_data())
    if frame.get_profile().format() == rs.format.rgb8:
        pixels = pixels[..., ::-1]
    np.copyto(image, pixels)
