"""A camera that costs nothing: it only says that there is a new image."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic.dataclasses import dataclass

from deeplabstream.core.clock import Pacer
from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.plugins.camera import Camera, CameraStream, CapturedFrame


@dataclass(frozen=True, kw_only=True)
class Flood(Camera):
    """Colour images of 640×480 at up to `rate` a second; the slots are left as they are."""

    rate: float

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Open nothing."""
        pacer: Pacer | None = None
        index = -1

        def read(image: Image) -> CapturedFrame | None:
            nonlocal pacer, index
            pacer = pacer or Pacer(self.rate)
            index += 1
            return CapturedFrame(index, pacer.wait(index))

        yield CameraStream(
            ImageFormat((480, 640, 3), self.rate), read, knows_losses=True
        )
