"""Decoding of video files with FFmpeg: opening, packets to frames, frames to pixels.

Only this package decodes video files. `video_reader.py` numbers the frames;
`sequential_reading.py` reads a file once from its first frame to its last.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.files.image_header import MOST_PIXELS

if TYPE_CHECKING:
    from av import VideoCodecContext, VideoFrame, VideoStream
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer
    from av.packet import Packet

Decoder: TypeAlias = Literal["auto", "cpu", "cuda"]
"""`auto`: the GPU where FFmpeg can use it, else the CPU."""

_MOST_BEFORE = 1000
"""Packets that are searched for the first key frame."""
_LIMITS = {"max_pixels": str(MOST_PIXELS)}
"""Limits for FFmpeg, which decodes no frame that declares more and allocates no memory
for it."""


@contextmanager
def open_container(
    path: Path, decoder: Decoder = "cpu"
) -> "Iterator[tuple[InputContainer, VideoStream]]":
    """Open a video file; DeviceError: FFmpeg cannot read it, or it has no video."""
    import av

    if not path.is_file():
        raise DeviceError(f"{path}: video not found")
    try:
        container = av.open(
            str(path),
            options=_LIMITS,
            hwaccel=_acceleration(decoder, path),
            metadata_errors="replace",  # titles are often not UTF-8
        )
    except av.error.FFmpegError as error:
        message = f"{path} is not a readable video: {error.strerror}"
        raise DeviceError(message) from error
    with container:
        if not container.streams.video:
            raise DeviceError(f"{path} holds no frames")
        stream = container.streams.video[0]
        if getattr(stream, "codec_context", None) is None:
            raise DeviceError(
                f"{path} is damaged at its end or beginning, or FFmpeg has no decoder for "
                "its codec"
            )
        width, height = stream.width, stream.height
        most = f"{MOST_PIXELS / 1e6:.0f} million pixels"
        if not width * height:  # FFmpeg's result for too large frames, and for none
            raise DeviceError(f"{path} holds no frames, or frames of more than {most}")
        if width * height > MOST_PIXELS:
            raise DeviceError(
                f"{path} is not decoded: it declares frames of {width}×{height}, more "
                f"than {most}"
            )
        stream.thread_type = "AUTO"
        context = stream.codec_context
        context.options = dict(_LIMITS)
        if context.name == "mjpeg":
            # Otherwise half a JPEG image is returned as if it were complete.
            context.options = {**_LIMITS, "err_detect": "explode"}
        yield container, stream


def _acceleration(decoder: Decoder, path: Path) -> "HWAccel | None":
    import av
    from av.codec.hwaccel import HWAccel, hwdevices_available

    if decoder == "cpu":
        return None
    try:
        if "cuda" in hwdevices_available():
            gpu = HWAccel("cuda", allow_software_fallback=False)
            with av.open(
                str(path), options=_LIMITS, hwaccel=gpu, metadata_errors="replace"
            ) as container:
                for _ in container.decode(video=0):
                    return HWAccel("cuda", allow_software_fallback=False)
    except (av.error.FFmpegError, RuntimeError, NotImplementedError):
        pass
    if decoder == "cuda":
        raise DeviceError(
            f"no GPU of this computer can decode {path}; use the decoder cpu"
        )
    return None


def packets_of(
    container: "InputContainer", stream: "VideoStream"
) -> "Iterator[Packet[Any] | None]":
    """Yield the packets from the first key frame on, the flushing one at the end.

    A file that was cut in the middle of a group of images begins with packets that can't
    be decoded: they are left out. None: the file is broken there.
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
                ):  # no key frame is marked: the decoder may find one
                    yield from before
                before = None
            yield packet
    except (
        av.error.FFmpegError,
        IndexError,
    ):  # IndexError: of a stream that PyAV lacks
        yield None


def decode_frames(
    stream: "VideoStream", packets: "Iterable[Packet[Any] | None]"
) -> "Iterator[VideoFrame | None]":
    """Yield frames in display order; None where FFmpeg reports an error.

    B-frames before the first key frame depend on missing frames, and are left out.
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
    """Return the format of a video's first frame; DeviceError: it has none."""
    with open_container(path) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        for frame in decode_frames(stream, packets_of(container, stream)):
            if frame is not None:
                return image_format(frame, rate)
    raise DeviceError(f"{path} holds no frames")


def stated_length(path: Path) -> tuple[float, float]:
    """Return how long a file says that it and each of its frames last, in s.

    DeviceError: it can't be read, or does not say so.
    """
    with open_container(path) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate
        if not container.duration or not rate:
            raise DeviceError(f"{path} does not state its length")
        return container.duration / 1e6, float(1 / rate)


class Converter:
    """Converts decoded frames to images; reused for all frames of one size.

    Setting up FFmpeg's conversion takes longer than converting a frame.
    """

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()

    def pixels(self, frame: "VideoFrame", layout: str) -> Image:
        """Return a frame's pixels: bgr24, rgb24, gray or gray16le."""
        made = self._reformatter.reformat(frame, format=layout, threads=1)
        return cast("Image", made.to_ndarray())

    def image(self, frame: "VideoFrame", form: ImageFormat) -> Image | None:
        """Return the image in the format `form`; None: it has another size."""
        if (frame.height, frame.width) != form.shape[:2]:
            return None
        layout = "bgr24" if len(form.shape) == 3 else "gray"
        layout = "gray16le" if form.dtype == "uint16" else layout
        return np.asarray(self.pixels(frame, layout), form.dtype)


class JpegDecoder:
    """Decodes single JPEG files, and detects damaged ones.

    OpenCV's decoder fills what is missing with grey or coloured blocks and only logs it.
    FFmpeg with `err_detect=explode` refuses such files and is not slower. A changed bit
    that gives other valid pixels is found by neither. Not `strict`: only what cannot be
    decoded at all is refused.
    """

    def __init__(self, most_pixels: int = MOST_PIXELS, strict: bool = True) -> None:
        self._options = {"max_pixels": str(most_pixels)}
        if strict:
            self._options["err_detect"] = "explode"
        self._converter = Converter()
        self._codec = self._opened()

    def _opened(self) -> "VideoCodecContext":
        import av

        codec = av.CodecContext.create("mjpeg", "r")
        codec.thread_count = 1  # threads would delay frames
        codec.flags |= av.codec.context.Flags.low_delay
        codec.options = self._options
        return codec

    def image(self, content: bytes) -> Image | None:
        """Return the image, BGR or grey; None: the file is damaged or not a JPEG."""
        import av

        try:
            frames = self._codec.decode(av.Packet(content)) if content else []
        except av.error.FFmpegError:
            # a new decoder, without the state of the damaged file
            self._codec = self._opened()
            return None
        if not frames or frames[0].is_corrupt:
            return None
        grey = frames[0].format.name.startswith("gray")
        return self._converter.pixels(frames[0], "gray" if grey else "bgr24")


def as_bgr(image: Image) -> Image:
    """Return an image as 8-bit BGR.

    Parameters
    ----------
    image : numpy.ndarray of uint8 or uint16, shape (height, width, 3) or (height, width)
        BGR or grey.

    Returns
    -------
    numpy.ndarray of uint8, shape (height, width, 3)
        BGR; of 16 bits, the upper 8.
    """
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    three = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    return np.asarray(three, np.uint8)
