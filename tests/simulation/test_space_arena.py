"""The simulated arena in space: its course, its cameras, and what they see."""

import numpy as np
import pytest

from deeplabstream.simulation.space_arena import (
    BODY,
    FLOOR_MM,
    VIEWS,
    BodyWalk,
    CameraPainter,
    simulated_camera,
    simulated_cameras,
    turned,
    visible_points,
)
from deeplabstream.space.rotations import angle_between
from deeplabstream.space.triangulation import triangulate

TIMES_S = np.arange(0, 60, 1 / 15)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_body_walks_on_the_floor_and_rears_in_each_cycle(seed: int) -> None:
    walk = BodyWalk(seed)
    points = np.array([walk.at(time_s).points for time_s in TIMES_S])
    assert np.abs(points[..., :2]).max() < FLOOR_MM / 2 + 30
    assert points[..., 2].min() > 0
    high = points[:, 0, 2] > 40
    assert np.diff(high.astype(int)).tolist().count(1) == 10  # a cycle takes 6 s
    assert 0.2 < high.mean() < 0.4


def test_its_parts_keep_their_distances_and_move_without_jumps() -> None:
    walk = BodyWalk(3)
    points = np.array([walk.at(time_s).points for time_s in TIMES_S])
    nose, left, right, neck = points[:, :4].swapaxes(0, 1)
    for one, other in ((nose, neck), (left, neck), (left, right)):
        apart = np.linalg.norm(one - other, axis=1)
        np.testing.assert_allclose(apart, apart[0], rtol=1e-9)
    speeds = np.linalg.norm(np.diff(points, axis=0), axis=-1) * 15
    assert speeds.max() < 400  # mm/s


def test_the_body_follows_from_seed_and_time() -> None:
    one, other = BodyWalk(1).at(12.3).points, BodyWalk(1).at(12.3).points
    np.testing.assert_array_equal(one, other)
    assert np.abs(BodyWalk(2).at(12.3).points - one).max() > 5


def test_its_cameras_see_the_whole_floor_and_give_the_points_back() -> None:
    cameras = simulated_cameras()
    points = BodyWalk(0).at(4.6).points
    pixels = cameras.project(points)
    assert ((pixels >= 0) & (pixels < (640, 480))).all()
    found = triangulate(cameras, pixels).points
    np.testing.assert_allclose(found, points, atol=1e-6)


def test_a_turned_camera_has_the_same_place() -> None:
    camera = simulated_camera("left")
    bumped = turned(camera, 0.5)
    np.testing.assert_allclose(bumped.centre, camera.centre, atol=1e-9)
    turn = angle_between(camera.rotation, bumped.rotation)
    assert turn == pytest.approx(np.radians(0.5)) or turn == pytest.approx(0.5)


@pytest.mark.parametrize("view", [*VIEWS])
def test_the_image_is_dark_where_the_body_is(view: str) -> None:
    camera = simulated_camera(view)
    painter = CameraPainter(camera, noise=2.0)
    image = np.empty(camera.size, np.uint8)
    body = BodyWalk(0).at(2.0)
    painter.paint(image, body)
    x, y = camera.project(body.points)[BODY.bodyparts.index("tailbase")].astype(int)
    assert image[y - 2 : y + 3, x - 2 : x + 3].mean() < 90
    again = np.empty(camera.size, np.uint8)
    painter.paint(again, body)
    np.testing.assert_array_equal(again, image)


def test_a_hidden_ear_is_not_visible() -> None:
    """Of a body seen from its left, the right ear is behind the head in some frames."""
    walk, camera = BodyWalk(0), simulated_camera("left")
    seen = np.array([visible_points(camera, walk.at(time_s)) for time_s in TIMES_S])
    hidden = np.isnan(seen[..., 0]).mean(axis=0)
    assert (hidden[1:3] > 0.02).all()
    assert (hidden[1:3] < 0.6).all()
    assert (hidden[3:] == 0).all()
