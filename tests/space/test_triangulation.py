from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deeplabstream.recording.calibrations.calibration_file import read_calibration
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.triangulation import triangulate
from tests.space.cameras import camera_at, four_cameras, points_in_arena

DATA = Path(__file__).resolve().parents[3] / "shared/data"
MOUSE = DATA / "3d-mouse/mouse1_label3d.mat"
real_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data")


def distances(
    one: NDArray[np.float64], other: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(one - other, axis=-1))


def test_points_are_found_again_from_what_the_cameras_see() -> None:
    cameras, points = four_cameras(), points_in_arena(60).reshape(10, 6, 3)
    found = triangulate(cameras, cameras.project(points))
    assert found.points.shape == (10, 6, 3)
    assert distances(found.points, points).max() < 1e-4
    assert found.used.all()
    assert np.nanmax(found.left_out_mm) < 1e-3
    assert found.reprojection_px.max() < 1e-4


@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_any_two_views_are_enough_and_one_is_not(seen: list[bool]) -> None:
    cameras, points = four_cameras(), points_in_arena(5)
    pixels = cameras.project(points)
    pixels[~np.array(seen)] = np.nan
    found = triangulate(cameras, pixels)
    if sum(seen) < 2:
        assert np.isnan(found.points).all()
        assert np.isnan(found.error_mm).all()
        assert not found.used.any()
    else:
        assert distances(found.points, points).max() < 1e-4
        assert found.used.sum(axis=0).tolist() == [sum(seen)] * 5


def test_a_view_without_weight_or_position_is_not_used() -> None:
    cameras, points = four_cameras(), points_in_arena(3)
    pixels, weights = cameras.project(points), np.ones((4, 3))
    pixels[0] += 500.0
    weights[0] = 0.0, np.nan, 0.0
    found = triangulate(cameras, pixels, weights)
    assert distances(found.points, points).max() < 1e-4
    assert not found.seen[0].any()


def test_a_confident_view_counts_more() -> None:
    cameras, points = four_cameras(), points_in_arena(200)
    rng = np.random.default_rng(1)
    noise = np.array([0.5, 0.5, 4.0, 4.0])[:, None, None]
    pixels = cameras.project(points)
    pixels += rng.normal(0, 1, pixels.shape) * noise
    plain = triangulate(cameras, pixels, limit_px=100)
    weights = np.broadcast_to(np.array([1, 1, 0.02, 0.02])[:, None], (4, 200))
    weighted = triangulate(cameras, pixels, weights, limit_px=100)
    errors = [distances(found.points, points).mean() for found in (plain, weighted)]
    assert errors[1] < 0.5 * errors[0]


@given(st.integers(0, 3), st.floats(30, 300), st.floats(0, 6.28))
def test_a_wrong_view_of_four_is_rejected_and_named(
    camera: int, away: float, direction: float
) -> None:
    cameras, points = four_cameras(), points_in_arena(4)
    pixels = cameras.project(points)
    pixels[camera, 1] += away * np.array([np.cos(direction), np.sin(direction)])
    found = triangulate(cameras, pixels)
    assert distances(found.points, points).max() < 1e-3
    expected = np.ones((4, 4), bool)
    expected[camera, 1] = False
    assert found.used.tolist() == expected.tolist()
    assert found.left_out_px[camera, 1] > 25
    assert np.isnan(found.left_out_mm[camera, 1])


def test_views_without_a_majority_make_the_point_unknown() -> None:
    cameras, points = four_cameras(), points_in_arena(1)
    pixels = cameras.project(points)
    pixels[0] += (90, -140)
    pixels[1] += (-160, 75)
    found = triangulate(cameras, pixels)
    assert np.isnan(found.points).all()
    assert not found.used.any()
    assert found.seen.all()


def test_two_views_whose_rays_miss_each_other_make_the_point_unknown() -> None:
    cameras = four_cameras().select(["left", "front"])
    pixels = cameras.project(points_in_arena(1))
    pixels[0, 0, 1] += 80
    assert np.isnan(triangulate(cameras, pixels).points).all()


