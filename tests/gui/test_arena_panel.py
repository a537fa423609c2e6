"""Arenas laid out in the window: a grid drawn over the image, single and unused arenas, markers."""

from pathlib import Path

import numpy as np
import pytest
from PyQt5.QtCore import Qt
from pytestqt.qtbot import QtBot

from deeplabstream.core.frame import Frame
from deeplabstream.engine.session.session_state import Phase
from deeplabstream.engine.trigger_shapes import trigger_shapes_of
from deeplabstream.gui.dialogs.program_window import FormWindow
from deeplabstream.gui.widgets.live_display import Display
from deeplabstream.pose.plate_markers import PlatePlace
from deeplabstream.settings.arena_instances import centre_of
from deeplabstream.settings.plate import moved_plate
from tests.gui.fake_session import FakeSession
from tests.gui.test_regions_page import Hand
from tests.pose.plate_images import LAID_OUT, seen

RIG = """
[Pose Estimation]
MODEL = background
[Camera arena]
KIND = SimulatedCamera
[Trigger left]
KIND = InsideRegion
BODYPARTS = centre
REGION = rectangle -20 -20 20 40
[Output light]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = loop
[Experiment loop]
KIND = Conditional
TRIGGER = left
OUTPUT = light
"""


@pytest.fixture
def hand(tmp_path: Path, qtbot: QtBot) -> Hand:
    file = tmp_path / "rig.ini"
    file.write_text(RIG, "utf-8")
    made = Hand(qtbot, file)
    made.page.lay_out.click()
    return made


def drawn(hand: Hand) -> dict[str, tuple[float, float]]:
    """Draw a grid of 2 × 3; return the centres of its arenas."""
    panel = hand.page.arenas
    panel.rows.setValue(2)
    panel.columns.setValue(3)
    panel.gap.setValue(20)
    hand.drag((100, 100), (500, 300))
    if panel.outputs.isVisibleTo(panel):
        panel.outputs.click()
    settings = hand.page.document.settings
    assert settings is not None, hand.page.document.problems
    return {name: centre_of(region) for name, region in settings.arenas.items()}


def test_a_grid_is_drawn_from_the_first_to_the_last_arena(hand: Hand) -> None:
    panel = hand.page.arenas
    assert panel.modes["draw"].isChecked()
    centres = drawn(hand)
    assert list(centres) == ["A1", "A2", "A3", "B1", "B2", "B3"]
    assert centres["A1"] == pytest.approx((100, 100), abs=1.5)
    assert centres["B3"] == pytest.approx((500, 300), abs=1.5)
    assert panel.modes["grid"].isChecked(), "its corners can be moved now"
    assert len(hand.page.canvas.outlines) == 6
    assert hand.page.canvas.chosen_name == "[Arenas]"
    outputs = hand.page.document.settings.outputs  # type: ignore[union-attr]
    assert sorted(outputs) == [f"light.{name}" for name in centres]


def test_rows_columns_shape_and_gap_change_the_grid_that_is_there(hand: Hand) -> None:
    panel = hand.page.arenas
    drawn(hand)

    def radius() -> float:
        return float(hand.page.document.values["Arenas"]["SHAPE"].split()[1])

    assert radius() == pytest.approx(90, abs=1.5)
    panel.gap.setValue(40)
    panel.gap.editingFinished.emit()
    assert radius() == pytest.approx(80, abs=1.5)
    panel.shape.setCurrentIndex(1)
    panel.shape.activated.emit(1)
    words = hand.page.document.values["Arenas"]["SHAPE"].split()
    assert words[0] == "rectangle"
    assert [float(word) for word in words[1:]] == pytest.approx([160, 160], abs=2)
    panel.gap.setValue(300)
    panel.gap.editingFinished.emit()
    assert "a gap of 300 px leaves nothing" in panel.problem.text()
    hand.page.document.undo()
    hand.page.document.undo()
    assert radius() == pytest.approx(90, abs=1.5)
    assert panel.gap.value() == pytest.approx(20, abs=0.5)


def test_its_corners_are_dragged(hand: Hand) -> None:
    drawn(hand)
    hand.drag((500, 300), (510, 310))
    settings = hand.page.document.settings
    assert settings is not None
    assert centre_of(settings.arenas["B3"]) == pytest.approx((510, 310), abs=1.5)
    assert centre_of(settings.arenas["A1"]) == pytest.approx((100, 100), abs=1.5)


def test_one_arena_is_moved_alone(hand: Hand) -> None:
    drawn(hand)
    hand.page.arenas.modes["single"].click()
    assert list(hand.page.canvas.shapes) == ["A1", "A2", "A3", "B1", "B2", "B3"]
    hand.drag((300, 100), (305, 97))
    settings = hand.page.document.settings
    assert settings is not None
    assert centre_of(settings.arenas["A2"]) == pytest.approx((305, 97), abs=1.5)
    assert list(settings.arenas) == ["A1", "A2", "A3", "B1", "B2", "B3"]


