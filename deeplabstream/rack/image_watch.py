"""Image watch: an alarm for a camera whose images are all the same, or black."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deeplabstream.core.frame import Frame

LAST_NS = 5_000_000_000
"""Time for which images are the same, or black, before that is an alarm."""
BLACK = 10
"""Grey level below which 99 % of the pixels of a black image are."""
_STEP = 4
"""Distance of the pixels and lines that are looked at for black images."""


@dataclass
class _Seen:
    """What was seen of a camera."""

    content: int
    """Checksum of the last image."""
    changed_ns: int
    """Time of the first image with that content."""
    bright_ns: int
    """Time of the last image that was not black."""
    frozen: bool = False
    black: bool = False
    """Whether that was reported."""


class ImageWatch:
    """Looks at an image of each camera from time to time, such as each second.

    The images of a real camera differ by their noise, also when nothing moves.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def check(self, frame: Frame, now_ns: int) -> Iterator[str]:
        """Yield a sentence if the camera has frozen or become black; once until it is over."""
        content = zlib.crc32(np.ascontiguousarray(frame.image).data)
        sample = frame.image[::_STEP, ::_STEP]
        black = float(np.percentile(sample, 99)) < BLACK
        seen = self._seen.get(frame.camera)
        if seen is None:
            seen = _Seen(content, now_ns, now_ns)
            self._seen[frame.camera] = seen
        if content != seen.content:
            seen.content, seen.changed_ns, seen.frozen = content, now_ns, False
        if not black:
            seen.bright_ns, seen.black = now_ns, False

        if now_ns - seen.bright_ns >= LAST_NS and not seen.black:
            seen.black = seen.frozen = (
                True  # one alarm: black images are often the same
            )
            yield (
                f"[Camera {frame.camera}] its images have been black for "
                f"{LAST_NS / 1e9:g} s: check lens, light and exposure time"
            )
        elif now_ns - seen.changed_ns >= LAST_NS and not seen.frozen:
            seen.frozen = True
            yield (
                f"[Camera {frame.camera}] delivers the same image for "
                f"{LAST_NS / 1e9:g} s: its driver may hang; open it again (STOP, then Start)"
            )
