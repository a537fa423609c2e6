"""A camera whose pictures were drawn before: moving content with noise, for little CPU."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from cameras.camera import Film, Shot
from cameras.simulated import SimulatedCamera
from core.clock import Pacer, SystemClock
from core.frame import Image, ImageFormat

PICTURES = 32
"""Drawn; they are shown forth and back, so that nothing jumps."""


@dataclass(frozen=True, kw_only=True)
class Rendered(SimulatedCamera):
    """Shows drawn pictures again and again, at their times; who reads late loses some."""

    def pictures(self) -> NDArray[np.uint8]:
        """Return (PICTURES, height, width): a mouse that walks."""
        drawn = np.empty((PICTURES, *self.shape), np.uint8)
        for number, image in enumerate(drawn):
            self.arena.draw(image, number / self.rate, number)
        return drawn

    @contextmanager
    def opened(self) -> Iterator[Film]:
        """Draw everything, then deliver."""
        drawn, clock = self.pictures(), SystemClock()
        pacer: Pacer | None = None
        index, due_ns = -1, 0

        def read(image: Image) -> Shot | None:
            nonlocal pacer, index, due_ns
            if pacer is None:
                pacer = Pacer(self.rate)
                due_ns = pacer.wait(0) - pacer.period_ns
            index += max(1, (clock.now_ns() - due_ns) // pacer.period_ns)
            due_ns = pacer.wait(index)
            image[:] = drawn[shown(index)]
            return Shot(index, due_ns)

        yield Film(ImageFormat(self.shape, self.rate), read, knows_losses=True)


def shown(index: int) -> int:
    """Return which drawing is picture `index`."""
    place = index % (2 * PICTURES - 2)
    return min(place, 2 * PICTURES - 2 - place)
