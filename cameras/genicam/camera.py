"""GenICam cameras of any maker, through the maker's GenTL producer (a .cti file)."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ctypes import CDLL
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from deeplabstream.plugin import (
    NO_FRAME_YET,
    CameraStream,
    CapturedFrame,
    ClockSync,
    CounterUnwrapper,
    Device,
    DeviceAddress,
    DeviceError,
    Image,
    ImageFormat,
    Pacer,
    SystemClock,
)

from .features import (
    adjusted,
    attempt,
    choose,
    controls_of,
    set_control,
    value_of,
)
from .pixel_formats import layout_of
from .triggers import GenicamTriggers

_SILENCE_S = 0.95
_BUFFERS = 16
_LAST_NUMBER = 65_535
"""GigE Vision counts frames from 1 to this number, then from 1 again."""
_MOST_LOST = 1000
"""Most frames that can be lost when the counter wraps; a larger gap means a restart."""
_PRODUCERS = "GENICAM_GENTL64_PATH"
"""Environment variable of the GenTL standard that lists the folders of producers."""


@dataclass(frozen=True, kw_only=True)
class GenICam(GenicamTriggers):
    """A camera that follows the GenICam standard: GigE Vision, USB3 Vision, CoaXPress."""

    cti: Path | None = Field(
        None,
        description="the maker's GenTL producer, a .cti file; empty: all those that "
        "GENICAM_GENTL64_PATH names",
    )
    serial: str = Field(
        "", description="serial number of the camera; empty: the only one that is there"
    )
    pixel_format: str | None = Field(
        None, description="Mono8, BayerRG8, Mono12, …; empty: as the camera is set"
    )
    resolution: tuple[int, int] | None = Field(
        None,
        description="width, height of the region that is read; empty: as it is set",
    )
    rate: float | None = Field(
        None,
        gt=0,
        description="frames per second; for TRIGGER = line: the expected rate of the "
        "pulses; empty: as the camera is set",
    )
    exposure_us: float | None = Field(
        None, gt=0, description="exposure time in µs; empty: as the camera is set"
    )
    gain: float | None = Field(
        None, description="gain, in the camera's own unit; empty: as the camera is set"
    )
    features: tuple[str, ...] = Field(
        (),
        description="any other features, in the order in which they are set: "
        "GainAuto=Off, ReverseX=1",
    )
    patience_s: float = Field(
        5.0, gt=0, le=60, description="seconds in which it has to give a first frame"
    )

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """The camera with this serial number; empty: the only one."""
        return (DeviceAddress("GenICam camera", self.serial or "without SERIAL"),)

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Open and configure the camera; a first frame shows which data it reports.

        That frame is taken with all triggers off; a triggered camera is armed behind it.
        `knows_losses` if it numbers its frames: incomplete ones are gaps too.
        """
        with ExitStack() as stack:
            producers = stack.enter_context(_producers(_files(self.cti)))
            about = _chosen(producers.device_info_list, self.serial)
            camera = producers.create(about)
            stack.callback(camera.destroy)
            nodes = camera.remote_device.node_map
            triggered = self.trigger != "free"
            remarks = adjusted(nodes, self)
            layout = layout_of(str(value_of(nodes, "PixelFormat")))
            shape = layout.shape(value_of(nodes, "Height"), value_of(nodes, "Width"))
            camera.num_buffers = max(_BUFFERS, camera.min_num_buffers)
            camera.start()
            numbered, stamp_ns, arrived_ns = _first_frame(camera, self.patience_s)
            stamped, clock = stamp_ns is not None, ClockSync()
            if triggered or self.leads:
                camera.stop()
                self.arm(partial(choose, nodes), partial(attempt, nodes))
                camera.start()
            # frames that were buffered before the first `read` are older
            elif stamp_ns is not None:
                clock.moment(stamp_ns, arrived_ns)

            numbers = _FrameNumbers()
            fire = (
                _SoftwareTrigger(nodes, self.rate)
                if self.trigger == "software"
                else None
            )

            def read(image: Image) -> CapturedFrame:
                if fire is not None:
                    fire()
                try:
                    taken, arrived_ns = _fetched(camera, _SILENCE_S)
                except _NoFrameError:
                    if self.trigger != "line":
                        raise
                    _check_presence(nodes)
                    return NO_FRAME_YET
                with taken as buffer:
                    part = buffer.payload.components[0]
                    if (part.height, part.width) != image.shape[:2]:
                        raise DeviceError(f"gave a frame of {part.width}×{part.height}")
                    np.copyto(image, layout.to_image(part.data.reshape(*shape[:2], -1)))
                    number = _number(buffer) if numbered else None
                    stamp_ns = _stamp(buffer) if stamped else None
                index = numbers.index(number)
                if stamp_ns is None:
                    return CapturedFrame(index, arrived_ns, number)
                moment_ns = clock.moment(stamp_ns, arrived_ns)
                return CapturedFrame(
                    index, moment_ns, number, clock_jump_ns=clock.jump_ns
                )

            rate = value_of(nodes, "AcquisitionFrameRate")
            yield CameraStream(
                ImageFormat(
                    shape,
                    float((self.rate if triggered else rate) or 0),
                    layout.dtype,
                ),
                read,
                knows_losses=numbered,
                clock="device" if stamped else "host",
                device=_name(about),
                remarks=remarks,
                controls=lambda: controls_of(nodes, triggered),
                set_control=lambda key, value: set_control(
                    nodes, key, value, triggered
                ),
            )

    @classmethod
    def connected_devices(cls) -> tuple[Device, ...]:
        """Return the cameras of all producers that GENICAM_GENTL64_PATH names."""
        files = _installed()
        if not files:
            return ()
        with _producers(files) as producers:
            return tuple(
                Device(
                    "GenICam",
                    about.serial_number,
                    f"SERIAL = {about.serial_number}",
                    _name(about),
                    _formats(producers, about),
                )
                for about in producers.device_info_list
            )


