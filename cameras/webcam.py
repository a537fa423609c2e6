"""Webcams and capture devices that OpenCV opens: discovery, controls and frames."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass as plain
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from deeplabstream.plugin import (
    Camera,
    CameraControl,
    CameraStream,
    CapturedFrame,
    Device,
    DeviceAddress,
    DeviceError,
    Image,
    ImageFormat,
    JpegDecoder,
    SystemClock,
    Value,
    copy_frame,
)

if TYPE_CHECKING:
    from cv2 import VideoCapture


T = TypeVar("T")
U = TypeVar("U")


class _NoAnswerError(DeviceError):
    """A driver did not answer in time."""


class TimeoutCaller(Generic[T]):
    """Caller with a time-out: repeats one call in a thread, for drivers without one.

    A call that timed out stays in the thread until the driver returns: later calls wait
    for that, and its result is dropped. `close` is called in the same thread,
    so that no device is closed during a call.
    """

    def __init__(self, call: Callable[[], T], close: Callable[[], None]) -> None:
        self._call, self._close = call, close
        self._orders: Queue[tuple[Callable[[], Any], Queue[Any]] | None] = Queue()
        """Calls, each with the queue for its own result."""
        self._thread = Thread(target=self._work, name="waiting", daemon=True)
        self._thread.start()

    def result(self, patience_s: float) -> T:
        """Call, and return the result or raise the error; DeviceError: no answer in time."""
        return self._made(self._call, patience_s, "gave no frame")

    def other(self, call: Callable[[], U], patience_s: float) -> U:
        """Make another call in the same thread; DeviceError: no answer in time."""
        return self._made(call, patience_s, "did not answer")

    def _made(self, call: Callable[[], U], patience_s: float, else_: str) -> U:
        answer: Queue[U | Exception] = Queue()
        self._orders.put((call, answer))
        try:
            result = answer.get(timeout=patience_s)
        except Empty:
            raise _NoAnswerError(f"{else_} for {patience_s:g} s") from None
        if isinstance(result, Exception):
            raise result
        return result

    def end(self, patience_s: float) -> None:
        """Close, now or when the driver returns; wait at most `patience_s` for it."""
        self._orders.put(None)
        self._thread.join(patience_s)

    def _work(self) -> None:
        try:
            while (order := self._orders.get()) is not None:
                call, answer = order
                try:
                    answer.put(call())
                except Exception as error:  # raised again where the result is read
                    answer.put(error)
        finally:
            self._close()


Backend = Literal["auto", "any", "dshow", "msmf", "v4l2", "avfoundation", "ffmpeg"]

_USUAL: dict[str, Backend] = {
    "win32": "dshow",
    "linux": "v4l2",
    "darwin": "avfoundation",
}
_SYSFS = Path("/sys/class/video4linux")
_LINKS = Path("/dev/v4l/by-id")
_MOST = 10
"""Number of device indices that are tried where cameras cannot be listed."""


@plain(frozen=True, slots=True)
class ListedWebcam:
    """A webcam that the operating system lists."""

    number: int
    """OpenCV's number, which changes when cameras are plugged in."""
    name: str
    """Model name; equal for cameras of one model."""
    path: str = ""
    """Permanent identifier (Linux by-id link, macOS unique ID), or one of the USB port
    (Windows device path); empty: there is none."""


def list_webcams(backend: Backend) -> tuple[ListedWebcam, ...] | None:
    """Return the webcams that the system lists; none is opened.

    None: they cannot be listed, because `cv2_enumerate_cameras` is not installed (Windows,
    macOS) or the backend has no list.
    """
    if sys.platform == "linux":
        return _list_on_linux(_SYSFS, _LINKS)
    try:
        from cv2_enumerate_cameras import enumerate_cameras, supported_backends
    except ImportError:
        return None
    number = _backend_number(backend)
    if number not in supported_backends:
        return None
    return tuple(
        ListedWebcam(info.index, info.name or "", info.path or "")
        for info in enumerate_cameras(number)
    )


def _list_on_linux(folder: Path, links: Path) -> tuple[ListedWebcam, ...]:
    own = {link.resolve().name: str(link) for link in links.glob("*")}
    found = []
    for node in sorted(folder.glob("video*"), key=lambda node: int(node.name[5:])):
        try:
            index, name = ((node / k).read_text().strip() for k in ("index", "name"))
        except OSError:
            continue  # it was unplugged in the meantime
        if index != "0":
            continue  # a second node of the same camera, with metadata instead of frames
        found.append(ListedWebcam(int(node.name[5:]), name, own.get(node.name, "")))
    return tuple(found)


