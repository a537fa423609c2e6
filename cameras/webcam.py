"""Webcams and capture devices that OpenCV opens: discovery, controls and frames."""

import sys
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from deeplabstream import CameraControl, Device, DeviceError, Value

if TYPE_CHECKING:
    from cv2 import VideoCapture
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from deeplabstream import (
    Camera,
    CameraStream,
    CapturedFrame,
    Image,
    ImageFormat,
    SystemClock,
)

if TYPE_CHECKING:
    from cv2 import VideoCapture


T = TypeVar("T")
U = TypeVar("U")


class TimeoutCaller(Generic[T]):
    """Caller with a time-out: repeats one call in a thread, for drivers without one.

    A call that was given up stays in the thread until the driver lets it go; nothing
    else can be called meanwhile, and what it brings is thrown away. `close` is called in
    the same thread when it is free, so that no device is closed in the middle of a call.
    """

    def __init__(self, call: Callable[[], T], close: Callable[[], None]) -> None:
        self._call, self._close = call, close
        self._orders: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._results: SimpleQueue[Any] = SimpleQueue()
        self._thread = Thread(target=self._work, name="waiting", daemon=True)
        self._thread.start()

    def result(self, patience_s: float) -> T:
        """Call, and return or raise what the call does; DeviceError: no answer in time.

        Not to be asked again after that.
        """
        return self._made(self._call, patience_s, "gave no frame")

    def other(self, call: Callable[[], U], patience_s: float) -> U:
        """Make another call in the same thread, as `result` does with the usual one."""
        return self._made(call, patience_s, "did not answer")

    def _made(self, call: Callable[[], U], patience_s: float, else_: str) -> U:
        self._orders.put(call)
        try:
            result: U | Exception = self._results.get(timeout=patience_s)
        except Empty:
            raise DeviceError(f"{else_} for {patience_s:g} s") from None
        if isinstance(result, Exception):
            raise result
        return result

    def end(self, patience_s: float) -> None:
        """Close, now or when the driver lets go; wait so long for it."""
        self._orders.put(None)
        self._thread.join(patience_s)

    def _work(self) -> None:
        try:
            while (call := self._orders.get()) is not None:
                try:
                    result = call()
                except Exception as error:  # it is raised where the result is asked for
                    result = error
                self._results.put(result)
        finally:
            self._close()


_LISTED = Path("/sys/class/video4linux")
_LINKS = Path("/dev/v4l/by-id")
_MOST = 10


def webcams() -> tuple[Device, ...]:
    """Return what Linux lists; elsewhere, what opens of the numbers 0 to 9, in silence."""
    return _listed(_LISTED, _LINKS) if sys.platform == "linux" else _opened()


def _listed(folder: Path, links: Path) -> tuple[Device, ...]:
    """Return the cameras that the kernel knows; none is opened, so none is disturbed.

    A camera is chosen by its own link, where there is one: the numbers change.
    """
    own = {link.resolve().name: link for link in links.glob("*")}
    devices = []
    for node in sorted(folder.glob("video*"), key=lambda node: int(node.name[5:])):
        if (node / "index").read_text().strip() != "0":
            continue  # the same camera again, with metadata in place of pictures
        link = own.get(node.name)
        devices.append(
            Device(
                "Webcam",
                link.name if link else node.name,
                f"SOURCE = {link or node.name.removeprefix('video')}",
                (node / "name").read_text().strip(),
            )
        )
    return tuple(devices)


def _opened() -> tuple[Device, ...]:
    """Return the cameras that give their size; OpenCV says no more of them."""
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    backend = cv2.CAP_DSHOW if sys.platform == "win32" else cv2.CAP_ANY
    devices = []
    try:
        for number in range(_MOST):
            capture = cv2.VideoCapture(number, backend)
            if capture.isOpened():
                width, height = (
                    int(capture.get(what))
                    for what in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
                )
                size = (f"{width}×{height}",)
                devices.append(
                    Device("Webcam", str(number), f"SOURCE = {number}", "", size)
                )
            capture.release()
    finally:
        cv2.utils.logging.setLogLevel(level)
    return tuple(devices)


_FASTEST = 10_000.0
"""What some drivers report as their rate is no rate."""
_PROPERTIES = {"exposure": "EXPOSURE", "gain": "GAIN", "rate": "FPS"}
_BY_HAND = 1.0 if sys.platform == "linux" else 0.25
"""Of CAP_PROP_AUTO_EXPOSURE: V4L2 counts its menu, DirectShow wants a quarter."""


def read_controls(capture: "VideoCapture") -> tuple[CameraControl, ...]:
    """Return what the driver says of each; it does not tell limits, nor what it can't do."""
    return tuple(CameraControl(key, _read(capture, key)) for key in _PROPERTIES)


def set_control(capture: "VideoCapture", key: str, value: Value) -> bool:
    """Set one; False: it is none of them. DeviceError: the driver refuses."""
    import cv2

    if key not in _PROPERTIES or not isinstance(value, float | int):
        return False
    if key == "exposure":
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _BY_HAND)
    if not capture.set(_number(key), float(value)):
        raise DeviceError(f"does not let its {key} be set")
    return True


def rate_of(capture: "VideoCapture") -> float:
    """Return pictures per second; 0: the driver does not say."""
    rate = float(capture.get(_number("rate")))
    return rate if 0 < rate < _FASTEST else 0.0


def _read(capture: "VideoCapture", key: str) -> float | None:
    if key == "rate":
        return rate_of(capture) or None
    value = float(capture.get(_number(key)))
    unknown = value == 0 or (value == -1 and sys.platform == "linux")
    return None if unknown and key == "exposure" else value


def _number(key: str) -> int:
    import cv2

    number: int = getattr(cv2, f"CAP_PROP_{_PROPERTIES[key]}")
    return number


