from dataclasses import replace

import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.camera_calibration.board_views import BoardViews
from deeplabstream.offline.camera_calibration.calibration_verdict import (
    focal_uncertainty,
    judge,
    lens_refusals,
    moved_cameras,
    on_floor,
    refusals,
    rigid_fit,
)
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.rotations import rotation_matrix
from tests.offline.camera_calibration.boards import BOARD, views_of
from tests.space.cameras import four_cameras


def turned(camera: CalibratedCamera, degrees: float) -> CalibratedCamera:
    """The camera, turned about its own y axis."""
    turn = rotation_matrix([0.0, np.radians(degrees), 0.0])
    return replace(
        camera, rotation=turn @ camera.rotation, translation=turn @ camera.translation
    )


def with_turned(name: str, degrees: float) -> CameraGroup:
    return CameraGroup(
        tuple(
            turned(camera, degrees) if camera.name == name else camera
            for camera in four_cameras().cameras
        )
    )


def test_a_right_calibration_is_accepted_with_its_error_in_mm() -> None:
    cameras = four_cameras()
    verdict = judge(cameras, views_of(cameras, noise_px=0.3), None)
    assert verdict.reasons == ()
    assert 0.02 < np.nanmedian(verdict.corner_mm) < 0.5
    assert abs(np.nanmedian(verdict.length_share)) < 0.002
    assert 600 < verdict.distance_mm < 900
    assert verdict.limit_mm == pytest.approx(0.002 * verdict.distance_mm)


def test_a_calibration_with_a_wrong_camera_is_refused_and_the_camera_is_named() -> None:
    views = views_of(four_cameras(), noise_px=0.3)
    (reason,) = judge(with_turned("front", 1.0), views, None).reasons
    assert "the camera front does not fit the others: its views are 1.0° off" in reason


def test_a_wrong_scale_is_refused_although_all_rays_meet() -> None:
    cameras = four_cameras()
    verdict = judge(cameras.scaled(1.03), views_of(cameras, noise_px=0.3), 50.0)
    assert np.nanmedian(verdict.left_out_px) < 1
    assert "lengths on the board are wrong by +3" in verdict.reasons[0]


def test_views_of_other_moments_are_refused() -> None:
    cameras = four_cameras()
    views = views_of(cameras, noise_px=0.3)
    views.pixels[0] = np.roll(views.pixels[0], 7, axis=0)
    views.pixels[1] = np.roll(views.pixels[1], 19, axis=0)
    views.pixels[2] = np.roll(views.pixels[2], 31, axis=0)
    assert judge(cameras, views, None).reasons


def test_a_camera_that_was_turned_during_the_recording_is_named() -> None:
    before = views_of(four_cameras(), 90, 0.3)
    after = views_of(with_turned("right", 0.8), 90, 0.3)
    late = np.arange(90) >= 40
    pixels = np.where(late[:, None, None], after.pixels, before.pixels)
    views = replace(before, pixels=pixels)
    moved = moved_cameras(four_cameras(), views)
    assert list(moved) == ["right"]
    assert moved["right"] == pytest.approx(0.8, abs=0.25)
    assert moved_cameras(four_cameras(), before) == {}
    reasons = judge(four_cameras(), views, 50.0).reasons
    assert any("camera right moved during the recording" in text for text in reasons)


@pytest.mark.parametrize("seed", range(6))
def test_cameras_that_stand_still_are_not_said_to_move(seed: int) -> None:
    cameras = four_cameras()
    views = views_of(cameras, 60, 0.5, seed)
    assert moved_cameras(cameras, views) == {}


def test_of_two_cameras_both_are_named() -> None:
    pair = ["left", "right"]
    before = views_of(four_cameras().select(pair), 90, 0.3)
    after = views_of(with_turned("right", 0.8).select(pair), 90, 0.3)
    late = np.arange(90) >= 40
    pixels = np.where(late[:, None, None], after.pixels, before.pixels)
    moved = moved_cameras(four_cameras().select(pair), replace(before, pixels=pixels))
    assert list(moved) == ["left or right"]


def unseen(views: BoardViews, camera: int, from_moment: int) -> BoardViews:
    pixels = views.pixels.copy()
    pixels[camera, from_moment:] = np.nan
    return replace(views, pixels=pixels)


def test_too_few_views_are_refused_before_the_work() -> None:
    views = views_of(four_cameras())
    assert refusals(views) == []
    (reason,) = refusals(unseen(views, 2, 5))
    assert "too few views: front sees" in reason
    assert "4 frames, and 10 are needed" in reason


def test_too_few_common_views_are_refused() -> None:
    views = views_of(four_cameras().select(["left", "right"]), 80)
    pixels = views.pixels.copy()
    pixels[0, 30:] = np.nan
    pixels[1, :25] = np.nan
    (reason,) = refusals(replace(views, pixels=pixels))
    assert "too few common views: left and right see the board together" in reason
    short = views.at(np.arange(80) < 12)
    assert refusals(short)


def test_a_lens_is_determined_by_tilted_boards_near_and_far() -> None:
    views = views_of(four_cameras(), 60, 0.15)
    assert lens_refusals(views) == []
    assert focal_uncertainty(views, 0) < 0.003

    # A board that is always seen in the same way says nothing of the focal length.
    rng = np.random.default_rng(0)
    pixels = np.repeat(views.pixels[:, :1], 60, axis=1)
    flat = replace(views, pixels=pixels + rng.normal(0, 0.3, pixels.shape))
    reasons = lens_refusals(flat)
    assert len(reasons) == 4
    assert "the focal length of left is" in reasons[0]
    assert "--lenses" in reasons[0]


def test_the_floor_is_where_the_board_lies_and_z_points_up() -> None:
    cameras = four_cameras()
    views = views_of(cameras)
    turn = rotation_matrix([0.4, -1.1, 2.0])
    elsewhere = CameraGroup(
        tuple(
            replace(
                camera,
                rotation=camera.rotation @ turn,
                translation=camera.rotation @ np.array([50.0, -20, 300])
                + camera.translation,
            )
            for camera in cameras.cameras
        )
    )
    floor = on_floor(elsewhere, views, 0)
    assert (floor.centres[:, 2] > 0).all()
    np.testing.assert_allclose(floor.centres[:, 2], cameras.centres[:, 2], atol=0.01)
    corner = floor.project(np.zeros(3))
    np.testing.assert_allclose(corner, cameras.project(np.zeros(3)), atol=0.01)
    hidden = views.at(np.arange(len(views.frames)) > 0)
    hidden.pixels[:, 3, 4:] = np.nan
    below = on_floor(elsewhere, views, 0, from_below=True)
    np.testing.assert_allclose(below.centres[:, 2], -floor.centres[:, 2], atol=0.01)
    with pytest.raises(
        DeepLabStreamError, match=r"--floor 4: two cameras see 4 corners"
    ):
        on_floor(cameras, hidden, 3)


def test_a_rigid_fit_finds_rotation_and_translation() -> None:
    rotation, moved = rotation_matrix([0.2, 0.5, -1.0]), np.array([3.0, -2.0, 9.0])
    model = BOARD.corners_mm
    found = rigid_fit(model @ rotation.T + moved, model)
    np.testing.assert_allclose(found[0], rotation, atol=1e-9)
    np.testing.assert_allclose(found[1], moved, atol=1e-9)
