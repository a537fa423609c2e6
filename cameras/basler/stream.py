"""Frames of a Basler camera that is set up, with their numbers and times."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from deeplabstream.plugin import (
    NO_FRAME_YET,
    CameraStream,
    CapturedFrame,
    ClockSync,
    DeviceError,
    Image,
    ImageFormat,
    Pacer,
    SystemClock,
    Value,
)

from .controls import PylonControls
from .counters import BlockIdCounter, ticks_per_second
from .devices import translate_pylon_errors
from .features import feature, rate_of, set_up
from .pixel_formats import Layout, layout_of

if TYPE_CHECKING:
    from .camera import Basler

_WAIT_S = 0.95
"""Longest time to wait for a frame before `read` returns."""
_BUFFER_BYTES = 256 * 1024 * 1024
_BUFFERS = 8, 64
"""Fewest and most buffers; between them as many as fit into `_BUFFER_BYTES`."""


@contextmanager
def acquire(camera: Any, settings: "Basler") -> Iterator[CameraStream]:
    """Configure an open camera and yield its stream; a triggered camera is armed by then."""
    from pypylon import genicam

    remarks = set_up(camera, settings)
    with translate_pylon_errors():
        info = camera.GetDeviceInfo()
        layout = _layout(camera)
        form = _format(camera, settings, layout)
        count, ticks = BlockIdCounter.of(camera), ticks_per_second(camera)
        fewest, most = _BUFFERS
        buffers = min(max(_BUFFER_BYTES // form.nbytes, fewest), most)
        camera.MaxNumBuffer.SetValue(buffers)
    grabber = _Grabber(
        camera, settings.trigger, form.rate, layout.copier(), count, ticks
    )
    controls = PylonControls(camera, settings.trigger == "free")

    def set_control(key: str, value: Value) -> bool:
        done = controls.set_control(key, value)
        if done and settings.trigger == "free":
            grabber.expect(rate_of(camera))
        return done

    try:
        if settings.trigger != "free":
            grabber.start()
        yield CameraStream(
            form,
            grabber.read,
            knows_losses=count.knows,
            clock="device" if ticks else "host",
            device=f"{info.GetModelName()} {info.GetSerialNumber()}",
            remarks=remarks,
            controls=controls.read,
            set_control=set_control,
        )
    finally:
        with suppress(genicam.GenericException):  # it may have been removed already
            camera.StopGrabbing()


def _layout(camera: Any) -> Layout:
    layout = layout_of(feature(camera, "PixelFormat").GetValue())
    if layout is None:
        raise DeviceError("changed its pixel format while it was set up")
    return layout


def _format(camera: Any, settings: "Basler", layout: Layout) -> ImageFormat:
    height, width = (feature(camera, name).GetValue() for name in ("Height", "Width"))
    rate = rate_of(camera) if settings.trigger == "free" else settings.rate or 0.0
    return ImageFormat(layout.shape(height, width), rate, layout.dtype)


@dataclass
class _Grabber:
    """Reads frames from pylon's queue."""

    camera: Any
    trigger: Literal["free", "line", "software"]
    rate: float
    copy: Callable[[NDArray[Any], Image], None]
    count: BlockIdCounter
    ticks: int
    """Ticks of the camera's clock per second; 0: it has no clock."""
    synchroniser: ClockSync = field(default_factory=ClockSync)
    _pacer: Pacer | None = None
    _tick: int = 0
    _fired_ns: int | None = None
    """Request time of a frame that has not arrived yet."""
    _silent_ns: int | None = None
    """Time since which no frame has arrived."""

    def __post_init__(self) -> None:
        self._clock = SystemClock()
        self._started = False
        self.expect(self.rate)

    def expect(self, rate: float) -> None:
        """Set the time-out for frames at this rate."""
        self.rate = rate
        self._patience_s = max(_WAIT_S, 3 / rate if rate else 0.0)

    def start(self) -> None:
        """Start the stream, or wait for pulses."""
        from pypylon import pylon

        with translate_pylon_errors():
            self.camera.StartGrabbing(pylon.GrabStrategy_OneByOne)
        self._started = True

    def read(self, image: Image) -> CapturedFrame:
        """Return the next frame, or `NO_FRAME_YET`; see `CameraStream.read`."""
        if not self._started:
            self.start()
        with translate_pylon_errors():
            return self._read(image)

    def _read(self, image: Image) -> CapturedFrame:
        from pypylon import pylon

        begun_ns = self._clock.now_ns()
        since_ns = begun_ns if self._silent_ns is None else self._silent_ns
        failure = ""
        while (now_ns := self._clock.now_ns()) < begun_ns + _WAIT_S * 1e9:
            if self.trigger == "software" and self._fired_ns is None:
                self._fire()
            left_ms = max(1, round(_WAIT_S * 1e3 - (now_ns - begun_ns) / 1e6))
            result = self.camera.RetrieveResult(left_ms, pylon.TimeoutHandling_Return)
            arrived_ns = self._clock.now_ns()
            if not result.IsValid():
                self._check_presence()
                break
            try:
                if result.GrabSucceeded():
                    self._silent_ns = None
                    return self._shot(result, image, arrived_ns)
                failure = result.GetErrorDescription()
                self.count.lost(result.BlockID)
                self._fired_ns = None
            finally:
                result.Release()
        self._silent_ns = since_ns
        silent_s = (self._clock.now_ns() - since_ns) / 1e9
        if failure:
            raise DeviceError(f"gave no complete frame for {silent_s:.0f} s: {failure}")
        if self.trigger != "line" and silent_s >= self._patience_s - 0.01:
            raise DeviceError(f"gave no frame for {silent_s:.0f} s")
        return NO_FRAME_YET

    def _shot(self, result: Any, image: Image, arrived_ns: int) -> CapturedFrame:
        index = self.count.index(result.BlockID)
        number = self.count.device_id(result.BlockID)
        with result.GetArrayZeroCopy() as pixels:
            self.copy(pixels, image)
        fired_ns, self._fired_ns = self._fired_ns, None
        if self.ticks and result.TimeStamp:
            stamp_ns = result.TimeStamp * 1_000_000_000 // self.ticks
            moment_ns = self.synchroniser.moment(stamp_ns, arrived_ns)
            jump_ns = self.synchroniser.jump_ns
            return CapturedFrame(index, moment_ns, number, clock_jump_ns=jump_ns)
        return CapturedFrame(index, fired_ns, number)

    def _fire(self) -> None:
        """Request a frame at its tick, or at once; past ticks are skipped.

        A camera that is not ready yet would lose the trigger.
        """
        from pypylon import pylon

        if self.rate:
            if self._pacer is None:
                self._pacer = Pacer(self.rate)
                self._due_ns = self._pacer.wait(0) - self._pacer.period_ns
            late_ns = self._clock.now_ns() - self._due_ns
            self._tick += max(1, late_ns // self._pacer.period_ns)
            self._due_ns = self._pacer.wait(self._tick)
        ready = True
        if self.camera.CanWaitForFrameTriggerReady():
            wait_ms = round(_WAIT_S * 1e3)
            waiting = self.camera.WaitForFrameTriggerReady
            ready = waiting(wait_ms, pylon.TimeoutHandling_Return)
        if ready:
            self._fired_ns = self._clock.now_ns()
            self.camera.ExecuteSoftwareTrigger()

    def _check_presence(self) -> None:
        if self.camera.IsCameraDeviceRemoved() or not self.camera.IsGrabbing():
            raise DeviceError("was unplugged, or another program took it")
