"""Camera images: the newest frame of each camera of a rack as a small JPEG."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cv2

from deeplabstream.core.clock import Clock
from deeplabstream.core.frame import Image
from deeplabstream.ipc.ring import RingReader, RingSpec, foreign_ring
from deeplabstream.video.decoding import as_bgr
from deeplabstream.web.box_views import BoxView

WIDTH = 480
"""Largest width of a image, px."""
QUALITY = 75
"""JPEG quality, per cent."""
INTERVAL_NS = 400_000_000
"""Shortest time between two images of a camera, whatever the number of viewers."""


@dataclass
class _CameraImage:
    """A ring of a running box, and its newest frame as JPEG."""

    reader: RingReader
    jpeg: bytes = b""
    number: int = 0
    """Number of the image; 0: there is none yet."""
    made_ns: int = 0


class CameraImages:
    """Reads the rings of the boxes; never waits for a camera, and no camera for it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._images: dict[tuple[str, str], _CameraImage] = {}

    def follow(self, boxes: Iterable[BoxView]) -> None:
        """Map the rings that the boxes report; unmap those of streams that have ended."""
        wanted = {
            (box.name, camera): spec
            for box in boxes
            if box.runs and box.status is not None
            for camera, spec in box.status.rings.items()
        }
        for key, mapped in list(self._images.items()):
            if wanted.get(key) != mapped.reader.spec:
                del self._images[key]
                mapped.reader.close()
        for key in wanted.keys() - self._images.keys():
            # the stream may have ended after the report
            with suppress(OSError, ValueError):
                self._images[key] = _CameraImage(_reader(wanted[key]))

    def newest(self, box: str, camera: str) -> tuple[int, bytes] | None:
        """Return number and JPEG of the newest frame; None: there is no image."""
        image = self._images.get((box, camera))
        if image is None:
            return None
        now_ns = self._clock.now_ns()
        due = not image.number or now_ns - image.made_ns >= INTERVAL_NS
        frame = image.reader.newest() if due else None
        if frame is not None:
            image.jpeg, image.made_ns = as_jpeg(frame.image), now_ns
            image.number += 1
        return (image.number, image.jpeg) if image.number else None

    def close(self) -> None:
        """Unmap all rings."""
        self.follow(())


def _reader(spec: RingSpec) -> RingReader:
    return RingReader(foreign_ring(spec))


def as_jpeg(image: Image) -> bytes:
    """Return an image, at most `WIDTH` px wide, as JPEG.

    Parameters
    ----------
    image : numpy.ndarray of uint8 or uint16, shape (height, width, 3) or (height, width)
        BGR or grey.
    """
    height, width = image.shape[:2]
    small: Any = image
    if width > WIDTH:
        size = WIDTH, max(round(height * WIDTH / width), 1)
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", as_bgr(small), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return jpeg.tobytes()