def _installed() -> list[Path]:
    folders = [
        part for part in os.environ.get(_PRODUCERS, "").split(os.pathsep) if part
    ]
    return [path for folder in folders for path in sorted(Path(folder).glob("*.cti"))]


def _files(cti: Path | None) -> list[Path]:
    files = [cti] if cti else _installed()
    if not files:
        raise DeviceError(
            f"there is no GenTL producer: install the maker's software, which sets "
            f"{_PRODUCERS}, or give its .cti file as CTI"
        )
    if cti and not cti.is_file():
        raise DeviceError(f"there is no GenTL producer {cti}")
    return files


@contextmanager
def _producers(files: list[Path]) -> Iterator[Any]:
    """Return a Harvester (of the package harvesters) with these producers."""
    from harvesters.core import Harvester

    logging.getLogger("harvesters.core").setLevel(logging.CRITICAL)
    harvester = Harvester()
    try:
        for path in files:
            _keep_loaded(path)
            harvester.add_file(str(path))
        harvester.update()
        yield harvester
    finally:
        harvester.reset()


@cache
def _keep_loaded(producer: Path) -> CDLL | None:
    """Keep a producer's library in memory until this process ends.

    Its threads may run on after it is closed; in unloaded code they would crash the process.
    """
    try:
        return CDLL(str(producer))
    except OSError:  # adding the file reports the reason
        return None


def _chosen(devices: list[Any], serial: str) -> Any:
    serials = ", ".join(about.serial_number for about in devices)
    matching = [about for about in devices if serial in ("", about.serial_number)]
    if len(matching) == 1:
        return matching[0]
    if not devices:
        raise DeviceError("the GenTL producer sees no camera; is it plugged in?")
    if not matching:
        raise DeviceError(f"SERIAL = {serial}: there are only {serials}")
    raise DeviceError(f"there are several cameras, choose one by SERIAL: {serials}")


def _name(about: Any) -> str:
    return f"{about.vendor} {about.model} {about.serial_number}"


