"""Network cameras: any address that FFmpeg can open (RTSP, MJPEG over HTTP, SRT, …)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from deeplabstream.plugin import (
    Camera,
    CameraStream,
    CapturedFrame,
    ClockSync,
    DeviceAddress,
    DeviceError,
    Image,
    ImageFormat,
    SystemClock,
    copy_frame,
    is_cut_off,
)

if TYPE_CHECKING:
    from av import Packet, VideoCodecContext, VideoFrame
    from av.container import InputContainer

_SILENCE_S = 0.85
"""Longest silence of a stream, short enough to report a loss within a second."""
_WITHOUT_TIME = ("mpjpeg", "mjpeg", "image2pipe", "jpeg_pipe")
"""Formats of single images, for which FFmpeg invents time stamps."""
_MOST_PIXELS = 2**26
"""Most pixels that a frame may declare; FFmpeg refuses more."""
_TAIL = 1024
"""Number of final bytes that are searched for the end marker of a JPEG."""
_LEARNING_NS = 1_000_000_000
"""Longest time for which stored frames are read when a stream is opened."""
_AT_ONCE = {"fflags": "nobuffer", "max_delay": "0", "analyzeduration": "500000"}


@dataclass(frozen=True, kw_only=True)
class NetworkStream(Camera):
    """A network camera with RTSP, HTTP or another protocol of FFmpeg.

    Every frame is delivered, in order: after an interruption of the network they arrive in
    a burst, as fast as they can be decoded. (FFmpeg's reader of H.264 over RTSP finds the
    end of a frame when the next one begins: it is one frame late.)
    """

    url: str = Field(
        pattern=r"^[a-zA-Z][a-zA-Z0-9+.-]+://\S+$",
        examples=["rtsp://192.168.0.20/stream1"],
        description="address: rtsp://user:password@192.168.0.20/stream1 or "
        "http://192.168.0.20/video.mjpg; the run folder keeps it as it stands here",
    )
    udp: bool = Field(
        False,
        description="RTSP only. no: over TCP, which loses nothing; yes: over UDP",
    )
    stamps: bool = Field(
        True,
        description="no: frames get the time of their arrival, as from a server that counts "
        "its times at a nominal rate and has no clock",
    )
    patience_s: float = Field(
        5.0, gt=0, le=60, description="seconds in which it has to give a first frame"
    )

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """The camera, by its address without user and password."""
        address = re.sub(r"//[^/@]*@", "//", self.url)
        return (DeviceAddress("network camera", address),)

    @contextmanager
    def opened(self) -> Iterator[CameraStream]:
        """Connect, and decode the first frames, which show the format and the sender's clock.

        Frames are numbered on arrival: losses in the network are unknown.
        """
        import av

        try:
            with self._connected() as container:
                frames = self._frames(container)
                arrived_ns, first, _ = next(frames)
                form, timed = self._format(container, first)
                clock, index = ClockSync(), -1
                if timed:
                    _compare(clock, frames, arrived_ns, first)

                def read(image: Image) -> CapturedFrame:
                    nonlocal index
                    try:
                        arrived_ns, frame, damaged = next(frames)
                    except av.error.FFmpegError as error:
                        raise self._lost(error) from error
                    copy_frame(_image(frame), image)
                    index += 1 + damaged
                    if not timed or frame.time is None:
                        return CapturedFrame(index, arrived_ns, damaged=damaged)
                    moment_ns = clock.moment(round(frame.time * 1e9), arrived_ns)
                    return CapturedFrame(
                        index, moment_ns, damaged=damaged, clock_jump_ns=clock.jump_ns
                    )

                yield CameraStream(
                    form,
                    read,
                    clock="device" if timed else "host",
                    device=self.address,
                )
        except av.error.FFmpegError as error:
            raise self._lost(error) from error

    @property
    def address(self) -> str:
        """The URL without user and password."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))

    @contextmanager
    def _connected(self) -> "Iterator[InputContainer]":
        """Return the open stream; from now on it times out after a second of silence."""
        import av

        options = dict(_AT_ONCE, rtsp_transport="udp" if self.udp else "tcp")
        patience = (self.patience_s, _SILENCE_S + 0.05)
        with av.open(
            self.url, options=options, timeout=patience, metadata_errors="replace"
        ) as container:
            if not container.streams.video:
                raise DeviceError(f"{self.address} sends no frames")
            codec = container.streams.video[0].codec_context
            codec.thread_type = "SLICE"
            options = {"max_pixels": str(_MOST_PIXELS)}
            # otherwise a missing part of the image is filled with grey
            if codec.name == "mjpeg":
                options["err_detect"] = "explode"
            codec.options = options
            codec.flags |= av.codec.context.Flags.low_delay
            yield container

    def _frames(
        self, container: "InputContainer"
    ) -> "Iterator[tuple[int, VideoFrame, int]]":
        """Yield arrival time, frame, and number of damaged frames before it; sound is ignored."""
        clock, codec = SystemClock(), container.streams.video[0].codec_context
        patience_ns, seen_ns, damaged = self.patience_s * 1e9, clock.now_ns(), 0
        for packet in container.demux():
            arrived_ns = clock.now_ns()
            shown = packet.stream is container.streams.video[0]
            decoded = _decoded(codec, packet) if shown else []
            for frame in decoded or ():
                yield arrived_ns, frame, damaged
                patience_ns, seen_ns = _SILENCE_S * 1e9, clock.now_ns()
                damaged = 0
            damaged += decoded is None
            # data arrived, but no complete frame
            if arrived_ns - seen_ns > patience_ns:
                break
        else:
            raise DeviceError(f"{self.address} gives no more frames")
        seconds = f"{patience_ns / 1e9:g} s"
        raise DeviceError(f"{self.address}: gave no frame for {seconds}")

    def _format(
        self, container: "InputContainer", first: "VideoFrame"
    ) -> tuple[ImageFormat, bool]:
        """Return the format, and whether the sender's times are used."""
        given = container.format.name not in _WITHOUT_TIME and first.time is not None
        timed = self.stamps and given
        rate = container.streams.video[0].average_rate if given else None
        return ImageFormat(_shape(first), float(rate or 0)), timed

    def _lost(self, error: Exception) -> DeviceError:
        reason = getattr(error, "strerror", None) or type(error).__name__
        if reason == "Immediate exit requested":  # FFmpeg's text for a time-out
            reason = f"gave no frame for {_SILENCE_S:g} s, or no answer"
        elif reason == "Invalid argument":  # FFmpeg's text for too many pixels
            most = f"{_MOST_PIXELS / 1e6:.0f} million pixels"
            reason = f"sends data that can't be decoded, or frames of more than {most}"
        return DeviceError(f"{self.address}: {reason}")