def describe(found: tuple[ListedWebcam, ...]) -> tuple[Device, ...]:
    """Return the webcams with the SOURCE that selects each: path, name or number.

    Linux's link comes first, because it stays with the camera; elsewhere a name that no
    other camera has.
    """
    names = [webcam.name for webcam in found]
    devices = []
    for webcam in found:
        link = webcam.path if webcam.path.startswith("/dev/") else ""
        unique = names.count(webcam.name) == 1 and not webcam.name.isdigit()
        source = link or (webcam.name if unique else webcam.path) or webcam.number
        serial = Path(link).name or webcam.path
        devices.append(Device("Webcam", serial, f"SOURCE = {source}", webcam.name))
    return tuple(devices)


def number_of(source: str, found: tuple[ListedWebcam, ...] | None) -> int:
    """Return the number of the webcam with that path or name.

    DeviceError: there is none, the name is not unique, or webcams cannot be listed.
    """
    if found is None:
        raise DeviceError(
            f"SOURCE = {source}: names need the package cv2-enumerate-cameras (python -m "
            "pip install -r requirements.txt) and BACKEND = auto; or enter a number"
        )
    for webcam in found:
        if webcam.path and webcam.path.casefold() == source.casefold():
            return webcam.number
    named = [webcam for webcam in found if webcam.name.casefold() == source.casefold()]
    if len(named) == 1:
        return named[0].number
    if named:
        paths = "; ".join(webcam.path or str(webcam.number) for webcam in named)
        raise DeviceError(
            f"SOURCE = {source}: {len(named)} webcams have this name; enter one of: "
            f"{paths}"
        )
    listed = "; ".join(webcam.name or str(webcam.number) for webcam in found) or "none"
    raise DeviceError(f"SOURCE = {source}: no such webcam; connected: {listed}")


def probe_numbers() -> tuple[Device, ...]:
    """Return the cameras that can be opened, where the system cannot list them."""
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


def _backend_number(backend: Backend) -> int:
    import cv2

    number: int = getattr(cv2, f"CAP_{backend.upper()}")
    return number


_FASTEST = 10_000.0
"""Some drivers report a higher number, which is not a rate."""
_PROPERTIES = {"exposure": "EXPOSURE", "gain": "GAIN", "rate": "FPS"}
_BY_HAND = 1.0 if sys.platform == "linux" else 0.25
"""Manual mode of CAP_PROP_AUTO_EXPOSURE: V4L2 has menu entry 1, DirectShow 0.25."""


def read_controls(capture: "VideoCapture") -> tuple[CameraControl, ...]:
    """Return the values that the driver reports; limits are not available."""
    return tuple(CameraControl(key, _read(capture, key)) for key in _PROPERTIES)


def set_control(capture: "VideoCapture", key: str, value: Value) -> bool:
    """Set a control; False: it does not exist. DeviceError: the driver rejects the value."""
    import cv2

    if key not in _PROPERTIES or not isinstance(value, float | int):
        return False
    if key == "exposure":
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _BY_HAND)
    if not capture.set(_number(key), float(value)):
        raise DeviceError(f"does not let its {key} be set")
    return True


def rate_of(capture: "VideoCapture") -> float:
    """Return frames per second; 0: the driver does not report them."""
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


def pixel_format_of(capture: "VideoCapture") -> str:
    """Return the FOURCC of the frames as the camera sends them; empty: not reported."""
    import cv2

    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    letters = code.to_bytes(4, "little") if 0 < code < 2**32 else b""
    word = letters.decode("ascii", "replace").strip("\0 ")
    return word if word.isalnum() else ""


_JPEG = ("MJPG", "JPEG")
_DAMAGED_AT_FIRST = 10
"""Number of first frames after which, if all are damaged, JPEG files are no longer checked."""


def request_jpeg(capture: "VideoCapture") -> bool:
    """Request the JPEG files as the camera sends them; False: OpenCV or the system decodes.

    OpenCV delivers damaged files with wrong blocks and reports nothing.
    Only its backends for V4L2 and FFmpeg can return the files.
    """
    import cv2

    if not capture.isOpened() or pixel_format_of(capture).upper() not in _JPEG:
        return False
    match capture.getBackendName():
        case "V4L2":
            return bool(capture.set(cv2.CAP_PROP_CONVERT_RGB, 0))
        case "FFMPEG":
            return bool(capture.set(cv2.CAP_PROP_FORMAT, -1))
        case _:
            return False


