from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup
from tests.space.cameras import (
    as_opencv_sees,
    camera_at,
    four_cameras,
    points_in_arena,
)

RATIONAL = (0.1, -0.05, 0.001, -0.002, 0.02, 0.05, -0.02, 0.01)
PRISM = (*RATIONAL, 0.002, -0.001, 0.003, 0.001)


@pytest.mark.parametrize("distortion", [(), (-0.3, 0.1), RATIONAL, PRISM])
def test_points_are_seen_where_opencv_sees_them(distortion: tuple[float, ...]) -> None:
    camera = replace(four_cameras().cameras[0], distortion=np.array(distortion))
    points = points_in_arena(200)
    np.testing.assert_allclose(
        camera.project(points), as_opencv_sees(camera, points), atol=1e-9
    )


coefficient = st.floats(-0.3, 0.3)


@given(
    k1=coefficient,
    k2=st.floats(-0.1, 0.1),
    p1=st.floats(-0.01, 0.01),
    p2=st.floats(-0.01, 0.01),
    skew=st.floats(-6, 6),
)
def test_undistortion_reverses_distortion(
    k1: float, k2: float, p1: float, p2: float, skew: float
) -> None:
    camera = four_cameras().cameras[1]
    matrix = camera.matrix.copy()
    matrix[0, 1] = skew
    camera = replace(camera, matrix=matrix, distortion=np.array([k1, k2, p1, p2]))
    points = points_in_arena(50)
    seen = camera.in_axes(points)
    flat = camera.undistort(camera.project(points))
    np.testing.assert_allclose(flat, seen[:, :2] / seen[:, 2:], atol=1e-6)


def test_a_point_behind_the_camera_is_not_seen() -> None:
    camera = camera_at("left", (-500.0, 0.0, 600.0))
    behind = 2 * camera.centre
    assert np.isnan(camera.project(behind)).all()
    assert np.isfinite(camera.project(0.5 * camera.centre)).all()


def test_a_point_where_the_lens_model_turns_back_is_not_seen() -> None:
    lens = np.array([-0.33])
    camera = CalibratedCamera("a", np.eye(3), lens, np.eye(3), np.zeros(3))
    assert np.isfinite(camera.project([0.9, 0.0, 1.0])).all()
    assert np.isnan(camera.project([1.1, 0.0, 1.0])).all()
    assert np.isnan(camera.undistort([0.9, 0.0])).all()


@pytest.mark.parametrize(
    "lens",
    [
        (0.05, 0.39, 0.0, 0.0, -0.27),
        (0.92, -0.07, 0.0, 0.0, -0.29),
        (-0.96, 0.45, 0.0, -0.01, 0.24),
    ],
)
def test_a_strong_lens_gives_the_point_that_is_seen_or_none(
    lens: tuple[float, ...],
) -> None:
    matrix = np.diag([600.0, 600.0, 1.0])
    camera = CalibratedCamera("a", matrix, np.array(lens), np.eye(3), np.zeros(3))
    across = np.linspace(-0.8, 0.8, 41)
    flat = np.stack([*np.meshgrid(across, across), np.ones((41, 41))], axis=-1)
    pixels = camera.project(flat)
    found = camera.undistort(pixels)
    known = np.isfinite(found).all(axis=-1)
    assert known.sum() > 0.5 * np.isfinite(pixels[..., 0]).sum()
    np.testing.assert_allclose(found[known], flat[known][:, :2], atol=1e-6)


def test_nan_stays_nan() -> None:
    camera = four_cameras().cameras[0]
    assert np.isnan(camera.undistort([[np.nan, 3.0], [np.nan, np.nan]])).all()
    assert np.isnan(camera.project([np.nan, 0.0, 0.0])).all()


def test_impossible_values_are_named() -> None:
    camera = four_cameras().cameras[0]
    turned = camera.rotation.copy()
    turned[0] *= -1
    for wrong, message in (
        ({"matrix": camera.matrix.T}, "matrix must be fx, skew, cx.*transposed"),
        ({"matrix": np.diag([0.0, 1.0, 1.0])}, "matrix must have focal lengths above"),
        ({"matrix": np.eye(2)}, "matrix must be 3 × 3 numbers, not 4"),
        ({"rotation": turned}, "rotation is not a rotation matrix"),
        ({"rotation": 2 * camera.rotation}, "rotation is not a rotation matrix"),
        ({"translation": np.array([0, np.inf, 0])}, "translation has a number that"),
        ({"distortion": np.ones(14)}, "distortion has 14 coefficients"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(camera, **wrong)


def test_a_group_needs_two_cameras_with_different_names_at_different_places() -> None:
    cameras = four_cameras().cameras
    with pytest.raises(DeepLabStreamError, match="two calibrated cameras or more"):
        CameraGroup(cameras[:1])
    with pytest.raises(DeepLabStreamError, match="two cameras are called left"):
        CameraGroup((*cameras, cameras[0]))
    copied = replace(cameras[1], name="top")
    with pytest.raises(DeepLabStreamError, match="right and top are at the same place"):
        CameraGroup((*cameras, copied))


def test_a_camera_that_is_missing_is_named_with_those_that_are_there() -> None:
    with pytest.raises(
        DeepLabStreamError, match="no camera top; its cameras are left, r"
    ):
        four_cameras().select(["left", "top"])
    assert four_cameras().select(["back", "left"]).names == ("back", "left")
