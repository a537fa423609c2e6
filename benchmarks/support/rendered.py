"""A camera whose images were drawn before: moving content with noise, for little CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from cameras.simulated import SimulatedCamera
from deeplabstream.core.clock import Pacer, SystemClock
from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.plugins.camera import CameraStream, CapturedFrame
from deeplabstream.simulation.camera_model import DriverBuffer

PICTURES = 32
"""Drawn; they are shown forth and back, so that nothing jumps."""


@dataclass(frozen=True, kw_only=True)
class Rendered(SimulatedCamera):
    """Shows simulated images again and again, at their times, through a driver's buffer.

    An image is exposed by the camera's own clock, whoever reads when; `DriverBuffer.DEPTH`
    of them wait for a late reader, and only then some are lost.
    """

    def pictures(self) -> NDArray[np.uint8]:
        """Return (PICTURES, height, width): a mouse that walks."""
        drawn = np.empty((PICTURES, *self.shape), np.uint8)
        for number, image in enumerate(drawn):
            self.arena.draw(image, number / self.rate, number)
        return drawn

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Draw everything, then deliver."""
        drawn, clock, buffer = self.pictures(), SystemClock(), DriverBuffer()
        pacer: Pacer | None = None

        def read(image: Image) -> CapturedFrame | None:
            nonlocal pacer
            if pacer is None:
                pacer = Pacer(self.rate)
            buffer.expose(pacer.past(clock.now_ns()))
            index = buffer.take()
            due_ns = pacer.wait(index)
            image[:] = drawn[shown(index)]
            return CapturedFrame(index, due_ns, index)

        yield CameraStream(ImageFormat(self.shape, self.rate), read, knows_losses=True)


def shown(index: int) -> int:
    """Return which drawing is image `index`."""
    place = index % (2 * PICTURES - 2)
    return min(place, 2 * PICTURES - 2 - place)
