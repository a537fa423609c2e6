"""Verdict on a calibration: errors in mm on moments that were kept back, and refusals.

The reprojection error of the fit is not used: a wrong calibration can have a small one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError, counted
from deeplabstream.offline.camera_calibration.board_views import BoardViews
from deeplabstream.offline.camera_calibration.view_coverage import (
    coverage_share,
    needed_pair,
    needed_regions,
)
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.rotations import rotation_vector
from deeplabstream.space.triangulation import triangulate

LEAST_VIEWS = 10
"""Views of the board that each camera needs, and that pairs must share to connect all."""
LEAST_KEPT_BACK = 4
"""Moments that are needed to measure a calibration."""
LIMIT_SHARE = 0.002
"""Default limit of the error, as a share of the distance between cameras and board."""
_OFF_LIMIT_DEG = 0.5
"""Largest median angle between a camera's views and the corners that the others give."""
_LENGTH_LIMIT = 0.01
"""Largest systematic error of lengths, as a share."""
_FOCAL_LIMIT = 0.005
"""Largest standard error of a focal length, as a share."""
_FIT_CORNERS = 6
"""Corners from which the position of a board is fitted, to measure errors."""
_MOST_LENS_VIEWS = 60
"""Views from which it is computed."""
_AGREEING_PX = 20.0
"""Views further than this from a corner are not of this corner."""
_MOVED_DEG = 0.3
_MOVED_ERRORS = 6.0
"""A camera was turned when its angle to another changed by more than both: degrees, and
standard errors of the change."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationVerdict:
    """How good a calibration is, on moments that it was not computed from.

    Attributes
    ----------
    corner_mm : numpy.ndarray of float64, shape (moment,)
        Root mean square distance of the triangulated corners from the board, fitted rigidly.
        NaN: fewer than six corners are known.
    length_share : numpy.ndarray of float64, shape (moment,)
        Error of the longest distance between two known corners, as a share of the true one.
    left_out_px : numpy.ndarray of float64, shape (camera,)
        Median distance of a camera's views from the corners that the others give.
    distance_mm : float
        Median distance between cameras and board.
    limit_mm : float
        Largest median of `corner_mm` that is accepted.
    reasons : tuple of str
        Why the calibration is refused; empty: it is accepted.
    """

    corner_mm: NDArray[np.float64]
    length_share: NDArray[np.float64]
    left_out_px: NDArray[np.float64]
    distance_mm: float
    limit_mm: float
    reasons: tuple[str, ...]


def refusals(views: BoardViews) -> list[str]:
    """Return why views can't be calibrated: too few, or a camera was moved."""
    training = views.at(~views.kept_back)
    seen = training.seen
    reasons = []
    for camera, name in enumerate(views.names):
        if (own := int(seen[camera].sum())) < LEAST_VIEWS:
            needed = needed_regions(views, camera)
            reasons.append(
                f"too few views: {name} sees the board in {counted(own, 'frame')}, and "
                f"{LEAST_VIEWS} are needed. Show it the board for longer, larger and in more "
                "places" + (f": {needed}" if needed else "")
            )
    if not reasons and (pair := needed_pair(training, LEAST_VIEWS)):
        one, other, count = pair
        reasons.append(
            f"too few common views: {one} and {other} see the board together at "
            f"{counted(count, 'moment')} besides those kept back, and {LEAST_VIEWS} are "
            "needed; no other pair connects these cameras. Show the board where both see it; "
            "the videos must be of the same moments"
        )
    kept = views.at(views.kept_back)
    common = int((kept.seen.sum(axis=0) >= least_cameras(views)).sum())
    if not reasons and common < LEAST_KEPT_BACK:
        reasons.append(
            f"too few{' common' if len(views.names) > 1 else ''} views: "
            f"{counted(common, 'moment')} to measure the calibration "
            f"with, and {LEAST_KEPT_BACK} are needed. Record for longer"
        )
    return reasons