_SILENCE_S, _PATIENCE_S = 0.95, 10.0
"""For a next and for a first frame."""
_CLOSE = 0.02

Backend = Literal["auto", "any", "dshow", "msmf", "v4l2", "avfoundation", "ffmpeg"]

_USUAL: dict[str, Backend] = {
    "win32": "dshow",
    "linux": "v4l2",
    "darwin": "avfoundation",
}


@dataclass(frozen=True, kw_only=True)
class Webcam(Camera):
    """A camera that OpenCV opens; each one has its own number."""

    source: int | str = Field(
        0,
        union_mode="left_to_right",
        description="number of the camera, from 0; or a file or address for BACKEND ffmpeg",
    )
    resolution: tuple[int, int] | None = Field(
        None, description="width, height asked for, pixels; empty: what it gives"
    )
    rate: float | None = Field(
        None, gt=0, description="frames per second asked for; empty: what it gives"
    )
    exposure: float | None = Field(
        None,
        description="exposure in the driver's own unit (Linux: 100 µs; DirectShow: powers "
        "of two of a second, -6 is 1/64 s); switches automatic off; empty: as it is set",
    )
    gain: float | None = Field(
        None, description="gain in the driver's own unit; empty: as it is set"
    )
    mjpg: bool = Field(
        True,
        description="yes: JPEG-compressed frames, which USB 2 needs for the full frame "
        "rate; no: the camera's default format",
    )
    backend: Backend = Field(
        "auto", description="OpenCV's way to the camera; auto: the system's usual one"
    )

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Open the camera and take a first frame, which tells what it really gives.

        Its frames are numbered as they come: a webcam does not say what it lost.
        """
        capture, clock, index = self._capture(), SystemClock(), -1
        told = self._dialled(capture)

        def taken() -> tuple[NDArray[Any] | None, int]:
            if not capture.grab():
                raise DeviceError("gives no more frames")
            grabbed_ns = clock.now_ns()
            there, picture = capture.retrieve()
            return (picture if there else None), grabbed_ns

        waiting = TimeoutCaller(taken, capture.release)

        def read(image: Image) -> CapturedFrame:
            nonlocal index
            picture, grabbed_ns = waiting.result(_SILENCE_S)
            if picture is None:
                raise DeviceError("gave a frame that can't be read")
            _put(picture, image)
            index += 1
            return CapturedFrame(index, grabbed_ns)

        try:
            first = self._first(waiting) if capture.isOpened() else None
            if first is None:
                raise DeviceError(
                    f"camera {self.source} gives no frames; is it plugged in, "
                    "and does no other program use it?"
                )
            form = ImageFormat(first.shape, rate_of(capture), str(first.dtype))
            yield CameraStream(
                form,
                read,
                device=self._name,
                remarks=(*told, *self._remarks(form)),
                controls=lambda: waiting.other(
                    lambda: read_controls(capture), _SILENCE_S
                ),
                set_control=lambda key, value: waiting.other(
                    lambda: set_control(capture, key, value), _PATIENCE_S
                ),
            )
        finally:
            waiting.end(_SILENCE_S)

    def _dialled(self, capture: "VideoCapture") -> tuple[str, ...]:
        """Set exposure and gain as asked for; return what the camera does not take."""
        refusals = []
        for key in ("exposure", "gain"):
            value = getattr(self, key)
            if value is not None and capture.isOpened():
                try:
                    set_control(capture, key, value)
                except DeviceError as error:
                    refusals.append(str(error))
        return tuple(refusals)

    def _first(
        self, waiting: TimeoutCaller[tuple[NDArray[Any] | None, int]]
    ) -> NDArray[Any] | None:
        try:
            return waiting.result(_PATIENCE_S)[0]
        except DeviceError:
            return None

    @property
    def _name(self) -> str:
        return f"webcam {self.source}"

    def _remarks(self, given: ImageFormat) -> tuple[str, ...]:
        """Return what was asked for and is not delivered."""
        told = []
        if self.resolution not in (None, (given.width, given.height)):
            told.append(
                f"gives {given.width}×{given.height} pixels; asked for: "
                + "×".join(str(side) for side in self.resolution or ())
            )
        if self.rate is not None and not given.rate:
            told.append(f"does not say its rate; asked for: {self.rate:g}/s")
        elif self.rate is not None and abs(given.rate - self.rate) > _CLOSE * self.rate:
            told.append(f"gives {given.rate:g}/s; asked for: {self.rate:g}/s")
        return tuple(told)

    @classmethod
    def found(cls) -> tuple[Device, ...]:
        """Return the cameras that the system lists, or that can be opened (Windows)."""
        return webcams()

    def _capture(self) -> "VideoCapture":
        """Return the device as asked for; OpenCV refuses nothing, it ignores."""
        import cv2

        usual = _USUAL.get(sys.platform, "any")
        backend = usual if self.backend == "auto" else self.backend
        capture = cv2.VideoCapture()
        capture.setExceptionMode(False)
        number: int = getattr(cv2, f"CAP_{backend.upper()}")
        capture.open(self.source, number)
        if self.mjpg:
            code = cv2.VideoWriter.fourcc(*"MJPG")
            capture.set(cv2.CAP_PROP_FOURCC, code)
        if self.resolution is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self.resolution[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self.resolution[1])
        if self.rate is not None:
            capture.set(cv2.CAP_PROP_FPS, self.rate)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return capture


def _put(picture: NDArray[Any], image: Image) -> None:
    if picture.shape != image.shape or picture.dtype != image.dtype:
        raise DeviceError(
            f"changed its frame size from {image.shape[1]}×{image.shape[0]} "
            f"to {picture.shape[1]}×{picture.shape[0]}"
        )
    np.copyto(image, picture)
