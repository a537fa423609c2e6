"""Camera agreement: which calibrated cameras the points in their images fit.

A calibration may be copied, outdated or of other videos; a camera may have been turned. Each
pair of cameras shows it: two rays of one point then miss each other.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.triangulation import triangulate

LEAST_POINTS = 10
"""Points that two cameras must both see to be compared."""
_MOST_POINTS = 2000
"""Points that are compared; more do not change a median."""
_MOST_CAMERAS = 12
"""Largest number of cameras: every subset is tried."""


@dataclass(frozen=True, slots=True, eq=False)
class CameraAgreement:
    """How well each two cameras agree.

    Attributes
    ----------
    pair_px : numpy.ndarray of float64, shape (camera, camera)
        Median distance in px of both views from the projections of the point that the two
        give. Infinite: their rays part. NaN: fewer than `LEAST_POINTS` common points.
    agreeing : tuple of tuple of int
        The largest sets of cameras that all agree with each other.
    """

    pair_px: NDArray[np.float64]
    agreeing: tuple[tuple[int, ...], ...]

    @property
    def is_complete(self) -> bool:
        """Whether all cameras agree."""
        return len(self.agreeing[0]) == len(self.pair_px)

    @property
    def outlying(self) -> tuple[int, ...]:
        """Cameras that do not agree with the others; empty: none, or it is not known which."""
        if len(self.agreeing) != 1 or len(self.agreeing[0]) < 2:
            return ()
        return tuple(
            camera
            for camera in range(len(self.pair_px))
            if camera not in self.agreeing[0]
        )


def camera_agreement(
    cameras: CameraGroup,
    pixels: NDArray[np.floating],
    weights: NDArray[np.floating],
    limit_px: float,
) -> CameraAgreement:
    """Return which cameras agree on points.

    Parameters
    ----------
    cameras : CameraGroup
        Calibrated cameras, 12 at most.
    pixels : numpy.ndarray of float, shape (camera, point, 2)
        x, y in the image of each camera. NaN: not seen.
    weights : numpy.ndarray of float, shape (camera, point)
        Confidence of each view; 0 or NaN: not used.
    limit_px : float
        Two cameras agree up to this median distance.

    Returns
    -------
    CameraAgreement
        Cameras without common points agree.

    Raises
    ------
    ValueError
        There are more cameras.
    """
    count = len(cameras)
    if count > _MOST_CAMERAS:
        raise ValueError(f"{count} cameras; {_MOST_CAMERAS} are possible")
    usable = np.isfinite(pixels).all(axis=-1) & (weights > 0)
    pair_px = np.full((count, count), np.nan)
    for one, other in combinations(range(count), 2):
        common = np.flatnonzero(usable[one] & usable[other])
        if len(common) < LEAST_POINTS:
            continue
        common = common[:: -(-len(common) // _MOST_POINTS)]
        pair = CameraGroup((cameras.cameras[one], cameras.cameras[other]))
        views = pixels[[one, other]][:, common]
        found = triangulate(pair, views, limit_px=np.inf).reprojection_px
        median = float(np.median(np.where(np.isfinite(found), found, np.inf)))
        pair_px[one, other] = pair_px[other, one] = median
    return CameraAgreement(pair_px, _largest_sets(pair_px, limit_px))


def _largest_sets(
    pair_px: NDArray[np.float64], limit_px: float
) -> tuple[tuple[int, ...], ...]:
    fits = ~(pair_px > limit_px)
    cameras = range(len(pair_px))
    for size in range(len(pair_px), 1, -1):
        found = tuple(
            chosen
            for chosen in combinations(cameras, size)
            if all(fits[pair] for pair in combinations(chosen, 2))
        )
        if found:
            return found
    return tuple((camera,) for camera in cameras)
