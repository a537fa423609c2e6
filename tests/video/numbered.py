"""Videos whose frames have their number painted in, in many kinds of files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.recording.video_writer import VideoWriter
from tests.offline.films import write_film

SIDE, ACROSS, DOWN = 32, 4, 3
FRAMES = 64


def numbered(number: int) -> Image:
    """Return (96, 128, 3): 12 blocks, white for 1, on a ground that moves."""
    bits = np.array([number >> bit & 1 for bit in range(ACROSS * DOWN)], np.uint8)
    blocks = np.kron(bits.reshape(DOWN, ACROSS), np.ones((SIDE, SIDE), np.uint8))
    image = np.repeat((blocks * 200 + 20)[..., None], 3, axis=2).astype(np.uint8)
    column = 2 * number % (SIDE * ACROSS - 6)
    image[40:56, column : column + 6, 1] += 25
    return image


def number_in(image: Image) -> int:
    """Return the number that is painted into a picture."""
    grey = image.astype(np.float64).reshape(DOWN, SIDE, ACROSS, SIDE, -1)
    bits = grey.mean(axis=(1, 3, 4)).ravel() > 128
    return int(sum(1 << bit for bit, on in enumerate(bits) if on))


def film(path: Path, **options: str) -> Path:
    return write_film(path, numbered, FRAMES, **{"g": "12", **options})


def variable_rate(folder: Path) -> Path:
    steps = [10, 90, 33, 1, 250, 40, 16]
    times = np.cumsum([steps[place % len(steps)] for place in range(FRAMES)]).tolist()
    path = folder / "variable_rate.mkv"
    return write_film(path, numbered, FRAMES, times_ms=times, g="12")


def open_gop(folder: Path) -> Path:
    how = "open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0"
    return film(folder / "open_gop.mp4", **{"x264-params": how})


def b_frames(folder: Path) -> Path:
    return film(folder / "b_frames.mp4", bf="5", **{"x264-params": "b-pyramid=normal"})


def without_beginning(film: Path, path: Path, packets: int) -> Path:
    """Copy a film without its first packets: it begins with what needs a key frame."""
    with av.open(str(film)) as whole, av.open(str(path), "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        for place, packet in enumerate(whole.demux(video=0)):
            if packet.size and place >= packets:
                packet.stream = stream
                part.mux(packet)
    return path


def cut_at_the_front(folder: Path) -> Path:
    return without_beginning(b_frames(folder), folder / "cut_at_the_front.mkv", 5)


def cut_open_gop(folder: Path) -> Path:
    return without_beginning(open_gop(folder), folder / "cut_open_gop.mkv", 5)


def mjpeg(folder: Path) -> Path:
    return film(folder / "mjpeg.avi", codec="mjpeg")


def h264_in_avi(folder: Path) -> Path:
    return film(folder / "h264.avi", bf="3")


def our_own(folder: Path) -> Path:
    path = folder / "our_own.mkv"
    with VideoWriter(path, ImageFormat((96, 128, 3), 10)) as video:
        for number in range(FRAMES):
            time_ns = number * 100_000_000
            video.write(numbered(number), number, time_ns, time_ns)
    return path


MADE: dict[str, Callable[[Path], Path]] = {
    made.__name__: made
    for made in (
        variable_rate,
        open_gop,
        b_frames,
        cut_at_the_front,
        cut_open_gop,
        mjpeg,
        h264_in_avi,
        our_own,
    )
}
BEGINS_AT = {"cut_at_the_front": 12, "cut_open_gop": 12}
"""The number painted into the first frame that can be shown, where it is not 0."""


def one_after_the_other(path: Path) -> Iterator[Image]:
    """Yield the pictures as FFmpeg decodes them from the beginning, without our reader."""
    with av.open(str(path)) as container:
        begun = False
        for packet in container.demux(video=0):
            begun = begun or packet.is_keyframe
            if not begun and packet.size:
                continue
            for frame in packet.decode():
                assert isinstance(frame, av.VideoFrame)
                yield frame.to_ndarray(format="bgr24")
