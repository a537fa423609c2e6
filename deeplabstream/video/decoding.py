"""Decoding of video files with FFmpeg: opening, packets to frames, frames to pixels.

Only this package decodes video files. `reading.py` numbers the frames; `sequential` is for
those who read a file once from its first frame to its last.
"""

import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image, ImageFormat

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer
    from av.packet import Packet

Decoder: TypeAlias = Literal["auto", "cpu", "cuda"]
"""`auto`: the GPU where FFmpeg can use it, else the CPU."""

_MOST_BEFORE = 1000
"""Packets that are looked at for a first key frame."""

_log = logging.getLogger("video")


class TimedFrame(NamedTuple):
    """One decoded frame of a file that is read from its beginning."""

    number: int
    time_ns: int
    """Since the first frame; times grow strictly, even where the file's do not."""
    frame: "VideoFrame"


@contextmanager
def opened(
    path: Path, decoder: Decoder = "cpu"
) -> "Iterator[tuple[InputContainer, VideoStream]]":
    """Open a video file; DeviceError: FFmpeg cannot read it, or it has no video."""
    import av

    if not path.is_file():
        raise DeviceError(f"there is no video {path}")
    try:
        container = av.open(str(path), hwaccel=_acceleration(decoder, path))
    except av.error.FFmpegError as error:
        said = f"{path} is no video that can be read: {error.strerror}"
        raise DeviceError(said) from error
    with container:
        if not container.streams.video:
            raise DeviceError(f"{path} holds no pictures")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        if stream.codec_context.name == "mjpeg":
            # Without this, half a JPEG picture is returned as a whole one, unmarked.
            stream.codec_context.options = {"err_detect": "explode"}
        yield container, stream


def _acceleration(decoder: Decoder, path: Path) -> "HWAccel | None":
    import av
    from av.codec.hwaccel import HWAccel, hwdevices_available

    if decoder == "cpu":
        return None
    try:
        if "cuda" in hwdevices_available():
            card = HWAccel("cuda", allow_software_fallback=False)
            with av.open(str(path), hwaccel=card) as container:
                for _ in container.decode(video=0):
                    return HWAccel("cuda", allow_software_fallback=False)
    except (av.error.FFmpegError, RuntimeError, NotImplementedError):
        pass
    if decoder == "cuda":
        raise DeviceError(f"no graphics card here can decode {path}; use cpu")
    return None


def packets_of(
    container: "InputContainer", stream: "VideoStream"
) -> "Iterator[Packet[Any] | None]":
    """Yield the packets from the first key frame on, the flushing one at the end.

    A file that was cut in the middle of a group of pictures begins with packets that no
    decoder can show: they are left out. None: the file is broken there.
    """
    import av

    before: list[Packet[Any]] | None = []
    try:
        for packet in container.demux(stream):
            if before is not None:
                if (
                    packet.size
                    and not packet.is_keyframe
                    and len(before) < _MOST_BEFORE
                ):
                    before.append(packet)
                    continue
                if (
                    not packet.is_keyframe
                ):  # none is marked: the decoder may know better
                    yield from before
                before = None
            yield packet
    except av.error.FFmpegError:
        yield None


def decoded(
    stream: "VideoStream", packets: "Iterable[Packet[Any] | None]"
) -> "Iterator[VideoFrame | None]":
    """Yield frames in display order; None stands where FFmpeg reports an error.

    B-frames shown before the first key frame depend on what is not there, and are left out.
    """
    begun = False
    for frame in _all_decoded(stream, packets):
        begun = begun or (frame is not None and frame.key_frame)
        if begun or frame is None:
            yield frame


def _all_decoded(
    stream: "VideoStream", packets: "Iterable[Packet[Any] | None]"
) -> "Iterator[VideoFrame | None]":
    import av

    for packet in packets:
        if packet is None:
            yield None
            continue
        try:
            yield from stream.decode(packet)
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            yield None


def image_format(frame: "VideoFrame", rate: float) -> ImageFormat:
    """Return the format that a frame is converted to: grey stays grey, 8 or 16 bits."""
    grey = frame.format.name.startswith("gray")
    shape = (frame.height, frame.width) if grey else (frame.height, frame.width, 3)
    deep = grey and frame.format.name != "gray"
    return ImageFormat(shape, rate, "uint16" if deep else "uint8")


def video_format(path: Path) -> ImageFormat:
    """Return the format of a video's first picture; DeviceError when there is none."""
    with opened(path) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        for frame in decoded(stream, packets_of(container, stream)):
            if frame is not None:
                return image_format(frame, rate)
    raise DeviceError(f"{path} holds no pictures")


def sequential(path: Path) -> Generator[TimedFrame, None, None]:
    """Yield every frame from the first to the last, without an index of the file.

    DeviceError tells after which frame a file is broken: what follows has no number. Frames
    whose data were damaged are counted in a warning at the end.
    """
    number, time_ns, begin, damaged = 0, -1, None, 0
    with opened(path) as (container, stream):
        period_ns = round(1e9 / (stream.average_rate or stream.guessed_rate or 25))
        try:
            for frame in decoded(stream, packets_of(container, stream)):
                if frame is None:
                    raise DeviceError(
                        f"{path} is broken after {number} pictures: FFmpeg can't decode "
                        "what follows"
                    )
                passed_ns = number * period_ns
                if frame.pts is not None and frame.time_base is not None:
                    begin = frame.pts if begin is None else begin
                    passed_ns = int((frame.pts - begin) * frame.time_base * 10**9)
                time_ns = max(time_ns + 1, passed_ns)
                damaged += frame.is_corrupt
                yield TimedFrame(number, time_ns, frame)
                number += 1
        finally:
            if damaged:
                _log.warning("%s: %d of %d frames are damaged", path, damaged, number)


class Converter:
    """Makes pictures of decoded frames; kept for as long as they have one size.

    What FFmpeg needs to convert is made once: for each frame anew it would take longer
    than the converting.
    """

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()

    def pixels(self, frame: "VideoFrame", layout: str) -> Image:
        """Return a frame's pixels: bgr24, rgb24, gray or gray16le."""
        made = self._reformatter.reformat(frame, format=layout, threads=1)
        return cast("Image", made.to_ndarray())

    def image(self, frame: "VideoFrame", form: ImageFormat) -> Image | None:
        """Return the picture as `form` says, None when it has another size."""
        if (frame.height, frame.width) != form.shape[:2]:
            return None
        layout = "bgr24" if len(form.shape) == 3 else "gray"
        layout = "gray16le" if form.dtype == "uint16" else layout
        return np.asarray(self.pixels(frame, layout), form.dtype)


def as_bgr(image: Image) -> Image:
    """Return an image as 8-bit BGR; of 16 bits the upper ones."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    three = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    return np.asarray(three, np.uint8)
