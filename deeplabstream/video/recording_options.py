"""Recording options: codec, quality, splitting into files, free disk space."""

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
"""Measured bytes per pixel of a noisy grey image; FFV1: per byte of a pixel."""


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """Options of the section [Recording]."""

    codec: Codec = "h264"
    quality: int | None = None
    """H.264: 0 (best) to 51; MJPEG: 1 to 100 (best); None: the default."""
    split_s: float = 0.0
    """Seconds after which a new file begins; 0: never."""
    split_aligned: bool = False
    """Whether a new file begins at multiples of `split_s` by the time of day."""
    split_bytes: int = 0
    """Bytes after which a new file begins; 0: never."""
    min_free_bytes: int = 0
    """Recording stops when less is free on the disk."""
    planned_s: float = 0.0
    """Planned duration, for the check of disk space; 0: unknown."""

    def codec_for(self, form: ImageFormat) -> Codec:
        """Return the codec for a format; more than 8 bits are recorded without loss."""
        return "ffv1" if form.dtype == "uint16" else self.codec

    def check_form(self, camera: str, form: ImageFormat) -> None:
        """Raise DeviceError when no codec records the format of a camera."""
        if form.dtype == "uint16" and len(form.shape) == 3:
            raise DeviceError(
                f"Nothing is recorded: [Camera {camera}] delivers 16-bit colour, "
                "which no codec here records; choose 8-bit colour or grey "
                f"(PIXEL_FORMAT, where it has that key), or set [Camera {camera}] "
                "RECORD = no"
            )

    @property
    def level(self) -> int:
        """The quality; the default of the codec if none is set."""
        if self.quality is None:
            return _USUAL[self.codec]
        return self.quality if self.codec == "mjpeg" else min(self.quality, 51)

    def remarks(self, camera: str, form: ImageFormat) -> list[str]:
        """Return sentences on differences between the video and the settings."""
        codec = self.codec_for(form)
        if codec != self.codec:
            return [
                f"[Camera {camera}] delivers 16 bits: its video is ffv1, without "
                f"loss, and not {self.codec}"
            ]
        if codec == "h264_nvenc" and len(form.shape) == 2:
            return [
                f"[Camera {camera}] is grey and h264_nvenc records only colour: its video "
                "has empty colour planes"
            ]
        return []

    def bytes_per_second(self, form: ImageFormat) -> float:
        """Return the largest data rate of a video; smooth images need a tenth of it."""
        codec, size = self.codec_for(form), form.height * form.width
        if codec == "ffv1":
            size = form.nbytes
        elif len(form.shape) == 3:
            size = size * 3 // 2
        return size * _PER_PIXEL[codec] * (form.rate or 30)

    def check_free_disk_space(
        self, folder: Path, formats: Iterable[ImageFormat]
    ) -> None:
        """Raise DeviceError when the disk has not enough free space."""
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
        """Return whether a new file begins after this duration or size, at any time of day."""
        by_time = not self.split_aligned and 0 < self.split_s <= seconds
        return by_time or 0 < self.split_bytes <= size


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
