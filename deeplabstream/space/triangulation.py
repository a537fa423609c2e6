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

from deeplabstream.core.lens_distortion import Floats
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
class _Fit:
    """Points in space, and how the cameras see them."""

    points: Floats
    """(point, 3); NaN: fewer than two views, parallel rays, or behind a camera."""
    slopes: Floats
    """(camera, point, 2, 3): derivatives of the projections, px by unit of the world."""
    inverse: Floats
    """(point, 3, 3): inverse matrix of the normal equations of the last step."""
    apart_px: Floats
    """(camera, point): distance of each view from the projection; NaN: not seen, or behind."""


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """Undistorted views of points: what all steps of triangulation share.

    For a few points each operation of numpy costs more than its work, so the steps are
    written for few operations: all cameras and points at once, and nothing twice.
    """

    axes: Floats
    """(camera, 1, 3, 3): rotations; the rows of x and y times the focal lengths."""
    origins: Floats
    """(camera, 1, 3): translations, scaled as `axes`."""
    shown: Floats
    """(camera, point, 2): x, y in px from the optical axis, without distortion."""
    weights: Floats
    """(camera, point); 0: not seen."""
    seen: Flags
    """(camera, point)"""
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
        axes, origins, focal = cameras.px_axes
        shown = cameras.undistort(pixels) * focal
        weights = np.asarray(weights, np.float64).reshape(shown.shape[:-1])
        seen = np.isfinite(shown[..., 0]) & np.isfinite(shown[..., 1]) & (weights > 0)
        return cls(
            axes,
            origins,
            np.where(seen[..., None], shown, 0.0),
            np.where(seen, weights, 0.0),
            seen,
            limit_px,
            noise_px,
        )

    def of_points(self, chosen: NDArray[np.bool_ | np.intp]) -> "_Views":
        """Return the views of some points (point,)."""
        return replace(
            self,
            shown=self.shown[:, chosen],
            weights=self.weights[:, chosen],
            seen=self.seen[:, chosen],
        )

    def triangulate(self, leave_out: bool = True) -> TriangulatedPoints:
        """Return the points (point, 3), views rejected where they disagree."""
        used = self.seen.copy()
        fit = self.fit(used)

        # All views of most points agree; only the others need the search over pairs.
        wrong = self._beyond_limit(fit, used)
        disagrees = wrong & (used.sum(axis=0) >= 2)
        if disagrees.any():
            used[:, disagrees] = self.of_points(disagrees).agreeing()
            fit = self.fit(used)
            # A solution from the views that agree with a pair must itself agree with them.
            wrong = self._beyond_limit(fit, used)

        # Two wrong views may agree by chance: a minority decides nothing.
        known = np.isfinite(fit.points[:, 0]) & ~wrong
        known &= 2 * used.sum(axis=0) > self.seen.sum(axis=0)
        fit.points[~known] = np.nan
        used &= known
        return self._with_errors(fit, used, leave_out)

    def fit(self, used: Flags) -> _Fit:
        """Return the points for the views (camera, point) that are used."""
        weights = self.weights * used
        points = self._linear(weights)
        for _ in range(_STEPS):
            offsets, slopes, in_front = self._projected(points)
            weighted = slopes * weights[..., None, None]
            inverse = _inverse(np.einsum("cpad,cpae->pde", weighted, slopes))
            gradient = np.einsum("cpad,cpa->pd", weighted, offsets)
            step = np.einsum("pde,pe->pd", inverse, gradient)
            points = points - step
            # it converges quadratically: the next step would be far below this one
            if not (np.abs(step) > _CONVERGED_MM).any():
                # so small a step moves the projections to first order only
                offsets = offsets - np.einsum("cpad,pd->cpa", slopes, step)
                break
        else:
            offsets, slopes, in_front = self._projected(points)

        # The solution may lie behind a camera that sees it.
        unknown = (used & ~in_front).any(axis=0) | (used.sum(axis=0) < 2)
        points[unknown] = np.nan
        apart = np.hypot(offsets[..., 0], offsets[..., 1])
        shows = self.seen & in_front & ~unknown
        return _Fit(points, slopes, inverse, np.where(shows, apart, np.nan))

    def agreeing(self) -> Flags:
        """Return the views (camera, point) that agree with the best pair of cameras."""
        shape = self.seen.shape
        best = np.full(shape[1], np.inf)
        agreeing = np.zeros(shape, bool)
        for pair in combinations(range(shape[0]), 2):
            used = np.zeros(shape, bool)
            used[list(pair)] = self.seen[list(pair)]
            apart = self.fit(used).apart_px
            fits = apart <= self.limit_px

            # The truncated error of a view that was not seen is 0.
            truncated = np.where(fits, apart, self.limit_px) ** 2
            cost = (self.weights * truncated).sum(axis=0)
            cost[(fits & used).sum(axis=0) < 2] = np.inf
            better = cost < best
            best[better] = cost[better]
            agreeing[:, better] = fits[:, better]
        return agreeing

    def _beyond_limit(self, fit: _Fit, used: Flags) -> Flags:
        """Return whether a used view is too far from the point's projection, (point,)."""
        return np.asarray((used & ~(fit.apart_px <= self.limit_px)).any(axis=0))

    def _with_errors(
        self, fit: _Fit, used: Flags, leave_out: bool
    ) -> TriangulatedPoints:
        """Return the points with the errors of each, and by leaving each camera out."""
        squares = (np.where(used, fit.apart_px, 0.0) ** 2).sum(axis=0)
        count = used.sum(axis=0)
        mean = np.where(count > 0, squares / np.maximum(count, 1), np.nan)
        if leave_out:
            left_out_mm, left_out_px = self._left_out(fit.points, used)
        else:
            left_out_mm, left_out_px = np.full((2, *used.shape), np.nan)
        return TriangulatedPoints(
            fit.points,
            self._standard_error(fit, used, squares, count),
            np.sqrt(mean),
            used,
            self.seen,
            left_out_mm,
            left_out_px,
        )

    def _left_out(self, points: Floats, used: Flags) -> tuple[Floats, Floats]:
        """Return `left_out_mm` and `left_out_px` of `TriangulatedPoints`, (camera, point)."""
        cameras, count = used.shape
        # one solution for all: each point is there once for each camera that is left out
        repeated = self.of_points(np.tile(np.arange(count), cameras))
        others = np.tile(used, (1, cameras)).reshape(cameras, cameras, count)
        each = np.arange(cameras)
        others[each, each] = False
        without = repeated.fit(others.reshape(cameras, -1))

        apart = without.apart_px.reshape(cameras, cameras, count)
        away = without.points.reshape(cameras, count, 3) - points
        moved = np.sqrt((away**2).sum(axis=-1))
        return np.where(used, moved, np.nan), apart[each, each]

    def _standard_error(
        self, fit: _Fit, used: Flags, squares: Floats, count: NDArray[np.intp]
    ) -> Floats:
        """Return the root (point,) of the trace of the points' covariance.

        The covariance is that of weighted least squares, H⁻¹ (Jᵀ W² J) H⁻¹ σ² with
        H = Jᵀ W J. σ² is the mean square of the residuals by degrees of freedom, at least
        that of `noise_px`: with two or three views the residuals alone say little.
        """
        weighted = fit.slopes * (self.weights * used)[..., None, None]
        # H⁻¹ Jᵀ W: its squares add up to the trace
        by_views = np.einsum("pij,cpaj->pcai", fit.inverse, weighted)
        trace = (by_views**2).sum(axis=(1, 2, 3))
        variance = np.maximum(squares / np.maximum(2 * count - 3, 1), self.noise_px**2)
        error = np.sqrt(trace * variance)
        return np.where(np.isfinite(fit.points[:, 0]), error, np.nan)

    def _linear(self, weights: Floats) -> Floats:
        """Return the least-squares intersection (point, 3) of the rays."""
        # x (r3 · X + t3) = f r1 · X + f t1, and the same for y
        rows = self.axes[:, :, :2] - self.shown[..., None] * self.axes[:, :, 2:]
        values = self.shown * self.origins[..., 2:] - self.origins[..., :2]
        weighted = rows * weights[..., None, None]
        inverse = _inverse(np.einsum("cpad,cpae->pde", weighted, rows))
        right = np.einsum("cpad,cpa->pd", weighted, values)
        return np.asarray(np.einsum("pde,pe->pd", inverse, right))

    def _projected(self, points: Floats) -> tuple[Floats, Floats, Flags]:
        """Return how cameras see points (point, 3): offsets, slopes, whether in front.

        Offsets (camera, point, 2) of the projections from the views in px, and their
        derivatives (camera, point, 2, 3).
        """
        placed = np.einsum("cpij,pj->cpi", self.axes, points) + self.origins
        depth = placed[..., 2:]
        in_front = depth[..., 0] > 0
        # A point at a camera's centre has no projection: its offset has no effect.
        depth = np.where(depth == 0, np.inf, depth)
        projected = placed[..., :2] / depth
        slopes = self.axes[:, :, :2] - projected[..., None] * self.axes[:, :, 2:]
        slopes /= depth[..., None]
        return projected - self.shown, slopes, in_front


_FACTORS = np.array(
    [
        [4, 2, 1, 2, 0, 1, 1, 1, 0],
        [8, 7, 5, 7, 8, 6, 5, 6, 4],
        [5, 1, 2, 1, 2, 0, 2, 0, 1],
        [7, 8, 4, 8, 6, 7, 4, 7, 3],
    ]
)
"""The adjugate of a symmetric matrix is m[0] m[1] - m[2] m[3], by places in the matrix."""


def _inverse(matrices: Floats) -> Floats:
    """Return the inverses (point, 3, 3) of symmetric matrices; NaN: it is singular.

    In closed form: a stack with one singular matrix has no inverse in numpy.
    """
    flat = matrices.reshape(-1, 9)
    first, second, third, fourth = flat.T[_FACTORS]
    adjugate = first * second - third * fourth
    diagonal, row = flat[:, ::4], flat.T[:3]
    determinant = (row * adjugate[:3]).sum(axis=0)
    mean = diagonal.sum(axis=1) / 3
    regular = determinant > _SINGULAR * mean * mean * mean
    inverse = adjugate / np.where(regular, determinant, np.nan)
    return np.asarray(inverse.T.reshape(-1, 3, 3))


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
