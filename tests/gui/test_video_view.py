import numpy as np
import pytest
from PyQt5.QtCore import QRectF
from PyQt5.QtGui import QColor
from pytestqt.qtbot import QtBot

from deeplabstream.core.frame import Image
from deeplabstream.engine.trigger_shapes import trigger_shapes_of
from deeplabstream.gui.theme import GREEN, bodypart_colour
from deeplabstream.gui.widgets import video_view
from deeplabstream.gui.widgets.video_view import VideoGrid, VideoView, to_qimage
from tests.gui.fake_session import close_to, make_settings, make_step

RED_BGR = np.array([0, 0, 255], np.uint8)


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (np.full((5, 7, 3), RED_BGR), QColor(255, 0, 0)),
        (np.full((5, 7), 90, np.uint8), QColor(90, 90, 90)),
        (np.full((5, 7), 180 << 8, np.uint16), QColor(180, 180, 180)),
        (np.full((5, 7), 180 << 4, np.uint16), QColor(180, 180, 180)),
        (np.full((10, 14, 3), RED_BGR)[::2, ::2], QColor(255, 0, 0)),
    ],
    ids=["colour", "grey", "16 bit", "12 bit", "not contiguous"],
)
def test_colours_come_out_as_they_are(image: Image, colour: QColor) -> None:
    shown = to_qimage(image)
    assert (shown.width(), shown.height()) == (7, 5)
    corners = {shown.pixelColor(x, y).name() for x in (0, 6) for y in (0, 4)}
    assert corners == {colour.name()}


def test_the_picture_is_a_copy() -> None:
    for shape in ((4, 4), (4, 4, 3)):
        image = np.zeros(shape, np.uint8)
        shown = to_qimage(image)
        image[:] = 255
        assert shown.pixelColor(2, 2) == QColor(0, 0, 0)


def test_picture_and_pose_are_scaled_alike(qtbot: QtBot) -> None:
    view = VideoView("arena", trigger_shapes_of(make_settings("arena")))
    qtbot.addWidget(view)
    view.resize(800, 700)
    image = np.zeros((100, 160), np.uint8)
    image[40, 60] = 255  # where the nose is
    view.show_image(image, 7, None)
    place = view.place
    assert place is not None
    assert (place.scale, place.left, place.top) == (5.0, 0.0, 100.0)
    x, y = (int(value) for value in place.to_view((60, 40)))
    shown = view.grab().toImage()
    assert shown.pixelColor(x, y).lightness() > 200
    assert shown.pixelColor(x + 8, y).lightness() < 50
    view.show_image(image, 7, make_step(7, {"here": True, "there": None}))
    shown = view.grab().toImage()
    assert close_to(shown.pixelColor(x, y), bodypart_colour(0).name())
    x, y = (int(value) for value in place.to_view((75, 40)))
    assert close_to(shown.pixelColor(x, y), GREEN), "the border of the region"


def test_without_a_picture_it_says_why(qtbot: QtBot) -> None:
    view = VideoView("arena")
    qtbot.addWidget(view)
    view.show_image(np.zeros((10, 10), np.uint8), 0, None)
    view.clear("No stream")
    assert view.place is None
    view.grab()


@pytest.mark.parametrize(("cameras", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3)])
def test_cameras_stand_in_a_grid(qtbot: QtBot, cameras: int, columns: int) -> None:
    grid = VideoGrid([f"camera {number}" for number in range(cameras)])
    qtbot.addWidget(grid)
    grid.resize(900, 600)
    grid.grab()
    assert len({view.x() for view in grid.views.values()}) == columns


def test_the_name_of_an_animal_is_not_under_that_of_the_camera(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = VideoView("corrected")
    qtbot.addWidget(view)
    view.resize(320, 200)
    given: list[QRectF] = []
    monkeypatch.setattr(
        video_view, "draw_pose", lambda *arguments: given.extend(arguments[-1])
    )
    view.show_image(np.zeros((100, 160), np.uint8), 736, make_step(736))
    view.grab()
    (header,) = given
    assert header.contains(20, 20)
    assert header.width() > 100
