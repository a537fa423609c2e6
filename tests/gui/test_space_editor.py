"""Volumes drawn in two views, from the first click to the settings, and back by undo."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt5.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt5.QtGui import QColor, QMouseEvent
from pytestqt.qtbot import QtBot

from deeplabstream.core.frame import Frame
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.pages.regions_page import RegionsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import palette
from deeplabstream.gui.widgets.space_canvas import SpaceCanvas
from deeplabstream.gui.widgets.space_editor import SpaceEditor
from deeplabstream.settings.loading import load
from tests.gui.fake_session import FakeSession, close_to, make_step
from tests.gui.test_space_view import POINTS, REARING, ROOT, pose

CALIBRATION = ROOT / "models/space_arena/calibration.toml"


class Hand:
    """Draws in the editor of a rig with three calibrated cameras."""

    def __init__(self, qtbot: QtBot, file: Path) -> None:
        self.qtbot = qtbot
        text = REARING.read_text("utf-8")
        word = "../../models/space_arena/calibration.toml"
        file.write_text(text.replace(word, CALIBRATION.as_posix()), "utf-8")
        rig = FakeSession()
        rig.settings = load(file)
        self.bridge = Bridge(rig)
        self.page = RegionsPage(self.bridge, Document(file))
        # kept until it is closed: qtbot alone would let it be deleted in a painting
        qtbot.addWidget(self.page, before_close_func=lambda page: self.page)
        self.page.resize(1200, 750)
        self.page.show()
        assert self.page.in_space is not None
        self.editor: SpaceEditor = self.page.in_space

    @property
    def document(self) -> Document:
        return self.page.document

    def value(self, name: str, key: str = "VOLUME") -> str:
        return self.document.values[f"Trigger {name}"].get(key, "")

    def at(self, canvas: SpaceCanvas, place: tuple[float, float]) -> QPoint:
        return canvas.to_view(place).toPoint()

    def drag(
        self,
        canvas: SpaceCanvas,
        start: tuple[float, float],
        end: tuple[float, float],
    ) -> None:
        # the view does not move meanwhile, so both places are known before
        one, other = self.at(canvas, start), self.at(canvas, end)
        left = Qt.MouseButton.LeftButton
        self.qtbot.mousePress(canvas, left, pos=one)
        self.qtbot.mouseMove(canvas, other)
        self.qtbot.mouseRelease(canvas, left, pos=other)

    def numbers(self, name: str) -> list[float]:
        return [float(w) for w in self.value(name).split() if w[-1].isdigit()]


@pytest.fixture
def hand(tmp_path: Path, qtbot: QtBot) -> Hand:
    return Hand(qtbot, tmp_path / "rig.ini")


def draw_cylinder(hand: Hand) -> None:
    hand.editor.tools["cylinder"].click()
    hand.drag(hand.editor.above, (20, 10), (60, 10))


def test_a_cylinder_is_drawn_from_above_and_is_a_valid_trigger(hand: Hand) -> None:
    before = hand.document.text
    draw_cylinder(hand)
    assert hand.numbers("cylinder")[:3] == pytest.approx([20, 10, 40], abs=2)
    assert all(number == round(number) for number in hand.numbers("cylinder"))
    assert hand.value("cylinder", "KIND") == "InsideVolume"
    assert hand.value("cylinder", "BODYPARTS") == "nose"
    assert hand.document.problems == ()
    assert hand.editor.above.tool is None
    hand.document.undo()
    assert hand.document.text == before


def test_heights_of_a_volume_are_dragged_from_the_front_in_one_undo_step(
    hand: Hand,
) -> None:
    draw_cylinder(hand)
    *across, low, high = hand.numbers("cylinder")
    hand.drag(hand.editor.upright, (across[0], high), (across[0], high - 30))
    assert hand.numbers("cylinder")[:3] == across
    assert hand.numbers("cylinder")[3:] == pytest.approx([low, high - 30], abs=2)
    hand.document.undo()
    assert hand.numbers("cylinder") == [*across, low, high]


def test_while_it_is_dragged_the_other_views_follow_and_the_settings_do_not(
    hand: Hand,
) -> None:
    draw_cylinder(hand)
    editor, text = hand.editor, hand.document.text
    hand.qtbot.mousePress(
        editor.above, Qt.MouseButton.LeftButton, pos=hand.at(editor.above, (20, 10))
    )
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    at = QPointF(hand.at(editor.above, (-40, 10)))
    kind = QEvent.Type.MouseMove
    editor.above.mouseMoveEvent(QMouseEvent(kind, at, button, button, none))
    assert editor.view is not None
    shape = next(it for it in editor.view.scene.shapes if it.trigger == "cylinder")
    assert shape.lines[..., 0].mean() == pytest.approx(-40, abs=4)
    seen = next(it for it in editor.image.space_outlines if it.trigger == "cylinder")
    camera = editor.view.scene.cameras.camera(editor.image.camera)
    middle = camera.project(shape.lines.mean(axis=(0, 1)))
    assert np.hypot(*(seen.lines.mean(axis=(0, 1)) - middle)) < 15
    assert hand.document.text == text
    hand.qtbot.mouseRelease(
        editor.above, Qt.MouseButton.LeftButton, pos=hand.at(editor.above, (-40, 10))
    )
    assert hand.numbers("cylinder")[0] == pytest.approx(-40, abs=2)


def test_the_height_of_a_trigger_is_dragged_and_nothing_else_changes(
    hand: Hand,
) -> None:
    lines = hand.document.text.splitlines()
    hand.drag(hand.editor.upright, (0, 40), (0, 60))
    height = float(hand.value("rearing", "HEIGHT_MM"))
    assert height == pytest.approx(60, abs=2)
    changed = zip(lines, hand.document.text.splitlines(), strict=True)
    assert [one for one, other in changed if one != other] == ["HEIGHT_MM = 40"]


def test_numbers_are_written_as_they_are_typed_if_they_are_possible(hand: Hand) -> None:
    draw_cylinder(hand)
    position, heights = hand.editor.selected.position, hand.editor.selected.second
    position.setText("polygon 0 0 80.5 0 0 80")
    position.editingFinished.emit()
    heights.setText("0 50")
    heights.editingFinished.emit()
    assert hand.value("cylinder") == "polygon 0 0 80.5 0 0 80 z 0 50"
    heights.setText("60 50")
    heights.editingFinished.emit()
    assert hand.value("cylinder") == "polygon 0 0 80.5 0 0 80 z 0 50"
    assert "not possible" in hand.editor.selected.problem.text()
    # a drag changes the dragged corner only
    hand.drag(hand.editor.above, (0, 80), (10, 70))
    assert "80.5" in hand.value("cylinder")


def test_box_polygon_height_and_plane_are_drawn(hand: Hand) -> None:
    editor = hand.editor
    editor.tools["box"].click()
    hand.drag(editor.above, (-90, -60), (-30, -20))
    assert hand.numbers("box")[:4] == pytest.approx([-90, -60, 60, 40], abs=3)

    editor.tools["polygon"].click()
    for corner in ((0, 0), (60, 0), (0, 60)):
        left = Qt.MouseButton.LeftButton
        hand.qtbot.mouseClick(editor.above, left, pos=hand.at(editor.above, corner))
    hand.qtbot.keyClick(editor.above, Qt.Key.Key_Return)
    assert hand.numbers("polygon")[:6] == pytest.approx([0, 0, 60, 0, 0, 60], abs=2)

    editor.tools["height"].click()
    hand.drag(editor.upright, (-50, 70), (-50, 70))
    assert float(hand.value("height", "HEIGHT_MM")) == pytest.approx(70, abs=2)
    assert hand.value("height", "KIND") == "AboveHeight"

    editor.tools["plane"].click()
    hand.drag(editor.above, (80, 20), (110, 20))
    assert hand.value("plane", "KIND") == "PlaneCrossing"
    assert hand.value("plane", "NORMAL") == "1, 0, 0"
    assert (
        editor.selected.second.isEnabled()
        and editor.selected.second_label.text() == "normal"
    )
    editor.selected.second.setText("1, 1, 0")
    editor.selected.second.editingFinished.emit()
    assert hand.value("plane", "NORMAL") == "1, 1, 0"
    assert hand.document.problems == ()


def test_arrow_keys_move_by_whole_millimetres(hand: Hand) -> None:
    draw_cylinder(hand)
    x, y, *rest = hand.numbers("cylinder")
    hand.qtbot.keyClick(hand.editor.above, Qt.Key.Key_Right)
    hand.qtbot.keyClick(
        hand.editor.above, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier
    )
    assert hand.numbers("cylinder") == [x + 1, y + 10, *rest]


def test_copy_rename_and_delete_change_the_settings(hand: Hand) -> None:
    draw_cylinder(hand)
    hand.editor.selected.copy.click()
    assert hand.editor.chosen_name == "cylinder 2"
    assert hand.value("cylinder 2") != hand.value("cylinder")
    hand.editor.selected.name.setText("feeder")
    hand.editor.selected.name.editingFinished.emit()
    assert hand.value("feeder")
    hand.editor.selected.delete.click()
    assert "Trigger feeder" not in hand.document.values
    assert [*hand.editor.items] == ["rearing", "cylinder"]


def test_the_other_side_shows_y_and_z(hand: Hand) -> None:
    draw_cylinder(hand)
    hand.editor.other_side.click()
    _, y, *_ = hand.numbers("cylinder")
    mark = hand.editor.items["cylinder"].mark(
        hand.editor.upright.axes, hand.editor.upright.room
    )
    assert mark is not None
    assert mark.holds(y, 5, 0)


def test_a_volume_is_moved_and_made_higher_from_the_side(hand: Hand) -> None:
    draw_cylinder(hand)
    editor = hand.editor
    editor.other_side.click()
    x, y, radius, low, high = hand.numbers("cylinder")
    hand.drag(editor.upright, (y, high), (y, high - 30))
    assert hand.numbers("cylinder")[:4] == [x, y, radius, low]
    assert hand.numbers("cylinder")[4] == pytest.approx(high - 30, abs=2)
    high = hand.numbers("cylinder")[4]
    hand.drag(editor.upright, (y + 5, (low + high) / 2), (y + 45, (low + high) / 2))
    moved = hand.numbers("cylinder")
    assert moved == pytest.approx([x, y + 40, radius, low, high], abs=2)
    assert moved[0] == x
    hand.qtbot.keyClick(editor.upright, Qt.Key.Key_Right)
    assert hand.numbers("cylinder")[1] == moved[1] + 1
    assert hand.document.problems == ()


def test_a_frame_is_shown_on_the_floor_where_its_camera_sees_it(hand: Hand) -> None:
    image = np.full((480, 640), 200, np.uint8)
    hand.bridge.imaged.emit(Frame("left", 1, 1, 1, image), None)
    canvas = hand.editor.above
    at = hand.at(canvas, (13, 13))
    assert not close_to(QColor(canvas.grab().toImage().pixel(at)), palette().field)
    assert hand.editor.image.place is not None


def test_the_body_is_shown_in_all_views(hand: Hand) -> None:
    step = replace(
        make_step(0), camera="left", space=pose(), space_triggers={"rearing": True}
    )
    hand.bridge.stepped.emit((step,))
    assert hand.editor.upright.points is not None
    assert hand.editor.upright.points.tolist() == POINTS.tolist()
    assert hand.editor.image.space_answers == {"rearing": True}
    assert hand.editor.view is not None and hand.editor.view.moment is not None


def test_a_camera_is_chosen_in_place_of_space_and_space_again(hand: Hand) -> None:
    hand.editor.place.setCurrentText("right")
    hand.editor.place.activated.emit(1)
    assert hand.page.in_image.isVisible() and hand.page.canvas.camera == "right"
    hand.page.camera.setCurrentText("space")
    hand.page.camera.activated.emit(3)
    assert hand.editor.isVisible()


def test_a_calibration_that_cannot_be_read_is_said_and_nothing_is_drawn(
    hand: Hand, tmp_path: Path
) -> None:
    (tmp_path / "bad.toml").write_text("nothing", "utf-8")
    hand.document.set_value("Space", "CALIBRATION", str(tmp_path / "bad.toml"))
    assert hand.document.settings is None
    assert hand.editor.isVisible()
    hand.document.set_value("Space", "CALIBRATION", None)
    assert hand.page.in_image.isVisible()


def test_a_rig_without_a_calibration_has_no_space(qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "rig.ini"
    file.write_bytes((ROOT / "settings.ini").read_bytes())
    page = RegionsPage(Bridge(FakeSession()), Document(file))
    qtbot.addWidget(page, before_close_func=lambda page: page)
    assert page.camera.findText("space") < 0
    assert page.in_space is None
