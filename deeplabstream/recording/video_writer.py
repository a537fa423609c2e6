"""Video writer: a video with real frame times that stays readable after a crash.

Matroska has times in milliseconds; the exact times are in the table beside the video.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import av

from deeplabstream.core.closing import Closing
from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.recording.csv_tables import CsvTable
from deeplabstream.recording.run_schema import VIDEO
from deeplabstream.video.encoding import encoder
from deeplabstream.video.recording_options import RecordingOptions

# Both are needed: with only one, a killed process leaves no readable video.
_WRITTEN_AT_ONCE = {"cluster_time_limit": "100", "flush_packets": "1"}


class VideoWriter(Closing):
    """One file: `NAME.mkv` and `NAME.frames.csv`."""

    def __init__(
        self,
        path: Path,
        form: ImageFormat,
        recording_options: RecordingOptions | None = None,
    ) -> None:
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self.path = path
        self.frames = 0
        self.seconds = 0.0
        """From the first frame to the last."""
        self.size = 0
        """Bytes of the encoded frames."""
        self._first_ns = self._last = 0
        self._container = av.open(
            str(path), "w", format="matroska", container_options=_WRITTEN_AT_ONCE
        )
        try:
            self._encoder = encoder(
                self._container, form, recording_options or RecordingOptions()
            )
            self.table = CsvTable(path.with_suffix(".frames.csv"), VIDEO.names)
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
        """Append one frame, its row first; OSError when the disk fails.

        A frame that can't be encoded has no row.
        """
        # Times in the file must increase, even if the camera's clock goes back.
        if not self.frames:
            self._first_ns = time_ns
        ticks = (time_ns - self._first_ns) // 1000
        self._last = ticks if not self.frames else max(ticks, self._last + 1)

        # The row first: without its row, the number and time of a frame are unknown.
        self.table.write_cells(
            {
                "video_frame": self.frames,
                "frame": index,
                "exposed_ns": time_ns,
                "arrived_ns": arrived_ns,
                "device_id": "" if device_id is None else device_id,
            }
        )

        # Rows and frames of the video must stay equal in number.
        try:
            self._mux(self._encoder.encode(image, self._last))
        except BaseException:
            with suppress(OSError):
                self.table.remove_last()
            raise
        self.frames += 1
        self.seconds = self._last / 1e6

    def sync(self) -> None:
        """Write video and table to the disk itself; from any thread."""
        if self.frames:
            with self.path.open("r+b") as file:
                os.fsync(file.fileno())
        self.table.sync()

    def close(self) -> None:
        """Write the remaining frames of the encoder and close; OSError when that fails."""
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
