"""Rendering: videos with poses drawn on each frame, at its time."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.pose_drawing import Drawing, Look, Shown
from deeplabstream.offline.prefetch import ahead
from deeplabstream.offline.video_inference import Watch
from deeplabstream.video.decoding import Decoder, as_bgr
from deeplabstream.video.video_reader import VideoImage, VideoReader, open_video

if TYPE_CHECKING:
    from av.container import OutputContainer

CODECS = {
    "h264": ("libx264", {"preset": "veryfast", "crf": "20"}),
    "hevc": (
        "libx265",
        {"preset": "ultrafast", "crf": "22", "x265-params": "log-level=0"},
    ),
    "mpeg4": ("mpeg4", {"qscale": "3"}),
    "mjpeg": ("mjpeg", {"qscale": "3"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "crf": "30"}),
    "ffv1": ("ffv1", {"level": "3"}),
}
"""Codecs of output videos."""

__all__ = ["CODECS", "Look", "Shown", "render"]


@dataclass(frozen=True, slots=True)
class Span:
    """Rows from `start` up to, but not including, `stop`."""

    start: int
    stop: int


def render(
    video: Path | VideoReader,
    path: Path,
    shown: Sequence[Shown],
    look: Look,
    *,
    codec: str = "h264",
    span: Span | None = None,
    decoder: Decoder = "cpu",
    watch: Watch = lambda done, rows: None,
) -> int:
    """Write `path` with the poses drawn in; return how many images it has.

    There is one for each frame of the video (or of `span`); where one can't be decoded,
    the one before stands still. DeepLabStreamError: poses and video do not belong
    together, or this FFmpeg can't encode so.
    """
    rows = video if isinstance(video, VideoReader) else open_video(video)
    for animal in shown:
        if len(animal.poses) != len(rows):
            raise DeepLabStreamError(
                f"{animal.poses.source} has {len(animal.poses)} rows, but {rows.path} "
                f"has {len(rows)} frames"
            )
    span = span or Span(0, len(rows))
    start, stop = max(0, span.start), min(span.stop, len(rows))
    with ExitStack() as work:
        making = work.enter_context(atomic_file(path))
        rendered = work.enter_context(_OutputVideo(making, rows, look.scale, codec))
        decoded = work.enter_context(
            ahead(_within(rows.images(start, decoder), stop), most=16)
        )
        images = work.enter_context(
            ahead(_drawn(decoded, rows, Drawing(shown, look)), most=16)
        )
        for done, (row, image) in enumerate(images, start=1):
            rendered.write(image, row, start)
            watch(done, stop - start)
        return rendered.images


def _within(decoded: Iterable[VideoImage], stop: int) -> Iterator[VideoImage]:
    for image in decoded:
        if image.row >= stop:
            return
        yield image


def _drawn(
    decoded: Iterable[VideoImage], rows: VideoReader, drawing: Drawing
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    still: Image = np.zeros((rows.form.height, rows.form.width, 3), np.uint8)
    for image in decoded:
        lost = image.image is None
        if image.image is not None:
            still = as_bgr(image.image)
        text = f"{image.row}  {image.time_ns / 1e9:.3f} s"
        text += "  not decoded" if lost else ""
        yield image.row, drawing.on(still, image.row, text)


class _OutputVideo:
    """The output video."""

    def __init__(self, path: Path, rows: VideoReader, scale: float, codec: str) -> None:
        import av

        if codec not in CODECS:
            raise DeepLabStreamError(f"{codec} is not one of {', '.join(CODECS)}")
        name, options = CODECS[codec]
        self._rows = rows
        self.images = 0
        size = round(rows.form.height * scale), round(rows.form.width * scale)
        self._size = size[0] // 2 * 2, size[1] // 2 * 2
        refused = f"can't encode {path.suffix} as {codec} on this computer"
        try:
            self._container: OutputContainer = av.open(str(path), "w")
        except (av.FFmpegError, ValueError) as error:
            raise DeepLabStreamError(f"{refused}: {error}") from error
        try:
            rate = Fraction(rows.rate or 30).limit_denominator(1000)
            stream: Any = self._container.add_stream(name, rate=rate, options=options)
            stream.height, stream.width = self._size
            stream.pix_fmt = {"ffv1": "bgr0", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
            self._tick_s = 1 / rate if codec == "mpeg4" else Fraction(1, 90_000)
            stream.codec_context.time_base = self._tick_s
            stream.codec_context.open()
        except (av.FFmpegError, ValueError) as error:
            self._container.close()
            raise DeepLabStreamError(f"{refused}: {error}") from error
        self._stream = stream
        self._last = -1

    def write(self, image: NDArray[np.uint8], row: int, start: int) -> None:
        """Append the image of a row, at its time since the first one."""
        import av

        height, width = self._size
        even = np.ascontiguousarray(image[:height, :width])
        frame = av.VideoFrame.from_ndarray(even, format="bgr24")
        since = int(self._rows.ticks[row] - self._rows.ticks[start])
        ticks = round(since * self._rows.tick_s / self._tick_s)
        self._last = max(self._last + 1, ticks)
        frame.pts, frame.time_base = self._last, self._tick_s
        self._container.mux(self._stream.encode(frame))
        self.images += 1

    def __enter__(self) -> "_OutputVideo":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
