"""Calibration of one camera: its lens, its place over the floor, and errors in mm on a board.

The verdict is of moments that were kept back. There, half of the corners give the board's
place; the error is that of the other half on the board.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.lens import Lens
from deeplabstream.offline.camera_calibration.board_views import BoardViews
from deeplabstream.offline.camera_calibration.calibration_verdict import (
    LEAST_KEPT_BACK,
    CalibrationVerdict,
    length_bias,
)
from deeplabstream.offline.camera_calibration.view_coverage import needed_regions
from deeplabstream.space.calibrated_camera import CalibratedCamera

LIMIT_SHARE = 0.001
"""Default limit of the error, as a share of the distance between camera and board."""
_FIT_CORNERS = 6
"""Corners from which the place of a board is computed, and that are measured then."""
_MARK_PLACES = (0.15, 0.85)
"""Places of the marks in the image, as shares of its width and height."""


def judge_lens(
    camera: CalibratedCamera, views: BoardViews, limit_mm: float | None
) -> CalibrationVerdict:
    """Return the verdict on the lens of one camera.

    Parameters
    ----------
    camera : CalibratedCamera
        Calibrated with the views that were not kept back.
    views : BoardViews
        All views, of this camera.
    limit_mm : float, optional
        Largest median error of corners; None: 0.1 % of the distance of the board.
    """
    kept = views.at(views.kept_back)
    board_mm = views.board.corners_mm
    corner_mm, length_share, left_out_px, distances = (
        np.full(len(kept.frames), np.nan) for _ in range(4)
    )
    for moment, pixels in enumerate(kept.pixels[0]):
        known = np.flatnonzero(np.isfinite(pixels[:, 0]))
        used, measured = known[::2], known[1::2]
        if min(len(used), len(measured)) < _FIT_CORNERS:
            continue
        place = board_place(camera, pixels[used], board_mm[used])
        if place is None:
            continue
        turned, moved = place
        seen = replace(camera, rotation=turned, translation=moved)
        found = on_plane(seen, pixels[measured])
        if not np.isfinite(found).all():
            continue
        away = found - board_mm[measured, :2]
        corner_mm[moment] = np.sqrt((away**2).sum(axis=1).mean())
        length_share[moment] = _length_error(found, board_mm[measured, :2])
        off = seen.project(board_mm[measured]) - pixels[measured]
        left_out_px[moment] = np.median(np.linalg.norm(off, axis=1))
        distances[moment] = np.linalg.norm(moved + turned @ board_mm.mean(axis=0))

    is_known = np.isfinite(corner_mm)
    distance_mm = float(np.median(distances[is_known])) if is_known.any() else 0.0
    limit = LIMIT_SHARE * distance_mm if limit_mm is None else limit_mm
    px = float(np.median(left_out_px[is_known])) if is_known.any() else float("nan")
    verdict = CalibrationVerdict(
        corner_mm, length_share, np.array([px]), distance_mm, limit, ()
    )
    return replace(verdict, reasons=tuple(_reasons(views, verdict)))


def _reasons(views: BoardViews, verdict: CalibrationVerdict) -> Iterator[str]:
    """Yield why the lens is refused."""
    known = verdict.corner_mm[np.isfinite(verdict.corner_mm)]
    if len(known) < LEAST_KEPT_BACK:
        yield (
            f"too few views: on only {len(known)} of {len(verdict.corner_mm)} kept-back "
            f"moments {2 * _FIT_CORNERS} corners or more are seen, and {LEAST_KEPT_BACK} "
            "such moments are needed. Show more of the board"
        )
        return
    median = float(np.median(known))
    if median > verdict.limit_mm:
        needed = needed_regions(views, 0)
        where = f": {needed}" if needed else ""
        yield (
            f"the error of corners on kept-back moments is {median:.2f} mm (median), above "
            f"{verdict.limit_mm:.2f} mm: the lens is not determined well, or the board "
            f"bends. Record more views, near and far, tilted{where}"
        )
    yield from length_bias(verdict)


def on_floor_below(
    camera: CalibratedCamera,
    views: BoardViews,
    moment: int,
    *,
    from_below: bool = False,
) -> CalibratedCamera:
    """Return the camera in axes of the floor: x, y along the board on it, z up.

    DeepLabStreamError: too few corners are seen at this moment.
    """
    pixels = views.pixels[0, moment]
    known = np.isfinite(pixels[:, 0])
    place = None
    if known.sum() >= _FIT_CORNERS:
        place = board_place(camera, pixels[known], views.board.corners_mm[known])
    if place is None:
        raise DeepLabStreamError(
            f"--floor {views.frames[moment]}: the camera sees {known.sum()} corners of the "
            f"board in this frame, and {_FIT_CORNERS} are needed"
        )
    turned, moved = place
    above = (-turned.T @ moved)[2]
    # The z axis of a board points into it.
    if (above < 0) != from_below:
        turned = turned @ np.diag([1.0, -1.0, -1.0])
    return replace(camera, rotation=turned, translation=moved)


def board_place(
    camera: CalibratedCamera,
    pixels: NDArray[np.float64],
    places_mm: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return rotation and translation from a board's axes to the camera's; None: unknown."""
    import cv2

    flat = camera.undistort(pixels)
    if not np.isfinite(flat).all():
        return None
    done, vector, moved = cv2.solvePnP(
        places_mm, flat[:, None], np.eye(3), None, flags=cv2.SOLVEPNP_IPPE
    )
    if not done:
        return None
    vector, moved = cv2.solvePnPRefineLM(
        places_mm, flat[:, None], np.eye(3), np.zeros(5), vector, moved
    )
    return np.asarray(cv2.Rodrigues(vector)[0], np.float64), np.ravel(moved)


