"""Image files, decoded within limits."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.files.image_header import declared_size, too_large

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""Suffixes of supported image files, in lower case."""


def decode(content: bytes, flags: int | None = None) -> NDArray[Any] | None:
    """Return the image as OpenCV decodes it (BGR without `flags`), None when it can't.

    What declares no size, or more than `deeplabstream.files.image_header.MOST_PIXELS`,
    is not decoded.
    """
    import cv2

    if declared_size(content) is None or too_large(content):
        return None
    mode = cv2.IMREAD_COLOR if flags is None else flags
    try:
        read = cv2.imdecode(np.frombuffer(content, np.uint8), mode)
    except cv2.error:  # OpenCV has its own limit
        return None
    return None if read is None else np.asarray(read)


def read_image(file: Path) -> NDArray[np.uint8] | None:
    """Return the image as BGR, None when it can't be read."""
    try:
        read = decode(file.read_bytes())
    except OSError:
        return None
    return None if read is None else np.asarray(read, np.uint8)


_SHORT = 64


def image_size(file: Path) -> tuple[int, int] | None:
    """Return height and width in pixels, or None for another file.

    It is not decoded for that: they are what its header declares.
    """
    try:
        with file.open("rb") as content:
            start = content.read(_SHORT)
            return declared_size(start) or declared_size(start + content.read())
    except OSError:
        return None