def _compare(
    clock: ClockSync,
    frames: "Iterator[tuple[int, VideoFrame, int]]",
    arrived_ns: int,
    frame: "VideoFrame",
) -> None:
    """Compare the clocks at stored frames until one arrives live, for a second at most.

    FFmpeg reads ahead to find the format, and servers send frames that they stored. Such
    frames arrive faster than they were exposed.
    """
    give_up_ns, stamp_ns = arrived_ns + _LEARNING_NS, round((frame.time or 0) * 1e9)
    clock.moment(stamp_ns, arrived_ns)
    for now_ns, later, _ in frames:
        if later.time is None:
            return
        step_ns, stamp_ns = round(later.time * 1e9) - stamp_ns, round(later.time * 1e9)
        clock.moment(stamp_ns, now_ns)
        if now_ns - arrived_ns > step_ns / 2 or now_ns > give_up_ns:
            return
        arrived_ns = now_ns


def _decoded(
    codec: "VideoCodecContext", packet: "Packet[Any]"
) -> "list[VideoFrame] | None":
    """Return the frames in a packet; None: it arrived damaged.

    FFmpeg fills the missing part of a truncated JPEG with grey, and only logs that.
    """
    import av

    end = bytes(memoryview(packet)[-_TAIL:]) if packet.size else b""
    if codec.name == "mjpeg" and end and is_cut_off(end):
        return None
    try:
        frames = codec.decode(packet)
    except av.error.InvalidDataError:
        return None
    intact = [frame for frame in frames if not frame.is_corrupt]
    return intact if intact or not frames else None


def _shape(frame: "VideoFrame") -> tuple[int, ...]:
    size = (frame.height, frame.width)
    return size if frame.format.name.startswith("gray") else (*size, 3)


def _image(frame: "VideoFrame") -> Image:
    grey = frame.format.name.startswith("gray")
    return np.asarray(frame.to_ndarray(format="gray" if grey else "bgr24"), np.uint8)
