"""Whatever OpenCV can open: webcams, capture cards, analogue grabbers."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from cameras.blocking import Waiting
from cameras.camera import Camera, Device, Film, Shot
from cameras.webcam_dials import dials_of, rate_of, turned
from cameras.webcams import webcams
from core.clock import SystemClock
from core.errors import DeviceError
from core.frame import Image, ImageFormat

if TYPE_CHECKING:
    from cv2 import VideoCapture

_SILENCE_S, _PATIENCE_S = 0.95, 10.0
"""For a next and for a first picture."""
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
        description="yes: compressed pictures (JPEG), the only ones that USB 2 carries "
        "at full rate; no: what the camera prefers",
    )
    backend: Backend = Field(
        "auto", description="OpenCV's way to the camera; auto: the system's usual one"
    )

    @contextmanager
    def opened(self) -> Iterator[Film]:
        """Open the camera and take a first picture, which tells what it really gives.

        Its frames are numbered as they come: a webcam does not say what it lost.
        """
        capture, clock, index = self._capture(), SystemClock(), -1
        told = self._dialled(capture)

        def taken() -> tuple[NDArray[Any] | None, int]:
            if not capture.grab():
                raise DeviceError("gives no more pictures")
            grabbed_ns = clock.now_ns()
            there, picture = capture.retrieve()
            return (picture if there else None), grabbed_ns

        waiting = Waiting(taken, capture.release)

        def read(image: Image) -> Shot:
            nonlocal index
            picture, grabbed_ns = waiting.result(_SILENCE_S)
            if picture is None:
                raise DeviceError("gave a picture that can't be read")
            _put(picture, image)
            index += 1
            return Shot(index, grabbed_ns)

        try:
            first = self._first(waiting) if capture.isOpened() else None
            if first is None:
                raise DeviceError(
                    f"camera {self.source} gives no pictures; is it plugged in, "
                    "and does no other program use it?"
                )
            form = ImageFormat(first.shape, rate_of(capture), str(first.dtype))
            yield Film(
                form,
                read,
                device=self._name,
                remarks=(*told, *self._remarks(form)),
                dials=lambda: waiting.other(lambda: dials_of(capture), _SILENCE_S),
                turn=lambda key, value: waiting.other(
                    lambda: turned(capture, key, value), _PATIENCE_S
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
                    turned(capture, key, value)
                except DeviceError as error:
                    refusals.append(str(error))
        return tuple(refusals)

    def _first(
        self, waiting: Waiting[tuple[NDArray[Any] | None, int]]
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
            f"changed its picture from {image.shape[1]}×{image.shape[0]} "
            f"to {picture.shape[1]}×{picture.shape[0]}"
        )
    np.copyto(image, picture)
