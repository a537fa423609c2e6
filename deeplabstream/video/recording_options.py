"""How videos are to be made: what writes them, when a new file begins, what must be free."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import ImageFormat

Codec: TypeAlias = Literal["h264", "h264_nvenc", "ffv1", "mjpeg"]

MB = 1_000_000
_USUAL = {"h264": 20, "h264_nvenc": 20, "ffv1": 0, "mjpeg": 90}
_PER_PIXEL = {"h264": 0.15, "h264_nvenc": 0.15, "ffv1": 0.7, "mjpeg": 0.3}
"""Bytes per pixel of a noisy grey picture, by experience; FFV1: per byte of a pixel."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What [Recording] asks for."""

    codec: Codec = "h264"
    quality: int | None = None
    """H.264: 0 (best) to 51; MJPEG: 1 to 100 (best); None: the usual."""
    split_s: float = 0.0
    """A new file begins after so many seconds; 0: never."""
    split_bytes: int = 0
    """A new file begins after so many bytes; 0: never."""
    min_free_bytes: int = 0
    """Recording stops when less is free on the disk."""
    planned_s: float = 0.0
    """How long it will take, for a look at the disk before; 0: nobody knows."""

    def codec_for(self, form: ImageFormat) -> Codec:
        """Return what writes such pictures; more than 8 bits are kept without loss."""
        return "ffv1" if form.dtype == "uint16" else self.codec

    def check_form(self, camera: str, form: ImageFormat) -> None:
        """Raise DeviceError when there is no video of a camera's pictures."""
        if form.dtype == "uint16" and len(form.shape) == 3:
            raise DeviceError(
                f"Nothing is recorded: [Camera {camera}] gives colour pictures of 16 "
                "bits, which no video here holds; let it give colour of 8 bits or grey "
                f"(PIXEL_FORMAT, where it has that key), or set [Camera {camera}] "
                "RECORD = no"
            )

    @property
    def level(self) -> int:
        """The quality, the codec's usual one if none is asked for."""
        if self.quality is None:
            return _USUAL[self.codec]
        return self.quality if self.codec == "mjpeg" else min(self.quality, 51)

    def remarks(self, camera: str, form: ImageFormat) -> list[str]:
        """Return how a video will differ from what was asked for, as sentences."""
        codec = self.codec_for(form)
        if codec != self.codec:
            return [
                f"[Camera {camera}] gives 16-bit pictures: its video is ffv1, without "
                f"loss, and not {self.codec}"
            ]
        if codec == "h264_nvenc" and len(form.shape) == 2:
            return [
                f"[Camera {camera}] is grey and h264_nvenc knows only colour: its video "
                "holds the grey pictures with empty colour planes"
            ]
        return []

    def bytes_per_second(self, form: ImageFormat) -> float:
        """Return how fast a video grows at most: one of smooth pictures, by a tenth of it."""
        codec, size = self.codec_for(form), form.height * form.width
        if codec == "ffv1":
            size = form.nbytes
        elif len(form.shape) == 3:
            size = size * 3 // 2
        return size * _PER_PIXEL[codec] * (form.rate or 30)

    def check_room(self, folder: Path, formats: Iterable[ImageFormat]) -> None:
        """Raise DeviceError when the disk is too full to begin."""
        free = shutil.disk_usage(folder).free
        if free < self.min_free_bytes:
            raise DeviceError(
                f"Nothing is recorded: only {_size(free)} are free in {folder}, and "
                f"[Recording] MIN_FREE_MB = {self.min_free_bytes // MB}"
            )
        needed = self.planned_s * sum(map(self.bytes_per_second, formats))
        if needed > free - self.min_free_bytes:
            raise DeviceError(
                f"Nothing is recorded: {self.planned_s / 60:g} minutes of video may need "
                f"up to {_size(needed)} and only {_size(free)} are free in {folder}; "
                "choose another OUTPUT_DIRECTORY or fewer PLANNED_MINUTES"
            )

    def ends_file(self, seconds: float, size: int) -> bool:
        """Return whether a file of that length and size is to be followed by another."""
        return (0 < self.split_s <= seconds) or (0 < self.split_bytes <= size)


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