def test_parallel_rays_have_no_point_and_nearly_parallel_ones_a_large_error() -> None:
    near = CameraGroup(
        (camera_at("a", (-500.0, 0.0, 600.0)), camera_at("b", (-499.0, 0.0, 600.0)))
    )
    points = points_in_arena(20)
    close = triangulate(near, near.project(points))
    wide = four_cameras().select(["left", "right"])
    apart = triangulate(wide, wide.project(points))
    assert np.nanmedian(close.error_mm) > 100 * np.nanmedian(apart.error_mm)

    same = np.array([[[320.0, 240.0]], [[320.0, 240.0]]])
    moved = CameraGroup((near.cameras[0], _shifted(near, 0)))
    assert np.isnan(triangulate(moved, same).points).all()


def _shifted(cameras: CameraGroup, camera: int) -> object:
    """The same camera 100 mm to its right, so that equal pixels have parallel rays."""
    from dataclasses import replace

    one = cameras.cameras[camera]
    return replace(one, name="c", translation=one.translation - [100.0, 0, 0])


def test_the_standard_error_is_that_of_many_noisy_views() -> None:
    cameras, points = four_cameras(), points_in_arena(4000)
    rng = np.random.default_rng(2)
    pixels = cameras.project(points)
    pixels += rng.normal(0, 2.0, pixels.shape)
    found = triangulate(cameras, pixels, noise_px=2.0)
    actual = np.sqrt((distances(found.points, points) ** 2).mean())
    stated = np.sqrt((found.error_mm**2).mean())
    assert 0.95 < stated / actual < 1.2  # residuals above the noise add to it

    # The figures of a camera that is left out have the same noise.
    assert 2.0 < np.nanmedian(found.left_out_px) < 6.0


def test_a_turned_camera_has_the_largest_error_when_it_is_left_out() -> None:
    cameras, points = four_cameras(), points_in_arena(50)
    pixels = cameras.project(points)
    pixels[2] += (7.0, 0.0)  # about half a degree
    found = triangulate(cameras, pixels)
    assert int(np.nanmedian(found.left_out_px, axis=1).argmax()) == 2
    assert int(np.nanmedian(found.left_out_mm, axis=1).argmax()) == 2


def test_shapes_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pixels of shape \(3, 5, 2\) for 4 cameras"):
        triangulate(four_cameras(), np.zeros((3, 5, 2)))
    with pytest.raises(ValueError, match=r"weights of shape \(4, 3\)"):
        triangulate(four_cameras(), np.zeros((4, 5, 2)), np.zeros((4, 3)))


def mouse() -> tuple[CameraGroup, NDArray[np.float64], NDArray[np.float64]]:
    """Cameras, labels (camera, frame, body part, 2) and stored points of a real mouse."""
    labels = scipy.io.loadmat(MOUSE)["labelData"].ravel()
    pixels = [own[0, 0]["data_2d"].reshape(81, 22, 2) - 1 for own in labels]
    points = labels[0][0, 0]["data_3d"].reshape(81, 22, 3)
    return read_calibration(MOUSE), np.stack(pixels), points


@real_data
def test_labels_of_a_real_mouse_give_the_stored_points() -> None:
    cameras, pixels, points = mouse()
    away = distances(triangulate(cameras, pixels).points, points)
    known = np.isfinite(points).all(axis=-1)
    assert known.sum() == 1715
    assert np.isfinite(away[known]).all()
    assert np.percentile(away[known], 95) < 1e-6  # asked: 0.10 mm


@real_data
def test_labels_of_a_real_mouse_with_a_pixel_of_noise_are_half_a_millimetre_off() -> (
    None
):
    cameras, pixels, points = mouse()
    rng = np.random.default_rng(0)
    found = triangulate(cameras, pixels + rng.normal(0, 1, pixels.shape))
    away = distances(found.points, points)
    assert np.nanmedian(away) < 0.2  # asked: 0.5 mm
    assert np.isfinite(away).sum() == 1715


@real_data
def test_outlying_views_of_a_real_mouse_are_rejected() -> None:
    cameras, pixels, points = mouse()
    rng = np.random.default_rng(0)
    noisy = pixels + rng.normal(0, 1, pixels.shape)
    wrong = rng.random(pixels.shape[:-1]) < 0.1
    noisy[wrong] += rng.normal(0, 100, (wrong.sum(), 2))
    away = distances(triangulate(cameras, noisy).points, points)
    assert np.isfinite(away).sum() > 0.97 * 1715
    assert np.nanmax(away) < 1.0
