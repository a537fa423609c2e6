"""Lens distortion: radial, tangential and thin prism, by the model of OpenCV, and its inverse.

Sources: Hartley and Zisserman, Multiple View Geometry, 2nd edition, section 7.4 (radial);
OpenCV, module calib3d (rational, tangential, thin prism). Points are in the plane at distance 1
from the camera, in focal lengths from the optical axis.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DISTORTIONS = (
    *("k1", "k2", "p1", "p2", "k3"),
    *("k4", "k5", "k6"),
    *("s1", "s2", "s3", "s4"),
)
"""Names of the coefficients of a lens, in the order of OpenCV."""
_STEPS = 20
_CONVERGED = 1e-9
"""The methods end below this error, in focal lengths."""
_UNDISTORTED = 1e-6
"""Largest error, in focal lengths, of a point that counts as undistorted."""
_IDENTITY = np.eye(3)
_PRECISION = 1e-12
"""Error below which OpenCV's iteration ends, in focal lengths."""


class LensDistortion:
    """Distortion of the lenses of one camera or of several.

    Parameters
    ----------
    coefficients : numpy.ndarray of float64, shape (camera, 12)
        In the order of `DISTORTIONS`.
    """

    def __init__(self, coefficients: Floats) -> None:
        self._lenses = coefficients
        k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = coefficients.T[..., None]
        self._above, self._below = (k1, k2, k3), (k4, k5, k6)
        self._rational = bool(coefficients[:, 5:8].any())
        self._tangential = np.stack([p2, p1], axis=-1)
        self._prism = np.stack([s1, s3], axis=-1), np.stack([s2, s4], axis=-1)
        self._has_prism = bool(coefficients[:, 8:].any())

    def distort(self, flat: Floats) -> Floats:
        """Return distorted points (camera, point, 2)."""
        # x (radial + 2 (p2 x + p1 y)) + r² (p2 + s1 + s2 r²), and the same for y. A point far
        # outside the image may overflow: it is not finite, and so not seen.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            square = (flat * flat).sum(axis=-1)
            along = self._radial(square) + 2 * (self._tangential * flat).sum(axis=-1)
            square, across = square[..., None], self._tangential
            if self._has_prism:
                across = across + self._prism[0] + self._prism[1] * square
            return np.asarray(along[..., None] * flat + across * square)

    def turns_back(self, flat: Floats) -> NDArray[np.bool_]:
        """Return whether points further from the axis are imaged nearer to it (camera, point)."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            square = (flat * flat).sum(axis=-1)
            by_square = self._radial_slope(square)
            return np.asarray(self._radial(square) + 2 * square * by_square <= 0)

    def undistort(self, bent: Floats) -> Floats:
        """Return the points whose images by the lenses are `bent`.

        OpenCV's fixed-point iteration converges for most lenses and points, in a tenth of the
        time. Newton's method, from the distorted points, finds what it leaves.

        Parameters
        ----------
        bent : numpy.ndarray of float64, shape (camera, point, 2)
            Distorted points. NaN stays NaN.

        Returns
        -------
        numpy.ndarray of float64, shape (camera, point, 2)
            NaN: the lens shows no direction there.
        """
        if not self._lenses.any() or not bent.size:
            return bent

        import cv2  # settings are read by processes that need not load it

        ends = cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, _STEPS, _PRECISION
        flat = np.empty_like(bent)
        for place, lens in enumerate(self._lenses):
            found = cv2.undistortPoints(
                bent[place, :, None], _IDENTITY, lens, criteria=ends
            )
            flat[place] = found[:, 0]

        missed = ~(np.abs(bent - self.distort(flat)) <= _CONVERGED)
        if missed.any():
            flat = np.where(missed.any(axis=-1, keepdims=True), bent, flat)
            flat = self._by_newton(bent, flat)
        return flat

    def _by_newton(self, bent: Floats, flat: Floats) -> Floats:
        """Return undistorted points, begun at `flat`; NaN: the method does not converge."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for _ in range(_STEPS):
                miss = bent - self.distort(flat)
                if not (np.abs(miss) > _CONVERGED).any():
                    break
                flat = flat + self._newton_step(flat, miss)
            else:
                miss = bent - self.distort(flat)
            found = (np.abs(miss) <= _UNDISTORTED).all(axis=-1)
        # where the model turns back, it gives a second point that no camera sees
        found &= ~self.turns_back(flat)
        return np.where(found[..., None], flat, np.nan)

    def _newton_step(self, flat: Floats, miss: Floats) -> Floats:
        """Return the change (camera, point, 2) that removes an error, to first order."""
        p2, p1 = np.moveaxis(self._tangential, -1, 0)
        (s1, s3), (s2, s4) = (np.moveaxis(it, -1, 0) for it in self._prism)
        x, y = flat[..., 0], flat[..., 1]
        square = x * x + y * y
        radial, by_square = self._radial(square), self._radial_slope(square)
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

    def _radial(self, square: Floats) -> Floats:
        """Return the radial factor (camera, point) at squared radii."""
        above = _polynomial(square, *self._above)
        if not self._rational:
            return above
        return np.asarray(above / _polynomial(square, *self._below))

    def _radial_slope(self, square: Floats) -> Floats:
        """Return the derivative of the radial factor by the squared radius."""
        above, below = (_polynomial(square, *it) for it in (self._above, self._below))
        above_by, below_by = (_slope(square, *it) for it in (self._above, self._below))
        return np.asarray((above_by * below - above * below_by) / below**2)


def all_coefficients(distortion: Floats) -> Floats:
    """Return the coefficients (12,) of a lens, in the order of `DISTORTIONS`."""
    k = np.zeros(len(DISTORTIONS))
    k[: len(distortion)] = distortion
    return k


def _polynomial(square: Floats, a: Floats, b: Floats, c: Floats) -> Floats:
    return np.asarray(1 + square * (a + square * (b + square * c)))


def _slope(square: Floats, a: Floats, b: Floats, c: Floats) -> Floats:
    return np.asarray(a + square * (2 * b + square * 3 * c))
