"""Image files whose headers declare what a test needs."""

import struct

import cv2
import numpy as np

PICTURE = np.random.default_rng(0).integers(0, 255, (31, 47, 3), np.uint8)


def encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, PICTURE)[1].tobytes()


def with_orientation(data: bytes, orientation: int, order: str) -> bytes:
    """Return a JPEG with EXIF data that turn it."""
    words = struct.pack(f"{order}HIHHHIHHI", 42, 8, 1, 274, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + (b"II" if order == "<" else b"MM") + words
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + data[2:]


def declaring(width: int, height: int) -> bytes:
    """Return a JPEG of another size than its header says."""
    data = bytearray(encoded(".jpg"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)
