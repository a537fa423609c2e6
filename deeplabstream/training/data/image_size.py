"""The size of a picture file, from its first bytes."""

from pathlib import Path

from deeplabstream.core.image_header import declared_size

_SHORT = 64


def picture_size(file: Path) -> tuple[int, int] | None:
    """Return height and width in pixels, or None for what is no picture.

    It is not decoded for that: they are what its header declares.
    """
    try:
        with file.open("rb") as content:
            start = content.read(_SHORT)
            return declared_size(start) or declared_size(start + content.read())
    except OSError:
        return None
