"""A video file in the place of a camera: paced as live, or as fast as it can be read."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from cameras.camera import Camera, Film, Shot
from core.clock import Pacer, SystemClock
from core.errors import DeviceError
from core.frame import Image, ImageFormat

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

_Decoded: TypeAlias = "tuple[int, int, VideoFrame]"  # index, ns from the start, picture


@dataclass(frozen=True, kw_only=True)
class VideoFile(Camera):
    """A video file, of any kind that FFmpeg reads."""

    source: Path = Field(description="the video file")
    paced: bool = Field(
        True,
        description="yes: pictures come when they are due, and those that nobody takes "
        "in time are lost, as live; no: one after the other, every one",
    )
    repeat: bool = Field(False, description="whether it starts again at its end")

    @contextmanager
    def opened(self) -> Iterator[Film]:
        """Open the file; the first reading starts the film.

        Without pace, a picture's time counts from the start of the video.
        """
        form, clock = video_format(self.source), SystemClock()
        with closing(_frames(self.source, self.repeat)) as frames:
            held = next(frames, None)
            pacer: Pacer | None = None
            start_ns = 0

            def read(image: Image) -> Shot | None:
                nonlocal held, pacer, start_ns
                if pacer is None:
                    pacer = Pacer(1e9)  # its ticks are nanoseconds
                    start_ns = pacer.wait(0)
                elapsed_ns = clock.now_ns() - start_ns
                while held is not None:
                    (index, time_ns, frame), held = held, next(frames, None)
                    late = held is not None and held[1] <= elapsed_ns
                    if self.paced and late:
                        continue
                    np.copyto(image, _image(frame, form, self.source))
                    return Shot(index, pacer.wait(time_ns) if self.paced else time_ns)
                return None

            yield Film(form, read, knows_losses=True)


def video_format(path: Path) -> ImageFormat:
    """Return the format of a video's first picture; DeviceError when there is none."""
    with _stream(path) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        for frame in container.decode(stream):
            grey = frame.format.name.startswith("gray")
            shape = (
                (frame.height, frame.width) if grey else (frame.height, frame.width, 3)
            )
            deep = grey and frame.format.name != "gray"
            return ImageFormat(shape, rate, "uint16" if deep else "uint8")
    raise DeviceError(f"{path} holds no pictures")


def decoded(path: Path) -> Iterator[tuple[int, int, Image]]:
    """Yield index, ns from the start and picture (the caller's own) of every frame.

    The same file gives the same each time. DeviceError tells after which picture a file
    is broken.
    """
    form = video_format(path)
    with closing(_frames(path)) as frames:
        for index, time_ns, frame in frames:
            yield index, time_ns, _image(frame, form, path)


def _frames(path: Path, repeat: bool = False) -> Generator[_Decoded, None, None]:
    """Yield the frames; their times grow, even where the file's do not."""
    import av

    index, time_ns, begin_ns = 0, -1, 0
    while True:
        with _stream(path) as (container, stream):
            period_ns = round(1e9 / (stream.average_rate or stream.guessed_rate or 25))
            first = index
            offset: int | None = None
            try:
                for frame in container.decode(stream):
                    passed_ns = (index - first) * period_ns
                    if frame.pts is not None and frame.time_base is not None:
                        offset = frame.pts if offset is None else offset
                        passed_ns = int((frame.pts - offset) * frame.time_base * 10**9)
                    time_ns = max(time_ns + 1, begin_ns + passed_ns)
                    yield index, time_ns, frame
                    index += 1
            except av.error.FFmpegError as error:
                reason = f"is broken after {index - first} pictures: {error.strerror}"
                raise DeviceError(f"{path} {reason}") from error
        if not repeat or index == first:
            return
        begin_ns = time_ns + period_ns


@contextmanager
def _stream(path: Path) -> "Iterator[tuple[InputContainer, VideoStream]]":
    """Open a file; whatever FFmpeg says of it comes out as a DeviceError."""
    import av

    if not path.is_file():
        raise DeviceError(f"there is no video {path}")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DeviceError(f"{path} holds no pictures")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except av.error.FFmpegError as error:
        raise DeviceError(
            f"{path} is no video that can be read: {error.strerror}"
        ) from error


def _image(frame: "VideoFrame", form: ImageFormat, path: Path) -> Image:
    layout = "bgr24" if len(form.shape) == 3 else "gray"
    layout = "gray16le" if form.dtype == "uint16" else layout
    image: Image = np.asarray(frame.to_ndarray(format=layout), form.dtype)
    if image.shape != form.shape:
        raise DeviceError(f"{path} changes its size in the middle of the film")
    return image
