"""Undistortion of few points of several cameras, for each moment of a live stream."""

from collections.abc import Sequence

import numpy as np

from deeplabstream.core.lens_distortion import STEPS, Floats, padded, undistorted

_IDENTITY = np.eye(3)
_PRECISION = 1e-12
"""Error below which OpenCV's iteration ends, in focal lengths."""


class Undistortion:
    """The inverse of the lenses of several cameras."""

    def __init__(self, lenses: Sequence[Floats]) -> None:
        """Store the coefficients of each camera, in the order of `DISTORTIONS`."""
        length = max(len(lens) for lens in lenses)
        self._lenses = np.array([padded(lens, length) for lens in lenses])
        self._coefficients = self._lenses.T[..., None]

    def __call__(self, bent: Floats) -> Floats:
        """Return undistorted points of distorted ones (camera, point, 2), as `undistorted`.

        OpenCV's fixed-point iteration converges for most lenses and points, in a tenth of the
        time; Newton's method finds what it leaves.
        """
        if not self._lenses.any() or not bent.size:
            return bent

        import cv2  # settings are read by processes that need not load it

        ends = cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, STEPS, _PRECISION
        start = np.empty_like(bent)
        for place, lens in enumerate(self._lenses):
            found = cv2.undistortPoints(
                bent[place, :, None], _IDENTITY, lens, criteria=ends
            )
            start[place] = found[:, 0]
        return undistorted(bent, self._coefficients, start)
