"""Encoding of images to packets of a Matroska file; grey stays grey."""

from fractions import Fraction
from typing import Any, Protocol

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.video.recording_options import RecordingOptions

TICK = Fraction(1, 1_000_000)
"""Unit of an encoder's times, seconds."""
_FULL_RANGE = 2


class Encoder(Protocol):
    """Encodes images for one stream of one file."""

    def encode(self, image: Image, ticks: int) -> "list[av.Packet[Any]]":
        """Return the packets that an image with the time `ticks` completes."""

    def flush(self) -> "list[av.Packet[Any]]":
        """Return the remaining packets."""


def encoder(
    container: OutputContainer, form: ImageFormat, recording_options: RecordingOptions
) -> Encoder:
    """Add a video stream; DeviceError: this computer can't encode with the codec."""
    codec = recording_options.codec_for(form)
    if codec == "mjpeg":
        return _Jpeg(container, form, recording_options.level)
    return _Libav(container, form, recording_options)


class _Libav:
    """Encoding by FFmpeg: H.264 on the CPU or the GPU, FFV1."""

    def __init__(
        self,
        container: OutputContainer,
        form: ImageFormat,
        recording_options: RecordingOptions,
    ) -> None:
        codec, rate = recording_options.codec_for(form), round(form.rate) or 30
        name = "libx264" if codec == "h264" else codec
        options = _options(codec, recording_options.level)
        stream = container.add_stream(name, rate=rate, options=options)
        stream.width, stream.height = form.width, form.height
        stream.pix_fmt, self._layout = _layouts(codec, form)
        context = stream.codec_context
        context.time_base = TICK
        context.thread_count = 1
        context.gop_size = 1 if codec == "ffv1" else 2 * rate
        if len(form.shape) == 2:
            context.color_range = _FULL_RANGE
        try:
            context.open()
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DeviceError(
                f"[Recording] CODEC = {codec} can't be used on this computer ({reason}); "
                "h264, ffv1 and mjpeg need nothing"
            ) from error
        self._stream = stream
        self._planes = _colourless(form) if self._layout.startswith("yuv") else None

    def encode(self, image: Image, ticks: int) -> "list[av.Packet[Any]]":
        """Return the packets that an image with the time `ticks` completes."""
        pixels: NDArray[np.uint8] | Image = image
        if self._planes is not None:
            pixels = self._planes
            pixels.reshape(-1, image.shape[1])[: image.shape[0]] = image
        frame = av.VideoFrame.from_ndarray(pixels, format=self._layout)
        frame.pts, frame.time_base = ticks, TICK
        return list(self._stream.encode(frame))

    def flush(self) -> "list[av.Packet[Any]]":
        """Return the remaining packets."""
        return list(self._stream.encode(None))


class _Jpeg:
    """Encoding of each image as JPEG; grey without colour planes, which FFmpeg can't write."""

    def __init__(
        self, container: OutputContainer, form: ImageFormat, level: int
    ) -> None:
        from cv2 import IMWRITE_JPEG_QUALITY, imencode

        self._imencode, self._options = imencode, [IMWRITE_JPEG_QUALITY, level]
        rate = round(form.rate) or 30
        self._stream = container.add_mux_stream(
            "mjpeg", rate=rate, width=form.width, height=form.height, time_base=TICK
        )

    def encode(self, image: Image, ticks: int) -> "list[av.Packet[Any]]":
        """Return the JPEG of an image."""
        _done, data = self._imencode(".jpg", image, self._options)
        packet: av.Packet[Any] = av.Packet(data.tobytes())
        packet.stream, packet.time_base = self._stream, TICK
        packet.pts = packet.dts = ticks
        packet.is_keyframe = True
        return [packet]

    def flush(self) -> "list[av.Packet[Any]]":
        """Return no packets: nothing is buffered."""
        return []


def _options(codec: str, level: int) -> dict[str, str]:
    if codec == "h264":
        return {"preset": "ultrafast", "crf": str(level), "tune": "zerolatency"}
    if codec == "h264_nvenc":
        fixed = {"preset": "p4", "tune": "ll", "rc": "constqp", "delay": "0"}
        return {**fixed, "bf": "0", "qp": str(level)}
    return {"level": "3", "slices": "4", "slicecrc": "1"}


def _layouts(codec: str, form: ImageFormat) -> tuple[str, str]:
    """Return the pixel format of the file, and of the images given to FFmpeg.

    Colour images of odd size need a format without chroma subsampling.
    """
    grey = len(form.shape) == 2
    if form.dtype == "uint16":
        return "gray16le", "gray16le"
    halved = "yuv444p" if form.width % 2 or form.height % 2 else "yuv420p"
    if codec == "h264_nvenc" and grey:
        return halved, halved
    if grey:
        return "gray", "gray"
    return ("bgr0", "bgr24") if codec == "ffv1" else (halved, "bgr24")


def _colourless(form: ImageFormat) -> "NDArray[np.uint8]":
    """Return YUV planes for grey images in a colour format, as from_ndarray expects them."""
    height, width = form.shape
    whole = (3, height, width) if height % 2 or width % 2 else (height * 3 // 2, width)
    return np.full(whole, 128, np.uint8)
