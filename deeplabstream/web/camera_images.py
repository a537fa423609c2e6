"""Camera images: the newest frame of each camera of a rack as a small JPEG."""

from collections.abc import Sequence

import cv2

from deeplabstream.core.clock import Clock
from deeplabstream.core.frame import Image
from deeplabstream.rack.box_views import BoxView
from deeplabstream.rack.newest_frames import NewestFrames, reduced
from deeplabstream.video.decoding import as_bgr

WIDTH = 480
"""Largest width of a image, px."""
QUALITY = 75
"""JPEG quality, per cent."""


class CameraImages:
    """Encodes the newest frames, once for all viewers."""

    def __init__(self, clock: Clock) -> None:
        self._frames = NewestFrames(clock)
        self._images: dict[tuple[str, str], tuple[int, bytes]] = {}
        """Number and JPEG of the last image, by box and camera."""

    def follow(self, boxes: Sequence[BoxView]) -> None:
        """Read the streams that the boxes report; drop those that have ended."""
        self._frames.follow(boxes)
        for key in [key for key in self._images if not self._frames.has(*key)]:
            del self._images[key]

    def newest(self, box: str, camera: str) -> tuple[int, bytes] | None:
        """Return number and JPEG of the newest frame; None: there is no image."""
        frame = self._frames.newest(box, camera)
        if frame is not None:
            number, _ = self._images.get((box, camera), (0, b""))
            self._images[box, camera] = number + 1, as_jpeg(frame.image)
        return self._images.get((box, camera))

    def close(self) -> None:
        """Unmap all rings."""
        self.follow(())


def as_jpeg(image: Image) -> bytes:
    """Return an image, at most `WIDTH` px wide, as JPEG.

    Parameters
    ----------
    image : numpy.ndarray of uint8 or uint16, shape (height, width, 3) or (height, width)
        BGR or grey.
    """
    small = as_bgr(reduced(image, WIDTH))
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return jpeg.tobytes()
