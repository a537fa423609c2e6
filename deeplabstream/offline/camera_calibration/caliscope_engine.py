"""Calibration engine: lenses and positions of cameras, by caliscope.

Source: caliscope 0.11.8 (BSD-2), its scripting interface. Lenses are calibrated with OpenCV
from selected views; positions by bundle adjustment with the known distances on the board.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError, check_packages
from deeplabstream.offline.camera_calibration.board_views import BoardViews
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup

if TYPE_CHECKING:
    from pandas import DataFrame

PACKAGES = ("caliscope",)
_MM_PER_M = 1000.0


def solve_cameras(
    views: BoardViews, lenses: Sequence[CalibratedCamera] = ()
) -> CameraGroup:
    """Return calibrated cameras, in the axes of the first one.

    Parameters
    ----------
    views : BoardViews
        Views to calibrate with.
    lenses : sequence of CalibratedCamera
        Cameras with known lenses, in the order of the views; none: they are calibrated too.

    Returns
    -------
    CameraGroup
        Positions in mm.

    Raises
    ------
    DeepLabStreamError
        The views do not determine the cameras; the message says why.
    """
    check_packages("Calibrating cameras", PACKAGES)
    with _quiet():
        from caliscope.api import (
            CalibrationError,
            CameraArray,
            Charuco,
            ConstraintSet,
            ImagePoints,
            calibrate_extrinsics,
        )

        table = _table(views)
        board = Charuco.from_squares(
            views.board.columns, views.board.rows, views.board.square_mm / 10
        )
        try:
            cameras = _with_lenses(views, table, lenses)
            run = calibrate_extrinsics(
                ImagePoints(table),
                CameraArray(dict(enumerate(cameras))),
                ConstraintSet.from_charuco(board),
                refine_intrinsics=not lenses,
            )
        except (CalibrationError, ValueError, np.linalg.LinAlgError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise DeepLabStreamError(
                f"the cameras can't be calibrated: {reason}"
            ) from error

    solved = run.capture_volume.camera_array.posed_cameras
    if missing := [
        name for number, name in enumerate(views.names) if number not in solved
    ]:
        raise DeepLabStreamError(
            f"the position of the camera {missing[0]} is not determined: record the board "
            "where it and another camera see it"
        )
    return _in_first_axes(views, [solved[number] for number in range(len(views.names))])


def solve_lens(views: BoardViews) -> CalibratedCamera:
    """Return one camera with its lens calibrated, at the origin.

    DeepLabStreamError: the views do not determine it.
    """
    check_packages("Calibrating cameras", PACKAGES)
    with _quiet():
        from caliscope.api import CalibrationError

        try:
            camera = _with_lenses(views, _table(views), ())[0]
        except (CalibrationError, ValueError, np.linalg.LinAlgError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise DeepLabStreamError(
                f"the lens can't be calibrated: {reason}"
            ) from error
    return CalibratedCamera(
        views.names[0],
        camera.matrix,
        camera.distortions,
        np.eye(3),
        np.zeros(3),
        views.sizes[0],
    )


def _table(views: BoardViews) -> "DataFrame":
    """Return caliscope's table of views: a row for each corner, lengths in m."""
    import pandas as pd

    camera, moment, corner = np.nonzero(
        np.isfinite(views.pixels[..., 0]) & views.seen[..., None]
    )
    pixels = views.pixels[camera, moment, corner]
    places = views.board.corners_mm[corner] / _MM_PER_M
    return pd.DataFrame(
        {
            "sync_index": views.frames[moment],
            "cam_id": camera,
            "frame_time": views.frames[moment].astype(float),
            "object_id": 0,
            "keypoint_id": corner,
            "img_loc_x": pixels[:, 0],
            "img_loc_y": pixels[:, 1],
            "obj_loc_x": places[:, 0],
            "obj_loc_y": places[:, 1],
            "obj_loc_z": places[:, 2],
        }
    )


def _with_lenses(
    views: BoardViews, table: "DataFrame", lenses: Sequence[CalibratedCamera]
) -> list[Any]:
    """Return caliscope's cameras with lenses: the known ones, or calibrated."""
    from caliscope.api import CameraData, ImagePoints, calibrate_intrinsics

    cameras = []
    for number, (height, width) in enumerate(views.sizes):
        camera = CameraData(cam_id=number, size=(width, height))
        if lenses:
            camera.matrix = lenses[number].matrix
            camera.distortions = lenses[number].distortion
        else:
            own = table[table["cam_id"] == number].reset_index(drop=True)
            camera = calibrate_intrinsics(ImagePoints(own), camera).camera
        cameras.append(camera)
    return cameras


def _in_first_axes(views: BoardViews, solved: Sequence[Any]) -> CameraGroup:
    turned = np.asarray(solved[0].rotation, np.float64)
    moved = np.ravel(solved[0].translation)
    cameras = []
    for name, size, camera in zip(views.names, views.sizes, solved, strict=True):
        rotation = np.asarray(camera.rotation, np.float64) @ turned.T
        translation = (np.ravel(camera.translation) - rotation @ moved) * _MM_PER_M
        cameras.append(
            CalibratedCamera(
                name, camera.matrix, camera.distortions, rotation, translation, size
            )
        )
    return CameraGroup(tuple(cameras))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep caliscope's log and warnings from the program's output."""
    logger = logging.getLogger("caliscope")
    before = logger.level, logger.propagate
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.level, logger.propagate = before
