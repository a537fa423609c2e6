"""Tiny videos for tests, whose images can be told apart."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from deeplabstream.core.frame import Image


def numbered_image(index: int, grey: bool = False, dtype: str = "uint8") -> Image:
    """Return (48, 64[, 3]): a field whose brightness tells `index` (0 to 24)."""
    full = 65535 if dtype == "uint16" else 255
    shape = (48, 64) if grey else (48, 64, 3)
    return np.full(shape, full * (20 + 9 * index) // 255, dtype)


def write_video(
    path: Path,
    frames: int = 10,
    grey: bool = False,
    dtype: str = "uint8",
    times_ms: list[int] | None = None,
    codec: str = "ffv1",
) -> Path:
    """Write a lossless video of `numbered_image(0)` and so on, 100 per second."""
    times_ms = times_ms or [10 * index for index in range(frames)]
    colour = {"ffv1": "bgr0", "png": "rgb24"}[codec]
    inside = {"uint8": "gray" if grey else colour, "uint16": "gray16le"}[dtype]
    layout = inside if grey else "bgr24"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=100)
        stream.width, stream.height, stream.pix_fmt = 64, 48, inside
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, time_ms in enumerate(times_ms):
            image = numbered_image(index % 25, grey, dtype)
            frame = av.VideoFrame.from_ndarray(image, format=layout)
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
