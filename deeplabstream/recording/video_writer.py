"""A video on disk as it is filmed: real times, nothing drawn on it, whole up to a crash.

Matroska keeps milliseconds; the exact times are in the table beside the video.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import av

from deeplabstream.core.closing import Closing
from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.recording.csv_tables import VIDEO_COLUMNS, Table
from deeplabstream.video.encoding import encoder
from deeplabstream.video.recording_options import Recipe

# Both are needed: with either one alone a killed process leaves nothing readable.
_WRITTEN_AT_ONCE = {"cluster_time_limit": "100", "flush_packets": "1"}


class VideoFile(Closing):
    """One file: `NAME.mkv` and `NAME.frames.csv`."""

    def __init__(
        self, path: Path, form: ImageFormat, recipe: Recipe | None = None
    ) -> None:
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self.path = path
        self.frames = 0
        self.seconds = 0.0
        """From the first picture to the last."""
        self.size = 0
        """Bytes of the pictures."""
        self._first_ns = self._last = 0
        self._container = av.open(
            str(path), "w", format="matroska", container_options=_WRITTEN_AT_ONCE
        )
        try:
            self._encoder = encoder(self._container, form, recipe or Recipe())
            self.table = Table(path.with_suffix(".frames.csv"), VIDEO_COLUMNS)
        except BaseException:
            self._container.close()
            raise

    def write(
        self,
        image: Image,
        index: int,
        time_ns: int,
        arrived_ns: int,
        device_id: int | None = None,
    ) -> None:
        """Append one picture, its row first; OSError when the disk does not take it."""
        if not self.frames:
            self._first_ns = time_ns
        ticks = (time_ns - self._first_ns) // 1000
        self._last = ticks if not self.frames else max(ticks, self._last + 1)
        number = "" if device_id is None else device_id
        self.table.write(f"{self.frames},{index},{time_ns},{arrived_ns},{number}")
        self._mux(self._encoder.encode(image, self._last))
        self.frames += 1
        self.seconds = self._last / 1e6

    def sync(self) -> None:
        """Have the disk itself take everything; from any thread."""
        if self.frames:
            with self.path.open("r+b") as file:
                os.fsync(file.fileno())
        self.table.sync()

    def close(self) -> None:
        """Write what is still with the encoder and close; OSError when it can't be."""
        try:
            if self.frames:
                self._mux(self._encoder.flush())
        finally:
            self.table.close()
            self._container.close()
            with suppress(OSError):
                self.sync()

    def _mux(self, packets: "list[av.Packet[Any]]") -> None:
        for packet in packets:
            self.size += packet.size
            self._container.mux(packet)
