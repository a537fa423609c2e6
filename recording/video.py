"""A video on disk as it is filmed: real times, nothing drawn on it, whole up to a crash.

Matroska keeps milliseconds; the exact times are in the table beside the video.
"""

import errno
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av

from core.errors import DeviceError
from core.frame import Image, ImageFormat
from recording.tables import VIDEO_COLUMNS, Table

# Both are needed: with either one alone a killed process leaves nothing readable.
_WRITTEN_AT_ONCE = {"cluster_time_limit": "200", "flush_packets": "1"}
_H264 = {"preset": "ultrafast", "crf": "20", "tune": "zerolatency"}
_FULL_RANGE = 2
_TICK = Fraction(1, 1_000_000)


class VideoFile:
    """One take: `NAME.mkv` and `NAME.frames.csv`."""

    def __init__(self, path: Path, form: ImageFormat) -> None:
        codec, pixels, self._layout = _encoding(form)
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self.path = path
        self.frames = 0
        self._first_ns = self._last = 0
        self._container = av.open(
            str(path), "w", format="matroska", container_options=_WRITTEN_AT_ONCE
        )
        rate = round(form.rate) or 30
        options = _H264 if codec == "libx264" else {}
        stream = self._container.add_stream(codec, rate=rate, options=options)
        self._stream = cast("av.VideoStream", stream)
        self._stream.width, self._stream.height = form.width, form.height
        self._stream.pix_fmt = pixels
        context = self._stream.codec_context
        context.time_base = _TICK
        context.thread_count = 1
        context.gop_size = 2 * rate
        if pixels == "gray":
            context.color_range = _FULL_RANGE
        self.table = Table(path.with_suffix(".frames.csv"), VIDEO_COLUMNS)

    def write(self, image: Image, index: int, time_ns: int, arrived_ns: int) -> None:
        """Append one picture; OSError when the disk does not take it."""
        if not self.frames:
            self._first_ns = time_ns
        frame = av.VideoFrame.from_ndarray(image, format=self._layout)
        ticks = (time_ns - self._first_ns) // 1000
        self._last = ticks if not self.frames else max(ticks, self._last + 1)
        frame.pts, frame.time_base = self._last, _TICK
        self._container.mux(self._stream.encode(frame))
        self.table.write(f"{self.frames},{index},{time_ns},{arrived_ns}")
        self.frames += 1

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
                self._container.mux(self._stream.encode(None))
        finally:
            self.table.close()
            self._container.close()

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _encoding(form: ImageFormat) -> tuple[str, str, str]:
    """Return codec, pixel format of the file, and of the pictures given.

    Grey stays grey; colour of an odd size needs the format that halves nothing; more
    than 8 bits are kept without loss.
    """
    if form.dtype == "uint16":
        if len(form.shape) == 3:
            raise DeviceError("colour pictures of 16 bits can't be recorded")
        return "ffv1", "gray16le", "gray16le"
    if len(form.shape) == 2:
        return "libx264", "gray", "gray"
    odd = form.width % 2 or form.height % 2
    return "libx264", "yuv444p" if odd else "yuv420p", "bgr24"
