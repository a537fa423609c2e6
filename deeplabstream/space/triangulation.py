"""Triangulation: points in space from several calibrated cameras, with their errors.

A point starts at the least-squares intersection of its rays (Hartley and Zisserman, Multiple
View Geometry, 2nd edition, 12.2, inhomogeneous linear triangulation) and is improved by
Gauss-Newton steps on the reprojection error (12.3, A6.1), which is the maximum-likelihood
estimate for Gaussian noise in the images. Weights are confidences. Where the views disagree,
each pair of cameras proposes a point, and the one with the smallest truncated error wins
(MSAC: Torr and Zisserman, Computer Vision and Image Understanding 78 (2000) 138; here all
pairs are tried, not random ones).
"""

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from deeplabstream.space.calibrated_camera import Floats
from deeplabstream.space.camera_group import CameraGroup

LIMIT_PX = 10.0
"""Distance of a view from the point's projection above which it is rejected."""
NOISE_PX = 1.0
"""Smallest noise of a view that errors are computed from."""
_STEPS = 3
"""Gauss-Newton steps; the linear start is within their reach."""
_CONVERGED_MM = 1e-3
"""Gauss-Newton ends after a step below this."""
_SINGULAR = 1e-12
"""Determinant, as a share of that of well placed views, at which rays count as parallel."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class TriangulatedPoints:
    """Points in space, and how well the cameras agree on them.

    Attributes
    ----------
    points : numpy.ndarray of float64, shape (..., 3)
        In the world, in the unit of the cameras (mm). NaN: fewer than two views agree, no
        majority of those that saw the point agrees, or their rays are parallel.
    error_mm : numpy.ndarray of float64, shape (...)
        Standard error: root of the summed variances of the three coordinates, for the
        noise that the residuals show (at least `noise_px`). NaN where the point is.
    reprojection_px : numpy.ndarray of float64, shape (...)
        Root mean square distance of the used views from the point's projections.
    used : numpy.ndarray of bool, shape (camera, ...)
        Views that the point was computed from; the others were not seen or rejected.
    seen : numpy.ndarray of bool, shape (camera, ...)
        Views with a position and a weight above 0.
    left_out_mm : numpy.ndarray of float64, shape (camera, ...)
        How far the point moves when this camera is left out. NaN: the camera was not used,
        or only one other was.
    left_out_px : numpy.ndarray of float64, shape (camera, ...)
        Distance of this camera's view from the projection of the point that the other used
        cameras give, also of a rejected view. NaN: it saw nothing, or fewer than two others
        were used.
    """

    points: Floats
    error_mm: Floats
    reprojection_px: Floats
    used: Flags
    seen: Flags
    left_out_mm: Floats
    left_out_px: Floats


def triangulate(
    cameras: CameraGroup,
    pixels: NDArray[np.floating],
    weights: NDArray[np.floating] | None = None,
    limit_px: float = LIMIT_PX,
    noise_px: float = NOISE_PX,
    leave_out: bool = True,
) -> TriangulatedPoints:
    """Return points in space from their positions in the cameras' images.

    Parameters
    ----------
    cameras : CameraGroup
        Calibrated cameras.
    pixels : numpy.ndarray of float, shape (camera, ..., 2)
        x, y in the image of each camera, distorted as the lens shows them. NaN: not seen.
    weights : numpy.ndarray of float, shape (camera, ...), optional
        Confidence of each view; 0 or NaN: not used. Default: 1.
    limit_px : float
        A view further than this from the point's projection is rejected.
    noise_px : float
        Noise of a view from which errors are computed; larger residuals replace it.
    leave_out : bool
        Whether the errors by leaving each camera out are computed, which takes as long as
        all the rest; they are NaN otherwise.

    Returns
    -------
    TriangulatedPoints
        `points` is NaN where fewer than two views, or no majority, agree within `limit_px`.
        A wrong view of two is noticed only where its ray misses the other.

    Raises
    ------
    ValueError
        Shapes do not match the cameras.
    """
    shape = pixels.shape[1:-1]
    if len(pixels) != len(cameras) or pixels.shape[-1] != 2:
        raise ValueError(
            f"pixels of shape {pixels.shape} for {len(cameras)} cameras: expected "
            "(camera, ..., 2)"
        )
    if weights is None:
        weights = np.ones(pixels.shape[:-1])
    if np.shape(weights) != pixels.shape[:-1]:
        raise ValueError(
            f"weights of shape {np.shape(weights)} for pixels of {pixels.shape}"
        )

    flat_pixels = np.asarray(pixels, np.float64).reshape(len(cameras), -1, 2)
    views = _Views.of(cameras, flat_pixels, weights, limit_px, noise_px)
    return _shaped(views.triangulate(leave_out), shape)


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """Undistorted views of points: what all steps of triangulation share."""

    rotations: Floats
    """(camera, 3, 3)"""
    translations: Floats
    """(camera, 3)"""
    focal: Floats
    """(camera, 1, 2): pixels per unit of the plane at distance 1."""
    flat: Floats
    """(camera, point, 2): directions as `CalibratedCamera.undistort` gives them."""
    weights: Floats
    """(camera, point); 0: not seen."""
    limit_px: float
    noise_px: float

    @classmethod
    def of(
        cls,
        cameras: CameraGroup,
        pixels: Floats,
        weights: NDArray[np.floating],
        limit_px: float,
        noise_px: float,
    ) -> "_Views":
        flat = cameras.undistort(pixels)
        weights = np.asarray(weights, np.float64).reshape(flat.shape[:-1])
        seen = np.isfinite(flat).all(axis=-1) & (weights > 0)
        own = cameras.cameras
        return cls(
            np.array([camera.rotation for camera in own]),
            np.array([camera.translation for camera in own]),
            np.array([np.diag(camera.matrix)[:2] for camera in own])[:, None],
            np.where(seen[..., None], flat, 0.0),
            np.where(seen, weights, 0.0),
            limit_px,
            noise_px,
        )

    @property
    def seen(self) -> Flags:
        return np.asarray(self.weights > 0)

    def of_points(self, chosen: Flags) -> "_Views":
        """Return the views of some points (point,)."""
        flat, weights = self.flat[:, chosen], self.weights[:, chosen]
        return replace(self, flat=flat, weights=weights)

    def triangulate(self, leave_out: bool = True) -> TriangulatedPoints:
        """Return the points (point, 3), views rejected where they disagree."""
        used = self.seen
        points = self.solve(used)

        # All views of most points agree; only the others need the search over pairs.
        apart = self.distances_px(points)
        disagrees = (used & ~(apart <= self.limit_px)).any(axis=0)
        disagrees &= used.sum(axis=0) >= 2
        if disagrees.any():
            of_disagreeing = self.of_points(disagrees)
            used[:, disagrees] = of_disagreeing.agreeing()
            points[disagrees] = of_disagreeing.solve(used[:, disagrees])

        # A solution from the views that agree with a pair must itself agree with them.
        apart = self.distances_px(points)
        known = np.isfinite(points).all(axis=-1)
        known &= ~(used & ~(apart <= self.limit_px)).any(axis=0)
        # Two wrong views may agree by chance: a minority decides nothing.
        known &= 2 * used.sum(axis=0) > self.seen.sum(axis=0)
        points[~known] = np.nan
        used &= known
        return self.with_errors(points, used, leave_out)

    def solve(self, used: Flags) -> Floats:
        """Return points (point, 3) from the views (camera, point) that are used."""
        weights = np.where(used, self.weights, 0.0)
        points = self._linear(weights)
        for _ in range(_STEPS):
            residual, slope = self._residuals(points)
            inverse = _inverse(_normal(slope, weights))
            gradient = np.einsum("cpad,cp,cpa->pd", slope, weights, residual)
            step = np.einsum("pde,pe->pd", inverse, gradient)
            points = points - step
            # it converges quadratically: the next step would be far below this one
            if not (np.abs(step) > _CONVERGED_MM).any():
                break
        points[used.sum(axis=0) < 2] = np.nan

        # The linear solution may lie behind a camera that sees it.
        depth = self._in_axes(points)[..., 2]
        points[(used & ~(depth > 0)).any(axis=0)] = np.nan
        return points

    def distances_px(self, points: Floats) -> Floats:
        """Return the distance (camera, point) of each view from the point's projection.

        NaN: not seen, or behind the camera. In pixels without distortion.
        """
        seen_from = self._in_axes(points)
        depth = np.where(seen_from[..., 2:] > 0, seen_from[..., 2:], np.nan)
        miss = (seen_from[..., :2] / depth - self.flat) * self.focal
        return np.where(self.seen, np.linalg.norm(miss, axis=-1), np.nan)

    def agreeing(self) -> Flags:
        """Return the views (camera, point) that agree with the best pair of cameras."""
        shape = self.seen.shape
        best = np.full(shape[1], np.inf)
        agreeing = np.zeros(shape, bool)
        for pair in combinations(range(shape[0]), 2):
            used = np.zeros(shape, bool)
            used[list(pair)] = self.seen[list(pair)]
            apart = self.distances_px(self.solve(used))
            fits = apart <= self.limit_px

            # The truncated error of a view that was not seen is 0.
            truncated = np.where(fits, apart, self.limit_px) ** 2
            cost = (self.weights * truncated).sum(axis=0)
            cost[~(fits & used).sum(axis=0, dtype=bool)] = np.inf
            cost[(fits & used).sum(axis=0) < 2] = np.inf
            better = cost < best
            best[better] = cost[better]
            agreeing[:, better] = fits[:, better]
        return agreeing

    def with_errors(
        self, points: Floats, used: Flags, leave_out: bool
    ) -> TriangulatedPoints:
        """Return the points with the errors of each, and by leaving each camera out."""
        apart = np.where(used, self.distances_px(points), np.nan)
        count = used.sum(axis=0)
        squares = np.nansum(apart**2, axis=0)
        known = np.isfinite(points).all(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            rms = np.where(known, np.sqrt(squares / count), np.nan)

        left_out_mm = np.full(used.shape, np.nan)
        left_out_px = np.full(used.shape, np.nan)
        if leave_out:
            left_out_mm, left_out_px = self._left_out(points, used)
        error_mm = self._standard_error(points, used, squares)
        return TriangulatedPoints(
            points, error_mm, rms, used, self.seen, left_out_mm, left_out_px
        )

    def _left_out(self, points: Floats, used: Flags) -> tuple[Floats, Floats]:
        """Return `left_out_mm` and `left_out_px` of `TriangulatedPoints`, (camera, point)."""
        cameras, count = used.shape
        # one solution for all: each point is there once for each camera that is left out
        repeated = replace(
            self, flat=np.tile(self.flat, (1, cameras, 1)), weights=self._tiled
        )
        others = np.tile(used, (1, cameras)).reshape(cameras, cameras, count)
        each = np.arange(cameras)
        others[each, each] = False
        without = repeated.solve(others.reshape(cameras, -1))

        apart = repeated.distances_px(without).reshape(cameras, cameras, count)
        moved = np.linalg.norm(without.reshape(cameras, count, 3) - points, axis=-1)
        return np.where(used, moved, np.nan), apart[each, each]

    @property
    def _tiled(self) -> Floats:
        return np.tile(self.weights, (1, len(self.weights)))

    def _standard_error(self, points: Floats, used: Flags, squares: Floats) -> Floats:
        """Return the root (point,) of the trace of the points' covariance.

        The covariance is that of weighted least squares, H⁻¹ (Jᵀ W² J) H⁻¹ σ² with
        H = Jᵀ W J. σ² is the mean square of the residuals by degrees of freedom, at least
        that of `noise_px`: with two or three views the residuals alone say little.
        """
        weights = np.where(used, self.weights, 0.0)
        _, slope = self._residuals(points)
        inverse = _inverse(_normal(slope, weights))
        between = _normal(slope, weights**2)
        covariance = inverse @ between @ inverse
        freedom = np.maximum(2 * used.sum(axis=0) - 3, 1)
        variance = np.maximum(squares / freedom, self.noise_px**2)
        trace = np.trace(covariance, axis1=1, axis2=2)
        error = np.sqrt(np.maximum(trace, 0) * variance)
        return np.where(np.isfinite(points).all(axis=-1), error, np.nan)

    def _in_axes(self, points: Floats) -> Floats:
        """Return points (point, 3) in the axes of each camera, (camera, point, 3)."""
        turned = np.einsum("cij,pj->cpi", self.rotations, points)
        return np.asarray(turned + self.translations[:, None])

    def _linear(self, weights: Floats) -> Floats:
        """Return the least-squares intersection (point, 3) of the rays."""
        axes = self.rotations[:, None]
        # x (r3 · X + t3) = r1 · X + t1, and the same for y
        rows = axes[:, :, :2] - self.flat[..., None] * axes[:, :, 2:]
        moved = self.translations[:, None]
        values = self.flat * moved[..., 2:] - moved[..., :2]
        right = np.einsum("cpad,cp,cpa->pd", rows, weights, values)
        inverse = _inverse(_normal(rows, weights))
        return np.asarray(np.einsum("pde,pe->pd", inverse, right))

    def _residuals(self, points: Floats) -> tuple[Floats, Floats]:
        """Return residuals (camera, point, 2) in px, and their derivatives (…, 2, 3)."""
        seen_from = self._in_axes(points)
        depth = seen_from[..., 2:]
        # A point at a camera's centre has no projection.
        depth = np.where(np.abs(depth) > 0, depth, np.nan)
        flat = seen_from[..., :2] / depth
        residual = (flat - self.flat) * self.focal
        axes = self.rotations[:, None]
        slope = (axes[:, :, :2] - flat[..., None] * axes[:, :, 2:]) / depth[..., None]
        slope = slope * self.focal[..., None]
        known = self.seen[..., None] & np.isfinite(residual)
        return (
            np.where(known, residual, 0.0),
            np.where(known[..., None], slope, 0.0),
        )


def _normal(rows: Floats, weights: Floats) -> Floats:
    """Return the matrices (point, 3, 3) of the normal equations of rows (…, 2, 3)."""
    return np.asarray(np.einsum("cpad,cp,cpae->pde", rows, weights, rows))


def _inverse(matrices: Floats) -> Floats:
    """Return the inverses (point, 3, 3) of symmetric matrices; NaN: it is singular.

    In closed form: a stack with one singular matrix has no inverse in numpy.
    """
    a, b, c = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 0, 2]
    d, e, f = matrices[:, 1, 1], matrices[:, 1, 2], matrices[:, 2, 2]
    inverse = np.empty_like(matrices)
    inverse[:, 0, 0] = first = d * f - e * e
    inverse[:, 0, 1] = inverse[:, 1, 0] = second = c * e - b * f
    inverse[:, 0, 2] = inverse[:, 2, 0] = third = b * e - c * d
    inverse[:, 1, 1] = a * f - c * c
    inverse[:, 1, 2] = inverse[:, 2, 1] = b * c - a * e
    inverse[:, 2, 2] = a * d - b * b

    determinant = a * first + b * second + c * third
    scale = ((a + d + f) / 3) ** 3
    regular = determinant > _SINGULAR * scale
    inverse /= np.where(regular, determinant, np.nan)[:, None, None]
    return inverse


def _shaped(found: TriangulatedPoints, shape: tuple[int, ...]) -> TriangulatedPoints:
    """Return the same points with the axes that the pixels had."""
    cameras = len(found.used)
    return TriangulatedPoints(
        found.points.reshape(*shape, 3),
        found.error_mm.reshape(shape),
        found.reprojection_px.reshape(shape),
        found.used.reshape(cameras, *shape),
        found.seen.reshape(cameras, *shape),
        found.left_out_mm.reshape(cameras, *shape),
        found.left_out_px.reshape(cameras, *shape),
    )