def least_cameras(views: BoardViews) -> int:
    """Return how many cameras must see the board at a moment that counts."""
    return min(2, len(views.names))


def lens_refusals(views: BoardViews) -> list[str]:
    """Return why views do not determine the lenses: one reason for each such camera.

    A lens that is not determined fits its own views well and is wrong everywhere else.
    """
    training = views.at(~views.kept_back)
    reasons = []
    for camera, name in enumerate(views.names):
        share = focal_uncertainty(training, camera)
        if not share <= _FOCAL_LIMIT:
            known = f"known to {share:.1%} only" if share < 1 else "not known"
            needed = needed_regions(views, camera) or "up to the edges of the image"
            reasons.append(
                f"too few views: the focal length of {name} is {known}, and "
                f"{_FOCAL_LIMIT:.1%} is needed. Show {name} the board near and far, "
                f"tilted, and {needed}; or give its lens with --lenses"
            )
    return reasons


def focal_uncertainty(views: BoardViews, camera: int) -> float:
    """Return the standard error of a camera's focal length, as a share of it.

    From the covariance of OpenCV's fit to the views (calibrateCameraExtended).
    """
    import cv2

    moments = np.flatnonzero(views.seen[camera])
    moments = moments[:: -(-len(moments) // _MOST_LENS_VIEWS)]
    places: list[NDArray[np.float32]] = []
    pixels: list[NDArray[np.float32]] = []
    for own in views.pixels[camera, moments]:
        known = np.isfinite(own[:, 0])
        places.append(views.board.corners_mm[known].astype(np.float32))
        pixels.append(own[known].astype(np.float32)[:, None])
    height, width = views.sizes[camera]
    try:
        # Without flags, matrix and coefficients are results only.
        found = cv2.calibrateCameraExtended(
            places, pixels, (width, height), np.eye(3), np.zeros(5)
        )
    except cv2.error:
        return float("inf")
    return float(np.ravel(found[5])[0] / np.asarray(found[1])[0, 0])


def on_floor(
    cameras: CameraGroup, views: BoardViews, moment: int, *, from_below: bool = False
) -> CameraGroup:
    """Return the cameras in axes of the floor: x, y along the board on it, z up.

    `moment`: place of the moment at which the board lies on the floor. Up is the side of the
    floor with most cameras; `from_below`: the other one. DeepLabStreamError: too few of its
    corners are seen by two cameras then.
    """
    points = triangulate(cameras, views.pixels[:, moment], limit_px=_AGREEING_PX).points
    known = np.isfinite(points).all(axis=-1)
    if known.sum() < _FIT_CORNERS:
        raise DeepLabStreamError(
            f"--floor {views.frames[moment]}: two cameras see {known.sum()} corners of the "
            f"board in this frame, and {_FIT_CORNERS} are needed"
        )
    turned, moved = rigid_fit(points[known], views.board.corners_mm[known])

    # The z axis of a board points into it.
    above = np.median((cameras.centres - moved) @ turned[:, 2])
    if (above < 0) != from_below:
        turned = turned @ np.diag([1.0, -1.0, -1.0])
    return CameraGroup(
        tuple(
            replace(
                camera,
                rotation=camera.rotation @ turned,
                translation=camera.rotation @ moved + camera.translation,
            )
            for camera in cameras.cameras
        )
    )


def judge(
    cameras: CameraGroup, views: BoardViews, limit_mm: float | None
) -> CalibrationVerdict:
    """Return the verdict on a calibration.

    Parameters
    ----------
    cameras : CameraGroup
        Calibrated with the views that were not kept back.
    views : BoardViews
        All views.
    limit_mm : float, optional
        Largest median error of corners; None: 0.2 % of the distance of the board.
    """
    kept = views.at(views.kept_back)
    found = triangulate(cameras, kept.pixels, limit_px=_AGREEING_PX)
    board_mm = views.board.corners_mm
    fits = [_fit(points, board_mm) for points in found.points]
    corner_mm = np.array([fit[0] for fit in fits])
    length_share = np.array([fit[1] for fit in fits])
    left_out_px = np.array([_median(own) for own in found.left_out_px])

    middle = np.nanmean(found.points.reshape(-1, 3), axis=0)
    distance_mm = float(np.median(np.linalg.norm(cameras.centres - middle, axis=1)))
    limit = LIMIT_SHARE * distance_mm if limit_mm is None else limit_mm
    verdict = CalibrationVerdict(
        corner_mm, length_share, left_out_px, distance_mm, limit, ()
    )
    reasons = tuple(_reasons(cameras, views, verdict))
    return CalibrationVerdict(
        corner_mm, length_share, left_out_px, distance_mm, limit, reasons
    )


def _reasons(
    cameras: CameraGroup, views: BoardViews, verdict: CalibrationVerdict
) -> Iterator[str]:
    """Yield why a calibration is refused."""
    measured = np.isfinite(verdict.corner_mm).sum()
    if measured < LEAST_KEPT_BACK:
        yield (
            f"on only {measured} of {len(verdict.corner_mm)} kept-back moments the cameras "
            "agree where the board is: the videos are of different moments, or a lens or "
            "position is wrong"
        )
    moved = moved_cameras(cameras, views)
    for name, degrees in moved.items():
        yield (
            f"the camera {name} moved during the recording, by {degrees:.1f}°. Fix it and "
            "record again"
        )
    median = _median(verdict.corner_mm)
    if median > verdict.limit_mm:
        yield (
            f"the error of corners on kept-back moments is {median:.2f} mm (median), above "
            f"{verdict.limit_mm:.2f} mm: the lenses or positions are not determined well. "
            f"Record more views, near and far, tilted{_least_covered(views)}"
        )
    yield from _outlying(cameras, verdict)
    yield from length_bias(verdict)


def length_bias(verdict: CalibrationVerdict) -> Iterator[str]:
    """Yield that lengths on the board are wrong, where they are."""
    bias = _median(verdict.length_share)
    if abs(bias) > _LENGTH_LIMIT:
        yield (
            f"lengths on the board are wrong by {bias:+.1%} (median) on kept-back moments: "
            "the board bends, or too few views determine the lenses"
        )


def _least_covered(views: BoardViews) -> str:
    """Return which camera needs views where, as the end of a sentence; empty: none does."""
    camera = int(coverage_share(views).argmin())
    needed = needed_regions(views, camera)
    return f"; {views.names[camera]}: {needed}" if needed else ""


def _outlying(cameras: CameraGroup, verdict: CalibrationVerdict) -> Iterator[str]:
    """Yield the camera that fits the others worst, where it does not fit.

    A turned camera moves all corners alike, so they still fit the board.
    """
    focal = np.array([camera.matrix[0, 0] for camera in cameras.cameras])
    off_deg = np.degrees(np.arctan(verdict.left_out_px / focal))
    if not np.isfinite(off_deg).any():
        return
    worst = int(np.nanargmax(off_deg))
    if off_deg[worst] > _OFF_LIMIT_DEG:
        yield (
            f"the camera {cameras.names[worst]} does not fit the others: its views are "
            f"{off_deg[worst]:.1f}° off on kept-back moments ({_OFF_LIMIT_DEG:g}° is "
            "allowed). Record more views that it shares with others, and check its lens"
        )


def moved_cameras(cameras: CameraGroup, views: BoardViews) -> dict[str, float]:
    """Return the cameras that were turned during the recording, with the angle in degrees.

    The board gives the rotation of each camera to each other one at each common moment. A
    camera was turned when the first and the last third of these differ for most others.
    """
    turned = _board_rotations(cameras, views)
    count = len(cameras)
    changed = np.full((count, count), np.nan)
    for one, other in combinations(range(count), 2):
        changed[one, other] = changed[other, one] = _change_deg(
            turned[one], turned[other]
        )
    compared = np.isfinite(changed)
    moved = {}
    for camera, name in enumerate(cameras.names):
        others = compared[camera].sum()
        # With two cameras it is not known which; the first one stands for both.
        is_moved = (changed[camera] > 0).sum() > others / 2 if others else False
        if is_moved and (count > 2 or camera == 0):
            moved[name if count > 2 else " or ".join(cameras.names)] = float(
                np.nanmedian(changed[camera])
            )
    return moved


def _change_deg(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return by how many degrees the rotation between two cameras changed; 0: not surely.

    NaN: fewer than `LEAST_VIEWS` common moments. `one`, `other`: (moment, 3, 3).
    """
    known = np.isfinite(one[:, 0, 0]) & np.isfinite(other[:, 0, 0])
    if known.sum() < LEAST_VIEWS:
        return float("nan")
    between = one[known] @ other[known].transpose(0, 2, 1)
    vectors = np.degrees([rotation_vector(own @ between[0].T) for own in between])

    third = len(vectors) // 3
    parts = vectors[:third], vectors[-third:]
    middle = [np.median(part, axis=0) for part in parts]
    spread = [
        1.4826 * np.median(np.abs(part - own), axis=0) / np.sqrt(len(part))
        for part, own in zip(parts, middle, strict=True)
    ]
    change = middle[1] - middle[0]
    error = np.sqrt(spread[0] ** 2 + spread[1] ** 2)
    degrees = float(np.linalg.norm(change))
    is_sure = (np.abs(change) > _MOVED_ERRORS * error).any() and degrees > _MOVED_DEG
    return degrees if is_sure else 0.0


def _board_rotations(cameras: CameraGroup, views: BoardViews) -> NDArray[np.float64]:
    """Return the rotation (camera, moment, 3, 3) from the board's axes to each camera's."""
    import cv2

    board_mm = views.board.corners_mm
    turned = np.full((*views.seen.shape, 3, 3), np.nan)
    for camera, moment in zip(*np.nonzero(views.seen), strict=True):
        known = np.isfinite(views.pixels[camera, moment, :, 0])
        flat = cameras.cameras[camera].undistort(views.pixels[camera, moment, known])
        if known.sum() < _FIT_CORNERS or not np.isfinite(flat).all():
            continue
        done, vector, _ = cv2.solvePnP(
            board_mm[known], flat[:, None], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE
        )
        if done:
            turned[camera, moment] = cv2.Rodrigues(vector)[0]
    return turned


def rigid_fit(
    points: NDArray[np.float64], model: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rotation (3, 3) and translation (3,) that map a model to points, by least squares.

    Source: Kabsch, Acta Crystallographica A 32 (1976) 922. `points`, `model`: (n, 3).
    """
    middle, own = points.mean(axis=0), model.mean(axis=0)
    left, _, right = np.linalg.svd((points - middle).T @ (model - own))
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = left @ sign @ right
    return rotation, middle - rotation @ own


def _fit(
    points: NDArray[np.float64], board_mm: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the error of corners in mm, and of the longest distance as a share."""
    known = np.isfinite(points).all(axis=-1)
    if known.sum() < _FIT_CORNERS:
        return float("nan"), float("nan")
    found, model = points[known], board_mm[known]
    rotation, moved = rigid_fit(found, model)
    away = found - (model @ rotation.T + moved)
    error = float(np.sqrt((away**2).sum(axis=1).mean()))

    true = np.linalg.norm(model[:, None] - model, axis=-1)
    one, other = np.unravel_index(true.argmax(), true.shape)
    length = float(np.linalg.norm(found[one] - found[other]))
    return error, length / float(true[one, other]) - 1


def _median(values: NDArray[np.float64]) -> float:
    """Return the median of what is known; NaN: nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