class FrameReader:
    """Reads frames of an open device in a thread of its own, and drops damaged ones."""

    def __init__(self, capture: "VideoCapture", jpeg: bool) -> None:
        self._capture, self._clock = capture, SystemClock()
        self._decoder = JpegDecoder() if jpeg else None
        self.waiting = TimeoutCaller(self._taken, capture.release)

    def first(self) -> tuple[NDArray[Any], tuple[str, ...]]:
        """Return the first frame, and what cannot be detected in this camera's frames."""
        remarks: tuple[str, ...] = ()
        for _ in range(_DAMAGED_AT_FIRST):
            image, _ = self.waiting.result(_PATIENCE_S)
            if image is not None:
                return image, remarks
        if self._decoder is not None:
            self._decoder = JpegDecoder(strict=False)
            remarks = (
                "its JPEG frames differ from the standard: damaged ones are not "
                "detected",
            )
        return self.next(_PATIENCE_S)[0], remarks

    def next(self, patience_s: float) -> tuple[NDArray[Any], int, int]:
        """Return a frame, its time, and the number of damaged ones before it.

        DeviceError: no frame in time, or only damaged ones.
        """
        end_ns, damaged = self._clock.now_ns() + round(patience_s * 1e9), 0
        left_s = patience_s
        while left_s > 0:
            try:
                image, grabbed_ns = self.waiting.result(left_s)
            except _NoAnswerError:
                break
            if image is not None:
                return image, grabbed_ns, damaged
            damaged += 1
            left_s = (end_ns - self._clock.now_ns()) / 1e9
        if not damaged:
            raise DeviceError(f"gave no frame for {patience_s:g} s")
        raise DeviceError(
            f"gave {damaged} damaged frames and no intact one for {patience_s:g} s"
        )

    def _taken(self) -> tuple[NDArray[Any] | None, int]:
        if not self._capture.grab():
            raise DeviceError("gives no more frames")
        grabbed_ns = self._clock.now_ns()
        retrieved, image = self._capture.retrieve()
        if retrieved and self._decoder is not None and 1 in image.shape[:2]:  # a file
            return self._decoder.image(image.tobytes()), grabbed_ns
        return (image if retrieved else None), grabbed_ns


_WITH_MJPG: tuple[Backend, ...] = ("v4l2", "dshow", "msmf")
"""Backends in which the pixel format can be chosen."""
_SILENCE_S, _PATIENCE_S = 0.95, 10.0
"""Time limits for a next frame and for the first one."""
_CLOSE = 0.02


