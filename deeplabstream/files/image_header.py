"""Image headers: the size that an image file declares, read before it is decoded.

A file of 90 kB can declare 30000x30000 pixels, for which a decoder allocates gigabytes, and
OpenCV raises an error above its own limit. Files without a known header are not decoded.
"""

import struct
from collections.abc import Iterator

MOST_PIXELS = 2**27
"""Largest size that an image may declare: 134 megapixels."""
FRAMES_OF_JPEG = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of the JPEG segment with the size."""
_WITHOUT_LENGTH = {0x00, 0x01, *range(0xD0, 0xDA)}
"""Markers that are not allowed before it; decoders treat them differently."""
_TIFF_TYPES = {3: "H", 4: "I"}
_EXIF = b"Exif\0\0"


def declared_size(content: bytes) -> tuple[int, int] | None:
    """Return height and width in pixels of a JPEG, PNG, BMP, GIF, TIFF or WebP file.

    They are those of the decoded image: OpenCV turns a JPEG as its EXIF data say.
    None: it is none of these, or its header is damaged.

    >>> declared_size(b"GIF89a" + bytes([40, 0, 30, 0]))
    (30, 40)
    """
    try:
        size = _size(content)
    except struct.error:
        return None
    return size if size and min(size) > 0 else None


def too_large(content: bytes, most: int = MOST_PIXELS) -> str:
    """Return why an image is not decoded; empty: it is not too large.

    A file without a known header is not too large; `declared_size` returns None for it.
    """
    size = declared_size(content)
    if size is None or size[0] * size[1] <= most:
        return ""
    return (
        f"declares {size[1]}×{size[0]} pixels, more than {most / 1e6:.0f} million: "
        "it is not decoded"
    )


def is_cut_off(content: bytes) -> bool:
    """Return whether a JPEG file has no end marker: a decoder fills the rest with grey.

    Bytes behind the marker are padding of the sender.

    >>> is_cut_off(bytes([255, 216, 7, 255, 217, 0])), is_cut_off(bytes([255, 216, 7]))
    (False, True)
    """
    return b"\xff\xd9" not in content.rstrip(b"\0")[-16:]


def _size(content: bytes) -> tuple[int, int] | None:
    size: tuple[int, int] | None = None
    if content.startswith(b"\xff\xd8"):
        size = _size_of_jpeg(content)
    elif content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR":
        width, height = struct.unpack_from(">II", content, 16)
        size = height, width
    elif content.startswith(b"BM"):
        (header,) = struct.unpack_from("<I", content, 14)
        form = "<HH" if header == 12 else "<ii"
        width, height = struct.unpack_from(form, content, 18)
        size = abs(height), width
    elif content.startswith((b"GIF87a", b"GIF89a")):
        width, height = struct.unpack_from("<HH", content, 6)
        size = height, width
    elif content.startswith((b"II*\0", b"MM\0*")):
        size = _size_of_tiff(content)
    elif content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        size = _size_of_webp(content)
    return size


def _size_of_jpeg(content: bytes) -> tuple[int, int] | None:
    place, is_turned = 2, False
    while place + 9 <= len(content):
        if content[place] != 0xFF:
            return None
        marker = content[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        (length,) = struct.unpack_from(">H", content, place + 2)
        if marker in _WITHOUT_LENGTH or length < 2:
            return None
        if marker in FRAMES_OF_JPEG:
            height, width = struct.unpack_from(">HH", content, place + 5)
            return (width, height) if is_turned else (height, width)
        if marker == 0xE1:
            is_turned |= _is_turned(content[place + 4 : place + 2 + length])
        place += 2 + length
    return None


def _is_turned(segment: bytes) -> bool:
    """Return whether EXIF data turn the image by a quarter."""
    tiff = segment.removeprefix(_EXIF)
    if tiff == segment or not tiff.startswith((b"II*\0", b"MM\0*")):
        return False
    try:
        return dict(_numbers_of_tiff(tiff)).get(274, 1) in range(5, 9)
    except struct.error:
        return False


def _size_of_tiff(content: bytes) -> tuple[int, int] | None:
    """Return the size of the first image, the only one that is decoded."""
    sides: dict[int, int] = {}
    for tag, value in _numbers_of_tiff(content):
        if tag in (256, 257):
            if tag in sides:
                return None
            sides[tag] = value
    return (sides[257], sides[256]) if len(sides) == 2 else None


def _numbers_of_tiff(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield tag and value of each whole number in the first directory."""
    order = "<" if content.startswith(b"II") else ">"
    (place,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, place)
    for n in range(count):
        at = place + 2 + 12 * n
        tag, kind = struct.unpack_from(f"{order}HH", content, at)
        if kind in _TIFF_TYPES:
            yield tag, struct.unpack_from(order + _TIFF_TYPES[kind], content, at + 8)[0]


def _size_of_webp(content: bytes) -> tuple[int, int] | None:
    kind = content[12:16]
    if kind == b"VP8X":
        low = struct.unpack_from("<HBHB", content, 24)
        return 1 + low[2] + (low[3] << 16), 1 + low[0] + (low[1] << 16)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return height & 0x3FFF, width & 0x3FFF
    return None
