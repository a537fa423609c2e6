from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PyQt5.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt5.QtGui import QColor, QMouseEvent
from pytestqt.qtbot import QtBot

from deeplabstream.core.space_pose import SpacePose
from deeplabstream.engine.session.session_state import Action
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.space_geometry import Orbit
from deeplabstream.gui.space_scene import (
    TRAIL_NS,
    RecentMoments,
    SpaceMoment,
    SpaceScene,
    SpaceShape,
    SpaceTrail,
    outlines_in,
    scene_of,
)
from deeplabstream.gui.theme import BLUE, GREEN, bodypart_colour
from deeplabstream.gui.widgets.frame_overlay import Reprojection, SpaceOutline
from deeplabstream.gui.widgets.live_display import Display
from deeplabstream.gui.widgets.space_view import SpaceView
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.settings.loading import load
from tests.gui.fake_session import SKELETON, FakeSession, close_to, make_step

ROOT = Path(__file__).resolve().parents[2]
REARING = ROOT / "experiments" / "configs" / "rearing.ini"
POINTS = np.array([(0, 0, 60), (20, 0, 40), (40, 0, 20)], np.float32)


def moment(points: NDArray[np.float32] = POINTS, **more: object) -> SpaceMoment:
    return SpaceMoment(SKELETON, 0, points, **more)  # type: ignore[arg-type]


def pose(points: NDArray[np.float32] = POINTS, time_ns: int = 0) -> SpacePose:
    number = len(points)
    nothing = np.full(number, np.nan, np.float32)
    return SpacePose(
        SKELETON,
        ("left", "right", "front"),
        time_ns,
        points,
        nothing,
        nothing,
        nothing,
        np.zeros((3, number), np.bool_),
        np.full((3, number), np.nan, np.float32),
    )


@pytest.fixture(scope="module")
def scene() -> SpaceScene:
    found = scene_of(load(REARING))
    assert found is not None
    return found


@pytest.fixture
def view(qtbot: QtBot, scene: SpaceScene) -> SpaceView:
    made = SpaceView(scene)
    qtbot.addWidget(made)
    made.resize(500, 400)
    return made


def place(view: SpaceView, part: int) -> QPoint:
    x, y = view.orbit.project(POINTS[part], view.width(), view.height())
    return QPoint(round(x), round(y))


def colour_at(view: SpaceView, at: QPoint) -> QColor:
    return QColor(view.grab().toImage().pixel(at))


def test_known_points_are_drawn_in_their_colours_and_unknown_ones_are_not(
    view: SpaceView,
) -> None:
    view.show_moment(moment())
    assert colour_at(view, place(view, 1)) == bodypart_colour(1)
    points = POINTS.copy()
    points[1] = np.nan
    view.show_moment(moment(points))
    assert colour_at(view, place(view, 1)) != bodypart_colour(1)
    assert "unknown: ear" in [text for text, _ in view.captions()]


def test_the_height_of_the_chosen_body_part_is_written(
    view: SpaceView, qtbot: QtBot
) -> None:
    view.show_moment(moment())
    assert view.captions()[0][0] == "3-D  nose z 60 mm"
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=place(view, 2))
    assert view.captions()[0][0] == "3-D  tail z 20 mm"
    view.show_moment(moment(np.full_like(POINTS, np.nan)))
    assert [text for text, _ in view.captions()] == [
        "3-D  tail z unknown",
        "all points unknown",
    ]


def test_a_trigger_that_is_true_is_green(view: SpaceView) -> None:
    shape = view.scene.shapes[0]
    assert shape.trigger == "rearing"
    assert (shape.lines[..., 2] == 40).all()
    corner = shape.lines[0].mean(axis=0)
    x, y = view.orbit.project(corner, view.width(), view.height())
    at = QPoint(round(x), round(y))
    view.show_moment(moment(answers={"rearing": True}))
    assert colour_at(view, at) == QColor(GREEN)
    view.show_moment(moment(answers={"rearing": False}))
    assert colour_at(view, at) != QColor(GREEN)


