"""Calibrated camera: a pinhole with lens distortion, by the convention of OpenCV.

The camera's axes are x right, y down, z along the optical axis. Pixel (0, 0) is the centre
of the first pixel. Source: Hartley and Zisserman, Multiple View Geometry, 2nd edition, chapter 6.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from deeplabstream.core.lens_distortion import (
    DISTORTIONS,
    LENGTHS,
    Floats,
    distorted,
    padded,
    turns_back,
)
from deeplabstream.space.fast_undistortion import Undistortion

LARGEST = 1e9
"""Largest number of a camera; larger ones are damaged, and their squares may overflow."""
_ROTATION_TOLERANCE = 1e-3
"""Largest deviation of a rotation matrix from an orthonormal one: files are rounded."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedCamera:
    """Lens and position of one camera.

    Attributes
    ----------
    name : str
        Name of the camera.
    matrix : numpy.ndarray of float64, shape (3, 3)
        Focal lengths, skew and principal point in pixels; the last row is 0, 0, 1.
    distortion : numpy.ndarray of float64, shape (5,), (8,) or (12,)
        Coefficients in the order of `DISTORTIONS`. Fewer are filled with zeros.
    rotation : numpy.ndarray of float64, shape (3, 3)
        Rotation from the world's axes to the camera's.
    translation : numpy.ndarray of float64, shape (3,)
        The world's origin in the camera's axes, in the unit of the world.
    size : tuple of int
        Height and width of the images in pixels; (0, 0): not known.

    Raises
    ------
    ValueError
        A value is not possible; the message begins with its name.
    """

    name: str
    matrix: Floats
    distortion: Floats
    rotation: Floats
    translation: Floats
    size: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        checked = {
            "matrix": _matrix(self.matrix),
            "distortion": _distortion(self.distortion),
            "rotation": _rotation(self.rotation),
            "translation": _numbers("translation", self.translation, (3,)),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def centre(self) -> Floats:
        """Position (3,) of the camera in the world."""
        return np.asarray(-self.rotation.T @ self.translation)

    @property
    def skew(self) -> float:
        """Skew in pixels; 0 where the pixels' axes are perpendicular."""
        return float(self.matrix[0, 1])

    def in_axes(self, points: ArrayLike) -> Floats:
        """Return points (..., 3) of the world in the camera's axes, (..., 3)."""
        return np.asarray(points, np.float64) @ self.rotation.T + self.translation

    def project(self, points: ArrayLike) -> Floats:
        """Return where the camera sees points.

        Parameters
        ----------
        points : array of float, shape (..., 3)
            In the world. NaN stays NaN.

        Returns
        -------
        numpy.ndarray of float64, shape (..., 2)
            x, y in pixels, also outside the image. NaN: behind the camera, or so far from
            the axis that the model of the lens turns back towards it.
        """
        seen = self.in_axes(points)
        depth = np.where(seen[..., 2:] > 0, seen[..., 2:], np.nan)
        flat = seen[..., :2] / depth
        bent = distorted(flat, self.distortion)
        bent[turns_back(flat, self.distortion)] = np.nan
        return self.to_pixels(bent)

    def to_pixels(self, flat: ArrayLike) -> Floats:
        """Return pixels (..., 2) of points (..., 2) in the plane at distance 1."""
        return np.asarray(flat, np.float64) @ self.matrix[:2, :2].T + self.matrix[:2, 2]

    def undistort(self, pixels: ArrayLike) -> Floats:
        """Return the directions in which the camera sees pixels.

        By iteration; the model of the lens has no inverse in closed form.

        Parameters
        ----------
        pixels : array of float, shape (..., 2)
            x, y. NaN stays NaN.

        Returns
        -------
        numpy.ndarray of float64, shape (..., 2)
            x / z, y / z in the camera's axes: points without distortion in the plane at
            distance 1. NaN: the lens shows no direction there.
        """
        inverse = np.linalg.inv(self.matrix[:2, :2])
        bent = (np.asarray(pixels, np.float64) - self.matrix[:2, 2]) @ inverse.T
        undistorted = Undistortion([self.distortion])
        return undistorted(bent.reshape(1, -1, 2)).reshape(bent.shape)


def _numbers(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Floats:
    try:
        numbers = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be numbers") from None
    if numbers.size == int(np.prod(shape)):
        numbers = numbers.reshape(shape)
    if numbers.shape != shape:
        expected = " × ".join(map(str, shape))
        raise ValueError(f"{name} must be {expected} numbers, not {numbers.size}")
    if not (np.abs(numbers) <= LARGEST).all():
        raise ValueError(
            f"{name} has a number that is not finite, or above {LARGEST:g}"
        )
    return numbers


def _matrix(value: ArrayLike) -> Floats:
    matrix = _numbers("matrix", value, (3, 3))
    if not np.allclose(matrix[2], (0, 0, 1)) or matrix[1, 0] != 0:
        raise ValueError(
            "matrix must be fx, skew, cx; 0, fy, cy; 0, 0, 1. Is it transposed?"
        )
    if not (matrix[0, 0] > 0 and matrix[1, 1] > 0):
        raise ValueError("matrix must have focal lengths above 0")
    return matrix


def _distortion(value: ArrayLike) -> Floats:
    try:
        given = np.array(value, np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        raise ValueError("distortion must be numbers") from None
    used = int(np.flatnonzero(given)[-1]) + 1 if given.any() else 0
    if used > LENGTHS[-1]:
        raise ValueError(
            f"distortion has {used} coefficients; the largest possible number is "
            f"{LENGTHS[-1]} ({', '.join(DISTORTIONS)})"
        )
    coefficients = padded(given[:used])
    return _numbers("distortion", coefficients, coefficients.shape)


def _rotation(value: ArrayLike) -> Floats:
    rotation = _numbers("rotation", value, (3, 3))
    away = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if away > _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
        raise ValueError("rotation is not a rotation matrix")
    left, _, right = np.linalg.svd(rotation)
    return np.asarray(left @ right)
