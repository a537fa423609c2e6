"""Sequential reading: every frame of a file from the first to the last, without an index."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deeplabstream.core.errors import DeviceError
from deeplabstream.video.decoding import decode_frames, open_container, packets_of
from deeplabstream.video.frame_times import (
    FrameNumbers,
    frame_ticks,
    probe_video,
    report_losses,
)

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer
    from av.packet import Packet


class TimedFrame(NamedTuple):
    """One decoded frame of a file that is read from its beginning."""

    number: int
    """The number in `VideoReader`: frames that can't be decoded leave gaps."""
    time_ns: int
    """Since the first frame; strictly growing, even where the times of the file are not."""
    frame: "VideoFrame"


def sequential(path: Path) -> Generator[TimedFrame, None, None]:
    """Yield every frame from the first to the last, without an index of the file.

    Frames that FFmpeg leaves out keep their numbers and are not yielded. They and damaged
    frames are counted in a warning at the end. DeviceError names the frame after which the
    file can't be read.
    """
    probe = probe_video(path)
    ticks, _ = frame_ticks(probe.fed, probe)
    numbers = FrameNumbers(timed=ticks is not None)
    time_ns, begin, first = -1, None, -1
    damaged, spoiled, unplaced = 0, False, 0
    with open_container(path) as (container, stream):
        period_ns = round(1e9 / (stream.average_rate or stream.guessed_rate or 25))
        packets = numbers.noted(_readable(container, stream, numbers, path))
        try:
            for frame in decode_frames(stream, packets):
                if frame is None:
                    numbers.error()
                    spoiled = True
                    continue
                expected = numbers.next
                number = numbers.of(frame)
                if number is None:
                    continue
                spoiled = (spoiled or number > expected) and not frame.key_frame
                spoiled = spoiled or frame.is_corrupt
                if first < 0 and (numbers.lost or spoiled):
                    first = min(expected, number)
                passed_ns = number * period_ns
                if frame.pts is not None and frame.time_base is not None:
                    if begin is None:
                        begin = frame.pts if numbers.first is None else numbers.first
                    passed_ns = int((frame.pts - begin) * frame.time_base * 10**9)
                time_ns = max(time_ns + 1, passed_ns)
                damaged += spoiled
                yield TimedFrame(number, time_ns, frame)
            ended = numbers.next
            unplaced = numbers.end()
            if first < 0 and numbers.lost:
                first = ended
        finally:
            report_losses(path, numbers.lost, damaged, first, unplaced)


def _readable(
    container: "InputContainer",
    stream: "VideoStream",
    numbers: FrameNumbers,
    path: Path,
) -> "Iterator[Packet[Any] | None]":
    """Yield the packets; DeviceError: the file can't be read to its end."""
    for packet in packets_of(container, stream):
        if packet is None:
            raise DeviceError(
                f"{path} is broken after {numbers.next} frames: FFmpeg can't read the rest"
            )
        yield packet