def _formats(producers: Any, about: Any) -> tuple[str, ...]:
    """Return the pixel formats of a camera; empty if another program uses it."""
    try:
        camera = producers.create(about)
    except Exception:  # the type of the error depends on the producer
        return ()
    try:
        return tuple(camera.remote_device.node_map.PixelFormat.symbolics)
    finally:
        camera.destroy()


class _NoFrameError(DeviceError):
    """No frame arrived in time."""


class _SoftwareTrigger:
    """Requests frames at a rate, or as fast as they are read; late requests are dropped."""

    def __init__(self, nodes: Any, rate: float | None) -> None:
        self._command: Any = getattr(nodes, "TriggerSoftware", None)
        if self._command is None:
            raise DeviceError("TRIGGER = software: the camera has no TriggerSoftware")
        self._pacer = Pacer(rate) if rate else None
        self._clock, self._tick = SystemClock(), -1

    def __call__(self) -> None:
        """Wait until the next frame is due, and request it."""
        if self._pacer is not None:
            due = self._pacer.past(self._clock.now_ns()) - 1
            self._tick = max(self._tick + 1, due)
            self._pacer.wait(self._tick)
        self._command.execute()


def _check_presence(nodes: Any) -> None:
    """Read a register of a camera that waits for pulses; DeviceError: it does not answer."""
    try:
        nodes.TriggerMode.value  # noqa: B018
    except Exception as error:  # the type of the error depends on the producer
        raise DeviceError(f"does not answer: {error}") from error


def _fetched(camera: Any, patience_s: float) -> tuple[Any, int]:
    """Return the next complete buffer, for a `with`, and its time of arrival."""
    clock = SystemClock()
    end_ns = clock.now_ns() + round(patience_s * 1e9)
    while (left_ns := end_ns - clock.now_ns()) > 0:
        # None also for an incomplete frame
        buffer = camera.try_fetch(timeout=left_ns / 1e9)
        if buffer is not None:
            return buffer, clock.now_ns()
    raise _NoFrameError(f"gave no frame for {round(patience_s)} s")


def _first_frame(camera: Any, patience_s: float) -> tuple[bool, int | None, int]:
    """Return whether the device counts frames, and a frame's time on both clocks, in ns."""
    taken, arrived_ns = _fetched(camera, patience_s)
    with taken as buffer:
        number, stamp_ns = _number(buffer), _stamp(buffer)
    # USB3 Vision starts at 0; a device without a frame counter stays at 0
    if number == 0:
        taken, arrived_ns = _fetched(camera, patience_s)
        with taken as buffer:
            number, stamp_ns = _number(buffer) or None, _stamp(buffer)
    return number is not None, stamp_ns, arrived_ns


def _number(buffer: Any) -> int | None:
    """Return the device's count, which may wrap at 65535; None: it has none."""
    try:
        return int(buffer.module.frame_id)
    except Exception:  # "not available": the type of the error depends on the producer
        return None


class _FrameNumbers:
    """Converts the device's counts to frame indices from 0, with gaps for losses."""

    def __init__(self) -> None:
        self._unwrapper = CounterUnwrapper(bits=16, first=1)
        self._last: int | None = None
        self._index = -1

    def index(self, number: int | None) -> int:
        """Return a frame's index; DeviceError: the device restarted its counter."""
        if number is None:
            self._index += 1
            return self._index
        last, self._last = self._last, number
        if last is not None and number <= last:
            lost = _LAST_NUMBER - last + number
            if last > _LAST_NUMBER or lost > _MOST_LOST:
                raise DeviceError("restarted its frame counter")
        self._index = max(self._unwrapper.number(number), self._index + 1)
        return self._index


def _stamp(buffer: Any) -> int | None:
    """Return the device's time of a frame in ns; None: it has none."""
    try:
        ticks, frequency = buffer.timestamp, buffer.timestamp_frequency
    except Exception:  # the type of the error depends on the producer
        return None
    return int(ticks) * 10**9 // int(frequency) if ticks and frequency else None
