"""The pictures of a video file by time, for a stimulus that moves."""

from collections.abc import Generator
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from core.errors import DeviceError

RGB = NDArray[np.uint8]
"""(height, width, 3), red first."""
Shown: TypeAlias = tuple[float, RGB, float]
"""When a picture is due, in seconds, the picture, and for how many seconds it stays."""


class Film:
    """A video that begins anew at its end, for ever; DeviceError: it can't be shown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames = _decoded(self._path)
        self._next = self._following()
        self._offset_s = 0.0

    @property
    def due_s(self) -> float:
        """When the next picture is due, in seconds since the beginning."""
        return self._next[0] + self._offset_s

    def rewind(self) -> None:
        """Begin anew."""
        self._frames.close()
        self._frames = _decoded(self._path)
        self._next = self._following()
        self._offset_s = 0.0

    def picture(self, time_s: float) -> RGB | None:
        """Return the newest picture due by then; None: it was returned already.

        Pictures that nobody asked for in time are skipped.
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
            raise DeviceError(f"{self._path} has no pictures") from None


def _decoded(path: Path) -> "Generator[Shown, None, None]":
    """Yield each picture, when it is due, and for how long."""
    import av

    try:
        with av.open(str(path)) as file:
            if not file.streams.video:
                return
            stream = file.streams.video[0]
            stream.thread_type = "AUTO"
            lasts_s = 1 / float(stream.average_rate or 25)
            first_s = None
            for frame in file.decode(stream):
                time_s = float(frame.time or 0.0)
                first_s = time_s if first_s is None else first_s
                picture = cast("RGB", frame.to_ndarray(format="rgb24"))
                yield time_s - first_s, picture, lasts_s
    except av.FFmpegError as error:
        raise DeviceError(f"{path} can't be shown: {error.strerror}") from error