def test_arenas_without_an_animal_are_clicked_or_listed(hand: Hand) -> None:
    page, panel = hand.page, hand.page.arenas
    drawn(hand)
    panel.modes["unused"].click()
    left = Qt.MouseButton.LeftButton
    for place in ((500, 100), (100, 300), (500, 100)):
        hand.qtbot.mouseClick(page.canvas, left, pos=hand.at(*place))
    assert page.document.values["Arenas"]["UNUSED"] == "B1"
    assert panel.unused.text() == "B1"
    assert page.canvas.muted == {"B1"}
    panel.outputs.click()
    settings = page.document.settings
    assert not page.document.problems
    assert settings is not None and "B1" not in settings.arenas
    assert "light.B1" not in settings.outputs

    panel.unused.setText("a1, b3")
    panel.unused.editingFinished.emit()
    panel.outputs.click()
    assert page.document.settings is not None
    assert list(page.document.settings.arenas) == ["A2", "A3", "B1", "B2"]


def test_the_markers_in_the_image_are_written(hand: Hand) -> None:
    page, panel = hand.page, hand.page.arenas
    drawn(hand)
    panel.markers.click()
    assert "markers in the image: none; expected four" in panel.problem.text()
    image, _ = seen(LAID_OUT)
    hand.bridge.imaged.emit(Frame("arena", 2, 2, 2, image), None)
    panel.markers.click()
    assert page.document.values["Arenas"]["MARKERS"] == "7, 3, 12, 5"
    assert page.document.settings is not None
    first = page.document.settings.plate.marker_corners[0]
    flat = np.array([first.x, first.y])
    assert flat == pytest.approx(flat.round(2))
    assert "found again at the start of each stream" in panel.found.text()
    panel.no_markers.click()
    assert "MARKERS" not in page.document.values["Arenas"]


def test_esc_leaves_the_drawing_and_back_shows_the_regions(hand: Hand) -> None:
    page = hand.page
    assert page.cancel() and page.canvas.tool is None
    page.arenas.back.click()
    assert not page.arranges and "left" in page.canvas.shapes


def test_the_form_of_printed_markers_has_those_of_the_settings(hand: Hand) -> None:
    panel = hand.page.arenas
    drawn(hand)
    assert panel.printed_markers() == {}
    hand.page.document.set_value("Arenas", "MARKERS", "7, 3, 12, 5")
    panel.print.click()
    (window,) = hand.page.findChildren(FormWindow)
    values = window.panel.form.values()
    assert values["--markers"] == ["7,3,12,5"]
    folder = hand.page.document.path.parent
    assert values["--output"] == [str(folder / "markers.pdf")]
    window.close()


def test_arenas_are_shown_and_edited_where_the_stream_has_found_the_plate(
    hand: Hand,
) -> None:
    page, panel = hand.page, hand.page.arenas
    drawn(hand)
    corners = "20 20, 40 20, 40 40, 20 40, 600 20, 620 20, 620 40, 600 40"
    corners += ", 600 440, 620 440, 620 460, 600 460, 20 440, 40 440, 40 460, 20 460"
    page.document.set_value("Arenas", "MARKER_CORNERS", corners)
    page.document.set_value("Arenas", "MARKERS", "7, 3, 12, 5")
    page.arenas.back.click()
    laid_out = page.document.settings
    assert laid_out is not None
    before, text = page.canvas.outlines[0].copy(), page.document.text

    display = Display(hand.bridge)
    hand.qtbot.addWidget(display)

    # the stream has found it 12 px further to the right
    place = PlatePlace(np.array([[1.0, 0, 12], [0, 1, 0], [0, 0, 1]]), 12.0, 0.0)
    session = hand.bridge.session
    assert isinstance(session, FakeSession)
    session.update(phase=Phase.STREAMING, used_settings=moved_plate(laid_out, place))
    hand.bridge.status_changed.emit(session.state)
    assert page.canvas.outlines[0] == pytest.approx(before + np.array([12, 0]), abs=0.1)
    assert page.document.text == text
    (zone,) = trigger_shapes_of(laid_out)[:1]
    (shown,) = display.grid.views["arena"].zones[:1]
    assert shown.outline == pytest.approx(zone.outline + np.array([12, 0]), abs=0.1)

    # who edits them gets grid and markers of the present image
    page.lay_out.click()
    assert "moved to where the plate was found" in panel.problem.text()
    settings = page.document.settings
    assert settings is not None
    assert settings.plate.marker_corners[0].x == pytest.approx(32)
    assert page.canvas.outlines[0] == pytest.approx(before + np.array([12, 0]), abs=0.1)
    page.document.undo()
    assert page.document.text == text