@dataclass(frozen=True, kw_only=True)
class Webcam(Camera):
    """A camera that OpenCV opens, selected by name, path or number."""

    source: int | str = Field(
        0,
        union_mode="left_to_right",
        description="name or path of the webcam as DeepLabStream.py --list-cameras shows "
        "it, or its number, from 0; or a file or address for BACKEND ffmpeg",
    )
    resolution: tuple[int, int] | None = Field(
        None, description="requested width, height in px; empty: the camera's default"
    )
    rate: float | None = Field(
        None,
        gt=0,
        description="requested frames per second; empty: the camera's default",
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
        description="yes: request compressed frames (JPEG), the only ones that USB 2 "
        "carries at full rate; no: the camera's default. Not on macOS, where the system "
        "chooses",
    )
    backend: Backend = Field(
        "auto", description="interface of OpenCV; auto: the usual one of the system"
    )

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """The webcam, by its path on Linux; a file or address is none."""
        if self.backend == "ffmpeg":
            return ()
        number = isinstance(self.source, int) and sys.platform == "linux"
        name = f"/dev/video{self.source}" if number else str(self.source)
        return (DeviceAddress("webcam", name),)

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Open the camera and take a first frame, which shows what it really delivers.

        Frames are numbered on arrival: a webcam does not report losses. Damaged JPEG
        frames are dropped and count as lost.
        """
        capture, index = self._capture(), -1
        refused = (*self._configure(capture), *self._set_controls(capture))
        frames = FrameReader(capture, request_jpeg(capture))

        def read(image: Image) -> CapturedFrame:
            nonlocal index
            frame, grabbed_ns, damaged = frames.next(_SILENCE_S)
            copy_frame(frame, image)
            index += 1 + damaged
            return CapturedFrame(index, grabbed_ns, damaged=damaged)

        try:
            first, remarks = self._first(capture, frames)
            form = ImageFormat(first.shape, rate_of(capture), str(first.dtype))
            yield CameraStream(
                form,
                read,
                device=f"webcam {self.source}",
                remarks=(*refused, *remarks, *self._remarks(form)),
                controls=lambda: frames.waiting.other(
                    lambda: read_controls(capture), _SILENCE_S
                ),
                set_control=lambda key, value: frames.waiting.other(
                    lambda: set_control(capture, key, value), _PATIENCE_S
                ),
            )
        finally:
            frames.waiting.end(_SILENCE_S)

    @classmethod
    def connected_devices(cls) -> tuple[Device, ...]:
        """Return the webcams that the system lists, or that can be opened."""
        listed = list_webcams(_USUAL.get(sys.platform, "any"))
        return probe_numbers() if listed is None else describe(listed)

    @property
    def _backend(self) -> Backend:
        usual = _USUAL.get(sys.platform, "any")
        return usual if self.backend == "auto" else self.backend

    def _capture(self) -> "VideoCapture":
        """Return the device, which is closed if OpenCV could not open it."""
        import cv2

        capture = cv2.VideoCapture()
        capture.setExceptionMode(False)
        capture.open(self._address(), _backend_number(self._backend))
        return capture

    def _address(self) -> int | str:
        """Return SOURCE for OpenCV; a name is replaced by the current device index."""
        if isinstance(self.source, int) or self._backend in ("ffmpeg", "any"):
            return self.source
        if sys.platform == "linux" and self.source.startswith("/"):
            return self.source
        return number_of(self.source, list_webcams(self._backend))

    def _configure(self, capture: "VideoCapture") -> tuple[str, ...]:
        """Request format, size and rate; return a sentence if MJPG is not accepted.

        OpenCV's DirectShow backend rebuilds its graph with each of these, and drops the
        FOURCC when size or rate follow (OpenCV issues 5847, 9084): rate, size, FOURCC is
        the one order that keeps all three. The others take the FOURCC first.
        """
        import cv2

        mjpg = self.mjpg and self._backend in _WITH_MJPG
        properties: list[tuple[int, float]] = []
        if mjpg:
            code = cv2.VideoWriter.fourcc(*"MJPG")
            properties.append((cv2.CAP_PROP_FOURCC, code))
        if self.resolution is not None:
            properties.append((cv2.CAP_PROP_FRAME_WIDTH, self.resolution[0]))
            properties.append((cv2.CAP_PROP_FRAME_HEIGHT, self.resolution[1]))
        if self.rate is not None:
            properties.append((cv2.CAP_PROP_FPS, self.rate))
        if self._backend == "dshow":
            properties.reverse()  # height and width may come in either order
        for key, value in properties:
            capture.set(key, value)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        sent = pixel_format_of(capture) if mjpg and capture.isOpened() else "MJPG"
        if sent.upper() in _JPEG:
            return ()
        sent = f"it sends {sent}" if sent else "the driver does not report the format"
        return (
            f"MJPG = yes was not granted: {sent}. Without compression USB may limit size "
            "and rate",
        )

    def _set_controls(self, capture: "VideoCapture") -> tuple[str, ...]:
        """Set exposure and gain as requested; return what the camera rejects."""
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
        self, capture: "VideoCapture", frames: FrameReader
    ) -> tuple[NDArray[Any], tuple[str, ...]]:
        problem = ""
        if capture.isOpened():
            try:
                return frames.first()
            except DeviceError as error:
                problem = f" ({error})"
        raise DeviceError(
            f"camera {self.source} gives no frames{problem}; is it plugged in, and does "
            "no other program use it?"
        )

    def _remarks(self, given: ImageFormat) -> tuple[str, ...]:
        """Return the requested values that are not delivered."""
        remarks = []
        if self.resolution not in (None, (given.width, given.height)):
            remarks.append(
                f"gives {given.width}×{given.height} pixels; requested: "
                + "×".join(str(side) for side in self.resolution or ())
            )
        if self.rate is not None and not given.rate:
            remarks.append(f"does not report its rate; requested: {self.rate:g}/s")
        elif self.rate is not None and abs(given.rate - self.rate) > _CLOSE * self.rate:
            remarks.append(f"gives {given.rate:g}/s; requested: {self.rate:g}/s")
        return tuple(remarks)