def on_plane(
    camera: CalibratedCamera, pixels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return where pixels (..., 2) are in the plane z = 0, x and y; NaN: nowhere."""
    flat = camera.undistort(pixels)
    rays = np.concatenate([flat, np.ones((*flat.shape[:-1], 1))], axis=-1)
    rays = rays @ camera.rotation
    centre = camera.centre
    with np.errstate(divide="ignore", invalid="ignore"):
        along = -centre[2] / rays[..., 2]
    along = np.where(along > 0, along, np.nan)
    return np.asarray(centre[:2] + along[..., None] * rays[..., :2])


def camera_settings(camera: CalibratedCamera) -> dict[str, str]:
    """Return the keys of [Camera NAME] that a calibration gives: LENS, and MARKS.

    Without axes of the floor, and where it is seen at too flat an angle, there are no MARKS.
    DeepLabStreamError: the settings can't hold the lens.
    """
    height, width = camera.size
    if camera.skew or not (height and width):
        raise DeepLabStreamError(
            f"camera {camera.name}: a lens with a skew, or without the size of its images, "
            "can't be written to the settings; calibrate it here"
        )
    lens = Lens(
        (width, height),
        (float(camera.matrix[0, 0]), float(camera.matrix[1, 1])),
        (float(camera.matrix[0, 2]), float(camera.matrix[1, 2])),
        tuple(camera.distortion.tolist()),
    )
    found = {"LENS": str(lens)}
    if marks := _marks(camera):
        found["MARKS"] = marks
    return found


def _marks(camera: CalibratedCamera) -> str:
    """Return MARKS of four places of the image; empty: no axes of the floor are known."""
    if not camera.translation.any():
        return ""
    height, width = camera.size
    low, high = _MARK_PLACES
    shares = np.array([(low, low), (high, low), (high, high), (low, high)])
    pixels = np.round(shares * (width, height))
    places = on_plane(camera, pixels)
    if not np.isfinite(places).all():
        return ""
    # Settings have y downwards, as seen from the camera; z of the calibration points up.
    if camera.centre[2] > 0:
        places = places * (1, -1)
    return ", ".join(
        f"{x:g} {y:g} {x_mm:.2f} {y_mm:.2f}"
        for (x, y), (x_mm, y_mm) in zip(pixels.tolist(), places.tolist(), strict=True)
    )


def _length_error(found: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """Return the error of the longest of all distances, as a share of it."""
    lengths = np.linalg.norm(true[:, None] - true, axis=-1)
    one, other = np.unravel_index(lengths.argmax(), lengths.shape)
    length = float(np.linalg.norm(found[one] - found[other]))
    return length / float(lengths[one, other]) - 1
