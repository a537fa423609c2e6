"""Small videos whose colours are known exactly."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np


def write_film(path: Path, colours: Sequence[str], rate: int) -> Path:
    """Write a video of 16 x 16 pixels, one picture for each colour (#rrggbb)."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=rate)
        stream.width = stream.height = 16
        stream.pix_fmt = "bgr0"
        for colour in colours:
            picture = np.empty((16, 16, 3), np.uint8)
            picture[:] = list(bytes.fromhex(colour[1:]))
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path
