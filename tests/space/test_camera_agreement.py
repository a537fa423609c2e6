import numpy as np

from deeplabstream.space.camera_agreement import camera_agreement
from tests.space.cameras import four_cameras, points_in_arena


def test_cameras_agree_on_points_that_fit() -> None:
    cameras = four_cameras()
    pixels = cameras.project(points_in_arena(30))
    pixels += np.random.default_rng(0).normal(0, 2, pixels.shape)
    found = camera_agreement(cameras, pixels, np.ones((4, 30)), 10.0)
    assert found.is_complete
    assert found.outlying == ()
    assert 0 < np.nanmax(found.pair_px) < 5


def test_a_camera_whose_points_do_not_fit_is_the_outlying_one() -> None:
    cameras = four_cameras()
    pixels = cameras.project(points_in_arena(30))
    pixels[3] = pixels[3] * 0.8 + (40, 80)
    found = camera_agreement(cameras, pixels, np.ones((4, 30)), 10.0)
    assert not found.is_complete
    assert found.outlying == (3,)
    assert found.agreeing == ((0, 1, 2),)


def test_of_two_cameras_it_is_not_known_which_is_wrong() -> None:
    cameras = four_cameras().select(["left", "front"])
    pixels = cameras.project(points_in_arena(30))
    pixels[1, :, 1] += 100
    found = camera_agreement(cameras, pixels, np.ones((2, 30)), 10.0)
    assert not found.is_complete
    assert found.outlying == ()


def test_cameras_with_too_few_common_points_are_not_compared() -> None:
    cameras = four_cameras()
    pixels = cameras.project(points_in_arena(30))
    pixels[3] += 200
    weights = np.ones((4, 30))
    weights[3, 5:] = 0
    found = camera_agreement(cameras, pixels, weights, 10.0)
    assert found.is_complete
    assert np.isnan(found.pair_px[3]).all()
