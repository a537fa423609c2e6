import numpy as np
import pytest

from deeplabstream.core.volumes import parse_volume
from deeplabstream.gui.space_geometry import (
    Orbit,
    camera_lines,
    floor_grid,
    focus_of,
    plane_lines,
    view_of,
    volume_lines,
)
from deeplabstream.simulation.space_arena import simulated_cameras
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.rotations import rotation_matrix

SIZE = (400.0, 300.0)


def test_the_centre_is_in_the_middle_and_up_is_up_from_every_direction() -> None:
    for azimuth in range(0, 360, 45):
        orbit = Orbit((10.0, 20.0, 30.0), 500.0, azimuth, 20.0)
        middle, above = orbit.project([(10, 20, 30), (10, 20, 60)], *SIZE)
        assert middle == pytest.approx((200, 150))
        assert above[0] == pytest.approx(200)
        assert above[1] < 150


def test_x_is_right_when_the_eye_is_at_negative_y() -> None:
    right, left = Orbit(azimuth=-90.0).project([(50, 0, 0), (-50, 0, 0)], *SIZE)
    assert right[0] > 200 > left[0]


def test_zoom_enlarges_and_turns_stay_below_the_zenith() -> None:
    orbit = Orbit()
    near = orbit.zoomed(2.0)
    assert near.distance == orbit.distance / 2
    assert orbit.turned(0, 500).elevation < 90
    assert orbit.turned(720, 0).azimuth == pytest.approx(orbit.azimuth % 360)


def test_unknown_points_and_points_behind_the_eye_have_no_place() -> None:
    orbit = Orbit(distance=100.0, azimuth=0.0, elevation=0.0)
    flat = orbit.project([(np.nan, 0, 0), (200, 0, 0), (0, 0, 0)], *SIZE)
    assert np.isnan(flat[:2]).all()
    assert np.isfinite(flat[2]).all()


def test_a_line_that_passes_the_eye_is_cut_and_one_behind_it_is_left_out() -> None:
    orbit = Orbit(distance=100.0, azimuth=0.0, elevation=0.0)
    lines = np.array(
        [
            [(0, 0, -5), (200, 0, -5)],
            [(200, 0, 0), (300, 0, 0)],
            [(np.nan, 0, 0), (0, 0, 0)],
            [(0, 0, 0), (0, 10, 0)],
        ]
    )
    flat = orbit.project_lines(lines, *SIZE)
    assert flat.shape == (2, 2, 2)
    assert np.isfinite(flat).all()
    assert flat[0, 0] == pytest.approx(orbit.project((0, 0, -5), *SIZE))


def test_the_focus_of_cameras_is_what_they_look_at() -> None:
    cameras = simulated_cameras()
    focus = focus_of(cameras)
    assert np.hypot(*focus[:2]) < 20  # mm
    assert 0 <= focus[2] < 60
    x, y = view_of(cameras).project(focus, *SIZE)
    assert x == pytest.approx(200)
    assert 150 < y < 250, "below the middle: the cameras are above"


def test_parallel_cameras_have_a_focus_in_front_of_them() -> None:
    down = rotation_matrix(np.array([np.pi, 0.0, 0.0]))
    matrix = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    cameras = CameraGroup(
        tuple(
            CalibratedCamera(name, matrix, np.zeros(5), down, -down @ (x, 0.0, 300.0))
            for name, x in {"a": 0.0, "b": 60.0}.items()
        )
    )
    assert focus_of(cameras) == pytest.approx((30, 0, 180))


def test_the_grid_has_round_steps_lies_on_the_floor_and_surrounds_the_centre() -> None:
    lines, step = floor_grid((33.0, -12.0, 40.0), 460.0)
    assert step == 50.0
    assert (lines[..., 2] == 0).all()
    assert np.allclose(lines[..., :2] % step, 0)
    low, high = lines.reshape(-1, 3).min(axis=0), lines.reshape(-1, 3).max(axis=0)
    assert (low[:2] < (33, -12)).all()
    assert (high[:2] > (33, -12)).all()


@pytest.mark.parametrize(
    "text",
    [
        "rectangle 10 20 30 40 z 5 50",
        "circle 0 0 60 z 40 120",
        "polygon 0 0 50 0 0 50 z 0 30",
    ],
)
def test_the_edges_of_a_volume_are_on_its_border(text: str) -> None:
    volume = parse_volume(text)
    lines = volume_lines(volume)
    assert set(np.unique(lines[..., 2])) == {volume.low, volume.high}
    for x, y, z in lines.reshape(-1, 3).tolist():
        assert abs(volume.depth(x, y, z)) < 1.0
    upright = lines[lines[:, 0, 2] != lines[:, 1, 2]]
    assert 3 <= len(upright) <= 8
    assert (upright[:, 0, :2] == upright[:, 1, :2]).all()


def test_the_square_of_a_plane_is_in_the_plane() -> None:
    normal = np.array([1.0, 2.0, -2.0])
    lines = plane_lines((5, 6, 7), normal, 20.0)
    assert np.allclose((lines - (5, 6, 7)) @ normal, 0)
    assert np.linalg.norm(lines[:, 0] - lines[:, 1], axis=1) == pytest.approx(40)


def test_a_drawn_camera_opens_towards_what_it_sees() -> None:
    camera = simulated_cameras().cameras[0]
    lines = camera_lines(camera, (0, 0, 0))
    assert lines[:4, 0] == pytest.approx(np.tile(camera.centre, (4, 1)))
    opened = lines[:4, 1].mean(axis=0)
    assert np.linalg.norm(opened) < np.linalg.norm(camera.centre)
    assert np.isfinite(camera.project(lines[:4, 1])).all()
