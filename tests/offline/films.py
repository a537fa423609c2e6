"""Films with a dot whose place is known, and a network that finds it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton

Draw = Callable[[int], Image]


def dot_at(row: int) -> tuple[float, float]:
    """Return x, y of the dot of a film of 64 × 48."""
    return 8.0 + row % 48, 10.0 + row % 30


def dotted(row: int) -> Image:
    """Return (48, 64, 3): a bright pixel square of 3 × 3 around the dot."""
    image = np.full((48, 64, 3), 20, np.uint8)
    x, y = (int(each) for each in dot_at(row))
    image[y - 1 : y + 2, x - 1 : x + 2] = 240
    return image


def write_film(
    path: Path,
    draw: Draw = dotted,
    frames: int = 20,
    codec: str = "libx264",
    rate: int = 50,
    times_ms: Sequence[int] | None = None,
    **options: str,
) -> Path:
    """Write a film of `draw(0)` and so on; H.264 with B-frames unless told otherwise."""
    height, width = draw(0).shape[:2]
    times = times_ms or [round(1000 * row / rate) for row in range(frames)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = width, height
        stream.pix_fmt = {"mjpeg": "yuvj420p", "ffv1": "bgr0"}.get(codec, "yuv420p")
        stream.codec_context.time_base = Fraction(1, 1000)
        if codec == "mpeg4" or path.suffix == ".avi":
            stream.codec_context.time_base = Fraction(1, rate)
        for row, time_ms in enumerate(times):
            frame = av.VideoFrame.from_ndarray(draw(row), format="bgr24")
            frame.time_base = stream.codec_context.time_base
            ticks = Fraction(time_ms, 1000) / stream.codec_context.time_base
            frame.pts = round(ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def spoil(path: Path, wanted: Sequence[int]) -> None:
    """Overwrite the data of these packets (counted as they lie in the file) with zeros."""
    with av.open(str(path)) as container:
        packets = [
            (packet.pos, packet.size)
            for packet in container.demux(video=0)
            if packet.size
        ]
    data = bytearray(path.read_bytes())
    for packet in wanted:
        start, size = packets[packet]
        data[start + 4 : start + size] = bytes(size - 4)
    path.write_bytes(data)


def brightest(image: Image) -> tuple[NDArray[np.float32], float]:
    """Return the centre of what is bright, and how bright it is, 0 to 1."""
    grey = image if image.ndim == 2 else image[..., 1]
    rows, columns = np.nonzero(grey > 128)
    if not len(rows):
        return np.array([0, 0], np.float32), 0.05
    place = np.array([columns.mean(), rows.mean()], np.float32)
    return place, float(grey.max()) / 255


DOT = Skeleton(("dot",))


@dataclass
class DotFinder:
    """A network that knows one body part: the bright dot."""

    skeleton: Skeleton = DOT
    threshold: float = 0.5
    provider: str = "test"
    sha256: str = "dots"
    estimated: int = 0
    on_gpu: bool = False

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        self.estimated += len(images)
        poses = []
        for image in images:
            place, sure = brightest(image)
            confidence = np.array([[sure]], np.float32)
            poses.append(Pose(self.skeleton, place[None, None], confidence))
        return poses
