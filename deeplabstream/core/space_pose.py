"""Pose in space: the body parts of one animal in mm, with their errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.packing import Packed
from deeplabstream.core.pose import Skeleton

SPACE = "space"
"""Name of the pose in space where settings and tables name a camera."""


@dataclass(frozen=True, slots=True, eq=False)
class SpacePose(Packed):
    """Positions in space of the body parts of one animal, at one moment.

    Attributes
    ----------
    skeleton : Skeleton
        Body parts, as the network names them.
    cameras : tuple of str
        The calibrated cameras, in the order of the arrays below.
    time_ns : int
        Time of the moment on the run's clock: of the earliest exposure of its views.
    points : numpy.ndarray of float32, shape (body part, 3)
        x, y, z in mm in the axes of the calibration, z up. NaN: not known.
    error_mm : numpy.ndarray of float32, shape (body part,)
        Standard error of each point (`space.triangulation`). NaN where the point is.
    reprojection_px : numpy.ndarray of float32, shape (body part,)
        Root mean square distance of the used views from the point's projections.
    confidence : numpy.ndarray of float32, shape (body part,)
        Mean confidence of the used views. NaN where the point is.
    used : numpy.ndarray of bool, shape (camera, body part)
        Views that the points were computed from.
    left_out_px : numpy.ndarray of float32, shape (camera, body part)
        Distance of each view from the point that the other cameras give. NaN: not known.
    """

    skeleton: Skeleton
    cameras: tuple[str, ...]
    time_ns: int
    points: NDArray[np.float32]
    error_mm: NDArray[np.float32]
    reprojection_px: NDArray[np.float32]
    confidence: NDArray[np.float32]
    used: NDArray[np.bool_]
    left_out_px: NDArray[np.float32]

    def places(self, bodyparts: Sequence[str]) -> list[list[float]]:
        """Return the points of body parts as lists [x, y, z] in mm; KeyError: no such part."""
        chosen: list[list[float]] = self.points[
            self.skeleton.indices(bodyparts)
        ].tolist()
        return chosen

    def errors(self, bodyparts: Sequence[str]) -> list[float]:
        """Return the standard errors of body parts in mm; NaN: not known."""
        chosen: list[float] = self.error_mm[self.skeleton.indices(bodyparts)].tolist()
        return chosen
