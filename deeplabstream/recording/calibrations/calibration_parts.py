"""Parts of calibration files: the cameras that they describe, and errors with their place."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.lens_distortion import Floats
from deeplabstream.files.foreign_files import read_bytes
from deeplabstream.space.calibrated_camera import LARGEST, CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.rotations import rotation_matrix

MOST_BYTES = 16 << 20
"""Size of a text file of a calibration."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredCalibration:
    """Cameras as a file describes them."""

    path: Path
    """The file, or the folder of files."""
    cameras: tuple[CalibratedCamera, ...]
    """Positions in the unit of the file."""
    unit: str = ""
    """A key of `MM_PER_UNIT`; empty: the file does not say."""

    def group(self, names: Sequence[str] = ()) -> CameraGroup:
        """Return the cameras of those names in their order; none: all.

        CalibrationError: one is missing, or they are no group; the message names the file.
        """
        chosen = tuple(self.camera(name) for name in names) or self.cameras
        with described(str(self.path)):
            return CameraGroup(chosen)

    def camera(self, name: str) -> CalibratedCamera:
        """Return the last camera of that name; CalibrationError: there is none."""
        by_name = {camera.name: camera for camera in self.cameras}
        if name not in by_name:
            raise CalibrationError(
                f"{self.path} has no camera {name}; its cameras are {', '.join(by_name)}"
            )
        return by_name[name]


class CalibrationError(DeepLabStreamError):
    """A calibration can't be read or written; the message names file and key."""


def read_text(file: Path) -> str:
    """Return the text of a calibration file; CalibrationError: it can't be read."""
    try:
        content = read_bytes(file)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CalibrationError(f"{file} can't be read: {reason}") from error
    if len(content) > MOST_BYTES:
        raise CalibrationError(
            f"{file} is not a calibration: it is longer than {MOST_BYTES >> 20} MiB"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CalibrationError(
            f"{file} is not a calibration: it is not UTF-8 text"
        ) from error


@contextmanager
def described(place: str) -> Iterator[None]:
    """Put file and camera before the message of an impossible value."""
    try:
        yield
    except CalibrationError:
        raise
    except (DeepLabStreamError, ValueError, TypeError, OverflowError) as error:
        raise CalibrationError(f"{place}: {error}") from error


def required(part: Mapping[str, Any], names: Sequence[str], advice: str) -> Any:
    """Return the value of the first of some keys; ValueError: it has none."""
    for name in names:
        if name in part:
            return part[name]
    raise ValueError(f"{names[0]} is missing. {advice}")


def numbers(name: str, value: Any) -> Floats:
    """Return an array; ValueError: it has something else than numbers."""
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers") from None


def rotation_of(value: Any) -> Floats:
    """Return the matrix (3, 3) of a rotation vector (3,); a matrix stays as it is."""
    given = numbers("rotation", value)
    if given.size != 3:
        return given
    if not (np.abs(given) <= LARGEST).all():
        raise ValueError("rotation has a number that is not finite, or too large")
    return rotation_matrix(given.ravel())


def check_writable(
    cameras: CameraGroup | StoredCalibration, coefficients: int, keeps_skew: bool
) -> None:
    """Raise CalibrationError where a format can't hold the lens of a camera."""
    for camera in cameras.cameras:
        if len(camera.distortion) > coefficients:
            raise CalibrationError(
                f"camera {camera.name} has {len(camera.distortion)} coefficients of "
                f"distortion, and the format {coefficients}; write aniposelib or opencv"
            )
        if camera.skew and not keeps_skew:
            raise CalibrationError(
                f"camera {camera.name} has a skew of {camera.skew:.3g} px, which programs "
                "that read this format ignore; write label3d"
            )
