"""The size of a picture file, from its first bytes."""

import struct
from pathlib import Path

FRAMES_OF_JPEG = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of the part of a JPEG that tells its size."""


def picture_size(file: Path) -> tuple[int, int] | None:
    """Return height and width in pixels, or None for what is no picture.

    PNG and JPEG are not decoded for it, other formats are.
    """
    try:
        with file.open("rb") as content:
            start = content.read(32)
            if start.startswith(b"\x89PNG") and len(start) >= 24:
                width, height = struct.unpack(">II", start[16:24])
                return int(height), int(width)
            rest = start + content.read()
    except OSError:
        return None
    if rest.startswith(b"\xff\xd8"):
        return _size_of_jpeg(rest)
    return _decoded(rest)


def _size_of_jpeg(content: bytes) -> tuple[int, int] | None:
    place = 2
    while place + 9 <= len(content):
        marker, length = struct.unpack(">xBH", content[place : place + 4])
        if content[place] != 0xFF:
            return None
        if marker in FRAMES_OF_JPEG:
            height, width = struct.unpack(">HH", content[place + 5 : place + 9])
            return int(height), int(width)
        place += 2 + length
    return None


def _decoded(content: bytes) -> tuple[int, int] | None:
    import cv2
    import numpy as np

    if not content:
        return None
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return None if image is None else (int(image.shape[0]), int(image.shape[1]))