def test_mouse_wheel_and_keys_turn_and_zoom_and_reset(
    view: SpaceView, qtbot: QtBot
) -> None:
    first: Orbit = view.orbit
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    view.mouseMoveEvent(
        QMouseEvent(QEvent.Type.MouseMove, QPointF(150, 120), button, button, none)
    )
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(150, 120))
    assert view.orbit.azimuth != first.azimuth
    assert view.orbit.elevation > first.elevation
    qtbot.mouseDClick(view, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    assert view.orbit == first
    for key, changed in {
        Qt.Key.Key_Left: "azimuth",
        Qt.Key.Key_Up: "elevation",
        Qt.Key.Key_Plus: "distance",
        Qt.Key.Key_Minus: "distance",
    }.items():
        qtbot.keyClick(view, key)
        assert getattr(view.orbit, changed) != getattr(first, changed)
        qtbot.keyClick(view, Qt.Key.Key_Home)
        assert view.orbit == first


def test_the_trail_is_short_and_starts_again_at_an_earlier_time() -> None:
    trail = SpaceTrail()
    step_ns = TRAIL_NS // 10
    for number in range(30):
        shown = trail.add(number * step_ns, POINTS + number)
    assert 8 <= len(shown) <= 12
    assert shown[-1] == pytest.approx((49, 29, 69))
    assert len(trail.add(0, POINTS)) == 1


def test_the_live_display_shows_moments_of_a_rig_with_space(qtbot: QtBot) -> None:
    rig = FakeSession()
    rig.settings = load(REARING)
    display = Display(bridge := Bridge(rig))
    qtbot.addWidget(display)
    assert display.space is not None
    for action in (Action.START_STREAM, Action.START_ANALYSIS):
        bridge.do(action)
        bridge.tick()
    answers = {"rearing": True}
    plain = make_step(0)
    found = pose(time_ns=plain.exposed_ns)
    step = replace(plain, camera="left", space=found, space_triggers=answers)
    rig.news.append(step)
    bridge.tick()
    shown = display.space.moment
    assert shown is not None
    assert shown.points is found.points
    assert shown.answers == answers

    # the frame of the same moment has the points in space too, where the camera sees them
    view = display.grid.views["left"]
    view.show_image(np.zeros((480, 640), np.uint8), 0, step)
    display._reproject(view)
    assert view.reprojection is not None
    camera = display.space.scene.cameras.camera("left")
    assert view.reprojection.pixels == pytest.approx(camera.project(POINTS))
    assert view.reprojection.caption == "nose z 60 mm"

    # and so has the height of the trigger
    (outline,) = view.space_outlines
    assert outline.trigger == "rearing"
    square = camera.project(display.space.scene.shapes[0].lines)
    assert np.allclose(
        np.sort(outline.lines.max(axis=(0, 1))),
        np.sort(square.max(axis=(0, 1))),
        atol=5,
    )
    assert view.space_answers == answers
    bridge.do(Action.STOP_STREAM)
    bridge.tick()
    assert display.space.moment is None
    assert view.space_answers is None


def test_a_rig_without_space_has_no_view_of_it(qtbot: QtBot) -> None:
    display = Display(Bridge(FakeSession()))
    qtbot.addWidget(display)
    assert display.space is None


def test_a_frame_has_the_moment_of_its_exposure_and_no_other() -> None:
    recent = RecentMoments()
    assert recent.at(0) is None
    for number in range(3):
        recent.add(replace(moment(), time_ns=number * 30_000_000))
    found = recent.at(31_000_000)
    assert found is not None
    assert found.time_ns == 30_000_000
    assert recent.at(90_000_000) is None


def test_what_a_camera_sees_of_a_trigger_in_space_is_green_while_it_is_true(
    qtbot: QtBot,
) -> None:
    video = VideoView("left")
    qtbot.addWidget(video)
    video.resize(640, 480)
    line = np.array([[(100.0, 300.0), (500.0, 300.0)]])
    video.space_outlines = (SpaceOutline("rearing", line),)
    video.show_image(np.zeros((480, 640), np.uint8), 0, None)
    for answer, colour in ((True, GREEN), (False, BLUE)):
        video.space_answers = {"rearing": answer}
        assert close_to(QColor(video.grab().toImage().pixel(400, 300)), colour)


def test_edges_behind_a_camera_are_not_drawn_in_its_image(scene: SpaceScene) -> None:
    camera = scene.cameras.camera("left")
    ahead, behind = camera.rotation[2] * 500, -camera.rotation[2] * 500
    lines = np.array([[camera.centre + ahead, camera.centre + behind]])
    (outline,) = outlines_in([SpaceShape("rearing", lines)], camera)
    assert 0 < len(outline.lines) < 8
    hidden = np.array([[camera.centre + behind, camera.centre + 2 * behind]])
    assert outlines_in([SpaceShape("rearing", hidden)], camera) == ()


def test_the_pose_from_space_is_painted_unless_it_is_switched_off(
    qtbot: QtBot,
) -> None:
    video = VideoView("left")
    qtbot.addWidget(video)
    video.resize(640, 480)
    pixels = np.array([(100.0, 100.0), (300.0, 100.0), (np.nan, np.nan)])
    video.show_image(np.zeros((480, 640), np.uint8), 0, make_step(0))
    video.show_reprojection(Reprojection(SKELETON, pixels, "nose z 60 mm"))

    def amber() -> bool:
        image = video.grab().toImage()
        line = [QColor(image.pixel(x, 100)) for x in range(120, 280)]
        return any(colour.red() > 200 and colour.blue() < 120 for colour in line)

    assert amber()
    video.reprojects = False
    assert not amber()
    video.reprojects = True
    video.show_image(np.zeros((480, 640), np.uint8), 1, make_step(1))
    assert not amber()
