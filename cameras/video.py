"""Video file as a camera: paced like a live one, or as fast as it can be read."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from deeplabstream.plugin import (
    Camera,
    CameraStream,
    CapturedFrame,
    Converter,
    DeviceError,
    Image,
    ImageFormat,
    Pacer,
    SystemClock,
    TimedFrame,
    sequential,
    video_format,
)

if TYPE_CHECKING:
    from av import VideoFrame


@dataclass(frozen=True, kw_only=True)
class VideoFile(Camera):
    """A video file, of any kind that FFmpeg reads."""

    reopens: ClassVar[bool] = False

    source: Path = Field(description="the video file")
    paced: bool = Field(
        True,
        description="yes: frames at their times in the video, and late reads lose frames, "
        "as live; no: every frame, as fast as it is read",
    )
    repeat: bool = Field(False, description="whether it starts again at its end")

    @property
    def repeated_video(self) -> Path | None:
        """The file, if it is repeated."""
        return self.source if self.repeat else None

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Open the file; the first `read` starts the stream.

        Without pacing, the time of a frame counts from the start of the video.
        """
        form, clock = video_format(self.source), SystemClock()
        converter = Converter()
        period_ns = round(1e9 / (form.rate or 25))
        with closing(_frames(self.source, period_ns, self.repeat)) as frames:
            held = next(frames, None)
            pacer: Pacer | None = None
            start_ns = 0

            def begin(at_ns: int) -> None:
                # frames of several videos that have one time show one moment
                nonlocal pacer, start_ns
                pacer, start_ns = Pacer(1e9, start_ns=at_ns), at_ns

            def read(image: Image) -> CapturedFrame | None:
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
                    np.copyto(image, _image(converter, frame, form, self.source))
                    return CapturedFrame(
                        index, pacer.wait(time_ns) if self.paced else time_ns
                    )
                return None

            yield CameraStream(form, read, knows_losses=True, begin=begin)


def _frames(
    path: Path, period_ns: int, repeat: bool = False
) -> Generator[TimedFrame, None, None]:
    """Yield the frames; numbers and times grow, also from one repetition to the next.

    Frames that can't be decoded leave gaps in the numbers: the camera has lost them.
    """
    begin = begin_ns = 0
    while True:
        number, time_ns = begin - 1, begin_ns
        with closing(sequential(path)) as frames:
            for found in frames:
                number, time_ns = begin + found.number, begin_ns + found.time_ns
                yield TimedFrame(number, time_ns, found.frame)
        if not repeat or number < begin:
            return
        begin, begin_ns = number + 1, time_ns + period_ns


def _image(
    converter: Converter, frame: "VideoFrame", form: ImageFormat, path: Path
) -> Image:
    image = converter.image(frame, form)
    if image is None:
        raise DeviceError(f"{path} changes its size within the video")
    return image
