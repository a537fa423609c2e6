"""Calibrated camera: a pinhole with lens distortion, by the convention of OpenCV.

The camera's axes are x right, y down, z along the optical axis. Pixel (0, 0) is the centre
of the first pixel. Sources: Hartley and Zisserman, Multiple View Geometry, 2nd edition
(chapter 6: pinhole and matrix; section 7.4: radial distortion); OpenCV, module calib3d
(tangential and rational distortion, thin prism).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

DISTORTIONS = (
    *("k1", "k2", "p1", "p2", "k3"),
    *("k4", "k5", "k6"),
    *("s1", "s2", "s3", "s4"),
)
"""Names of the coefficients of a lens, in the order of OpenCV."""
LARGEST = 1e9
"""Largest number of a camera; larger ones are damaged, and their squares may overflow."""
_LENGTHS = (5, 8, 12)
"""Numbers of coefficients that a camera can have."""
_ROTATION_TOLERANCE = 1e-3
"""Largest deviation of a rotation matrix from an orthonormal one: files are rounded."""
_STEPS = 20
_CONVERGED = 1e-9
"""Newton's method ends below this error, in focal lengths."""
_UNDISTORTED = 1e-6
"""Largest error, in focal lengths, of a point that counts as undistorted."""


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
        coefficients = all_coefficients(self.distortion)
        bent = _distorted(flat, coefficients)
        bent[_turns_back(flat, coefficients)] = np.nan
        return self.to_pixels(bent)

    def to_pixels(self, flat: ArrayLike) -> Floats:
        """Return pixels (..., 2) of points (..., 2) in the plane at distance 1."""
        return np.asarray(flat, np.float64) @ self.matrix[:2, :2].T + self.matrix[:2, 2]

    def undistort(self, pixels: ArrayLike) -> Floats:
        """Return the directions in which the camera sees pixels.

        By Newton's method; the model of the lens has no inverse in closed form.

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
        return undistorted(bent, all_coefficients(self.distortion))


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
    if used > _LENGTHS[-1]:
        raise ValueError(
            f"distortion has {used} coefficients; the largest possible number is "
            f"{_LENGTHS[-1]} ({', '.join(DISTORTIONS)})"
        )
    length = next(length for length in _LENGTHS if used <= length)
    padded = np.zeros(length)
    padded[:used] = given[:used]
    return _numbers("distortion", padded, (length,))


def _rotation(value: ArrayLike) -> Floats:
    rotation = _numbers("rotation", value, (3, 3))
    away = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if away > _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
        raise ValueError("rotation is not a rotation matrix")
    left, _, right = np.linalg.svd(rotation)
    return np.asarray(left @ right)


def _radial(square: Floats, k: Floats) -> tuple[Floats, Floats]:
    """Return the radial factor of a lens, and its derivative by the squared radius."""
    k1, k2, _, _, k3, k4, k5, k6 = k[:8]
    above = 1 + square * (k1 + square * (k2 + square * k3))
    below = 1 + square * (k4 + square * (k5 + square * k6))
    above_by = k1 + square * (2 * k2 + square * 3 * k3)
    below_by = k4 + square * (2 * k5 + square * 3 * k6)
    return above / below, (above_by * below - above * below_by) / below**2


def all_coefficients(distortion: Floats) -> Floats:
    """Return the coefficients (12,) of a lens, in the order of `DISTORTIONS`."""
    k = np.zeros(_LENGTHS[-1])
    k[: len(distortion)] = distortion
    return k


def _turns_back(flat: Floats, k: Floats) -> NDArray[np.bool_]:
    """Return whether points further from the axis are imaged nearer to it, (...)."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        square = (flat * flat).sum(axis=-1)
        radial, by_square = _radial(square, k)
        return np.asarray(radial + 2 * square * by_square <= 0)


def _distorted(flat: Floats, k: Floats) -> Floats:
    """Return distorted points (..., 2) in the plane at distance 1."""
    p1, p2 = k[2:4]
    s1, s2, s3, s4 = k[8:]
    x, y = flat[..., 0], flat[..., 1]

    # A point far outside the image may overflow: it is not finite, and so not seen.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        square = x * x + y * y
        radial, _ = _radial(square, k)
        prism_x, prism_y = square * (s1 + s2 * square), square * (s3 + s4 * square)
        bent_x = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x) + prism_x
        bent_y = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y + prism_y
    return np.stack([bent_x, bent_y], axis=-1)


def undistorted(bent: Floats, k: Floats) -> Floats:
    """Return the points whose images by lenses are `bent`.

    Parameters
    ----------
    bent : numpy.ndarray of float64, shape (..., 2)
        Distorted points in the plane at distance 1. NaN stays NaN.
    k : numpy.ndarray of float64, shape (12, ...)
        Coefficients in the order of `DISTORTIONS`, for all points, or for each.

    Returns
    -------
    numpy.ndarray of float64, shape (..., 2)
        NaN: the lens shows no direction there.
    """
    if not k.any():
        return bent
    flat = bent.copy()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(_STEPS):
            miss = bent - _distorted(flat, k)
            if not (np.abs(miss) > _CONVERGED).any():
                break
            flat = flat + _newton_step(flat, miss, k)
        else:
            miss = bent - _distorted(flat, k)
        miss = np.abs(miss).max(axis=-1, keepdims=True)
    return np.where(miss <= _UNDISTORTED, flat, np.nan)


def _newton_step(flat: Floats, miss: Floats, k: Floats) -> Floats:
    """Return the change (..., 2) of points that removes an error, to first order."""
    p1, p2 = k[2:4]
    s1, s2, s3, s4 = k[8:]
    x, y = flat[..., 0], flat[..., 1]
    square = x * x + y * y
    radial, by_square = _radial(square, k)
    prism_x, prism_y = s1 + 2 * s2 * square, s3 + 2 * s4 * square

    xx = radial + 2 * x * x * by_square + 2 * p1 * y + 6 * p2 * x + 2 * x * prism_x
    xy = 2 * x * y * by_square + 2 * p1 * x + 2 * p2 * y + 2 * y * prism_x
    yx = 2 * x * y * by_square + 2 * p1 * x + 2 * p2 * y + 2 * x * prism_y
    yy = radial + 2 * y * y * by_square + 6 * p1 * y + 2 * p2 * x + 2 * y * prism_y
    area = xx * yy - xy * yx
    miss_x, miss_y = miss[..., 0], miss[..., 1]
    step_x = (yy * miss_x - xy * miss_y) / area
    step_y = (xx * miss_y - yx * miss_x) / area
    return np.stack([step_x, step_y], axis=-1)
