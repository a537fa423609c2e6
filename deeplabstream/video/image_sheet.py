"""Image sheet: several images of one size side by side in an image file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image


def write_sheet(file: Path, images: Sequence[Image], columns: int) -> None:
    """Write images of equal shape in rows of `columns`; empty places are black."""
    import cv2

    empty = [np.zeros_like(images[0])] * (-len(images) % columns)
    filled = [*images, *empty]
    rows = [
        np.hstack(filled[first : first + columns])
        for first in range(0, len(filled), columns)
    ]
    # imwrite can't make files with letters beyond ASCII in their paths on Windows
    _, content = cv2.imencode(file.suffix or ".png", np.vstack(rows))
    try:
        file.write_bytes(content.tobytes())
    except OSError as error:
        raise DeviceError(f"Can't write {file}: {error.strerror}") from error
