"""Images of a video file by time, for a moving stimulus."""

from collections.abc import Generator
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from deeplabstream.plugin import Converter, DeviceError, sequential, video_format

RGB = NDArray[np.uint8]
"""(height, width, 3), RGB."""
Shown: TypeAlias = tuple[float, RGB, float]
"""Time of an image in seconds, the image, and its duration in seconds."""


class StimulusVideo:
    """A video in a loop; DeviceError: it can't be shown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames = _decoded(self._path)
        self._next = self._following()
        self._offset_s = 0.0

    @property
    def due_s(self) -> float:
        """Time of the next image, in seconds since the beginning."""
        return self._next[0] + self._offset_s

    def rewind(self) -> None:
        """Start from the beginning."""
        self._frames.close()
        self._frames = _decoded(self._path)
        self._next = self._following()
        self._offset_s = 0.0

    def image(self, time_s: float) -> RGB | None:
        """Return the image of that time; None: it was already returned.

        Images whose time has passed are skipped.
        """
        found = None
        while self.due_s <= time_s:
            found = self._next[1]
            length_s = self._next[0] + self._next[2]
            try:
                self._next = next(self._frames)
            except StopIteration:
                self._offset_s += length_s
                self._frames = _decoded(self._path)
                self._next = self._following()
        return found

    def close(self) -> None:
        """Close the file."""
        self._frames.close()

    def _following(self) -> Shown:
        try:
            return next(self._frames)
        except StopIteration:
            raise DeviceError(f"{self._path} has no frames") from None


def _decoded(path: Path) -> "Generator[Shown, None, None]":
    """Yield each image with its time and duration."""
    converter, lasts_s = Converter(), 1 / (video_format(path).rate or 25)
    for found in sequential(path):
        image = cast("RGB", converter.pixels(found.frame, "rgb24"))
        yield found.time_ns / 1e9, image, lasts_s
