"""Regions drawn with the mouse, from the first click to the file."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.regions import Polygon
from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.pages.regions_page import RegionsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.shapes import Shape, shape_of
from deeplabstream.gui.theme import AMBER
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.settings.loading import load
from tests.gui.fake_session import FakeSession, close_to

SOON = 300_000  # ms
ROOT = Path(__file__).resolve().parents[2]


class Hand:
    """Draws on the page of a rig whose picture is 640 × 480."""

    def __init__(self, qtbot: QtBot, file: Path) -> None:
        self.qtbot = qtbot
        rig = FakeSession()
        rig.settings = load(file)
        rig.update(skeleton=None, formats={"arena": ImageFormat((480, 640), 30.0)})
        self.bridge = Bridge(rig)
        self.page = RegionsPage(self.bridge, Document(file))
        # kept until it is closed: qtbot alone would let it be deleted in a painting
        qtbot.addWidget(self.page, before_close_func=lambda page: self.page)
        self.page.resize(1100, 700)
        self.page.show()
        image = np.full((480, 640), 90, np.uint8)
        self.bridge.imaged.emit(Frame("arena", 1, 1, 1, image), None)

    def at(self, x: float, y: float) -> QPoint:
        place = self.page.canvas.place
        assert place is not None
        left, top = place.to_view((x, y))
        return QPoint(round(left), round(top))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        canvas, left = self.page.canvas, Qt.MouseButton.LeftButton
        self.qtbot.mousePress(canvas, left, pos=self.at(*start))
        self.qtbot.mouseMove(canvas, self.at(*end))
        self.qtbot.mouseRelease(canvas, left, pos=self.at(*end))

    def numbers(self, name: str, key: str = "REGION") -> tuple[float, ...]:
        word = self.page.document.values[f"Trigger {name}"][key]
        shape = shape_of(key, word)
        assert shape is not None, word
        return shape.numbers


@pytest.fixture
def hand(tmp_path: Path, qtbot: QtBot) -> Hand:
    file = tmp_path / "rig.ini"
    file.write_bytes((ROOT / "settings.ini").read_bytes())
    return Hand(qtbot, file)


def test_a_region_is_moved_and_reshaped(hand: Hand) -> None:
    hand.drag((160, 240), (200, 220))
    assert hand.page.name.text() == "left"
    assert hand.numbers("left") == pytest.approx((200, 220, 70), abs=1.5)
    hand.drag((270, 220), (300, 220))
    assert hand.numbers("left") == pytest.approx((200, 220, 100), abs=2)
    hand.page.document.undo()
    assert hand.numbers("left") == pytest.approx((200, 220, 70), abs=1.5)


@pytest.fixture
def wells(tmp_path: Path, qtbot: QtBot) -> Hand:
    file = tmp_path / "wells.ini"
    text = (ROOT / "experiments/configs/wells.ini").read_text("utf-8")
    file.write_text(text.replace("[Camera plate]", "[Camera arena]"), "utf-8")
    return Hand(qtbot, file)


def test_a_region_of_all_arenas_is_drawn_in_the_first_one(wells: Hand) -> None:
    shape = wells.page.canvas.shapes["right half"]
    assert shape.numbers == (79.5, 12.5, 67, 134)
    wells.page.canvas.chosen.emit("right half")
    shown = [label.text() for label in wells.page.findChildren(QLabel)]
    assert "all arenas" in shown and "middle of the arena" in (
        wells.page.position.toolTip()
    )
    wells.drag((110, 80), (100, 80))
    assert wells.numbers("right half") == pytest.approx((-10, -67, 67, 134), abs=1.5)
    # one that is drawn in another arena is relative to the centre of that
    wells.page.tools["circle"].click()
    wells.drag((239.5, 239.5), (259.5, 239.5))
    assert wells.numbers("circle") == pytest.approx((0, 0, 20), abs=1.5)


def test_the_corners_of_the_grid_of_arenas_are_dragged(wells: Hand) -> None:
    page = wells.page
    # a click between the wells does not take hold of the grid
    wells.drag((159.5, 159.5), (200, 200))
    assert page.document.values["Arenas"]["CORNERS"] == "79.5 79.5, 559.5 399.5"

    page.canvas.chosen.emit("[Arenas]")
    wells.drag((559.5, 399.5), (569.5, 389.5))
    words = page.document.values["Arenas"]["CORNERS"].replace(",", " ").split()
    numbers = [79.5, 79.5, 559.5, 79.5, 569.5, 389.5, 79.5, 399.5]
    assert [float(word) for word in words] == pytest.approx(numbers, abs=1.5)
    assert page.document.settings is not None
    last = page.document.settings.arenas["C4"].outline()
    assert page.canvas.outlines[-1] == pytest.approx(last)
    assert not page.delete.isEnabled() and not page.copy.isEnabled()
    page.document.undo()
    assert page.document.values["Arenas"]["CORNERS"] == "79.5 79.5, 559.5 399.5"


def test_a_grid_keeps_its_four_corners(wells: Hand) -> None:
    wells.page.canvas.chosen.emit("[Arenas]")
    shape = wells.page.canvas.shapes["[Arenas]"]
    wells.page.canvas.changed.emit("[Arenas]", shape.with_corner(300, 70))
    assert wells.page.document.values["Arenas"]["CORNERS"] == "79.5 79.5, 559.5 399.5"
    assert "not 5" in wells.page.problem.text()
    wells.page.canvas.chosen.emit("right half")
    assert wells.page.delete.isEnabled()


def test_a_grid_is_not_dragged_into_a_shape_that_the_settings_refuse(
    wells: Hand,
) -> None:
    page = wells.page
    page.canvas.chosen.emit("[Arenas]")
    before = page.canvas.shapes["[Arenas]"]
    wells.drag((559.5, 399.5), (200, 200))
    assert page.document.values["Arenas"]["CORNERS"] == "79.5 79.5, 559.5 399.5"
    assert page.canvas.shapes["[Arenas]"] == before
    assert "CORNERS: expected upper left" in page.problem.text()
    # the arrows move it as a whole
    wells.qtbot.keyClick(page.canvas, Qt.Key.Key_Right)
    assert page.document.values["Arenas"]["CORNERS"] == "80.5 79.5, 560.5 399.5"
    assert page.problem.text() == ""


def grey(hand: Hand) -> int:
    """Return the brightness of the image far from all regions."""
    place, image = hand.page.canvas.place, hand.page.canvas.grab().toImage()
    assert place is not None
    x, y = place.to_view((600, 440))
    return image.pixelColor(int(x), int(y)).red()


def test_regions_are_drawn_on_the_last_frame_after_the_stream(hand: Hand) -> None:
    page = hand.page
    page.hide()
    for number, time_s in ((2, 5), (3, 6)):  # the second one is too soon to be copied
        image = np.full((480, 640), 10 * number, np.uint8)
        at_ns = time_s * 1_000_000_000
        hand.bridge.imaged.emit(Frame("arena", number, at_ns, at_ns, image), None)
        image[:] = 255  # the frame is valid until the slot returns
    page.canvas.clear("No stream")
    page.show()
    assert grey(hand) == 20
    page.tools["circle"].click()
    hand.drag((320, 100), (350, 100))
    assert hand.numbers("circle") == pytest.approx((320, 100, 30), abs=1.5)


def test_regions_are_drawn_on_an_image_file_and_on_a_frame_of_a_video(
    hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, image, other = (tmp_path / name for name in ("a.mkv", "b.png", "c.png"))
    with VideoWriter(video, ImageFormat((480, 640), 10.0)) as film:
        for frame in range(4):
            pixels = np.full((480, 640), 40 + 30 * frame, np.uint8)
            film.write(pixels, frame, frame * 100_000_000, frame * 100_000_000)
    cv2.imwrite(str(image), np.full((480, 640), 200, np.uint8))
    cv2.imwrite(str(other), np.full((100, 100), 200, np.uint8))
    page, chosen = hand.page, iter((image, video, other))
    monkeypatch.setattr(file_dialogs, "open_file", lambda *_: str(next(chosen)))

    page.image.click()
    assert abs(grey(hand) - 200) < 5
    assert not page.still.isVisible() and not page.image_problem.isVisible()
    page.image.click()
    hand.qtbot.waitUntil(lambda: abs(grey(hand) - 40) < 8, timeout=SOON)
    page.still.slider.setValue(3)
    hand.qtbot.waitUntil(lambda: abs(grey(hand) - 130) < 8, timeout=SOON)
    page.tools["circle"].click()
    hand.drag((320, 100), (350, 100))
    assert hand.numbers("circle") == pytest.approx((320, 100, 30), abs=1.5)

    page.image.click()
    assert (
        "100 × 100 px, frames of [Camera arena] 640 × 480" in page.image_problem.text()
    )
    hand.bridge.status_changed.emit(SessionState(phase=Phase.STREAMING))
    assert not page.image.isEnabled() and not page.image_problem.isVisible()
    page.finish()


def test_a_file_that_is_no_image_is_named(hand: Hand, tmp_path: Path) -> None:
    for name in ("a.png", "a.mkv"):
        (tmp_path / name).write_text("no image", "utf-8")
        hand.page.still.open(tmp_path / name)
        assert name in hand.page.image_problem.text()
        assert hand.page.image_problem.isVisible()


def test_what_is_told_in_millimetres_is_moved_in_millimetres(
    tmp_path: Path, qtbot: QtBot
) -> None:
    text = (ROOT / "settings.ini").read_text("utf-8")
    text = text.replace("SEED = 1", "SEED = 1\nMM_PER_PIXEL = 0.5", 1)
    text = text.replace("circle 160 240 70", "circle 80 120 35\nUNIT = mm")
    file = tmp_path / "rig.ini"
    file.write_text(text, "utf-8")
    hand = Hand(qtbot, file)
    hand.drag((160, 240), (200, 220))
    assert hand.numbers("left") == pytest.approx((100, 110, 35), abs=0.8)


def test_a_region_in_mm_behind_a_lens_is_shown_bent_and_not_drawn(
    tmp_path: Path, qtbot: QtBot
) -> None:
    text = (ROOT / "settings.ini").read_text("utf-8")
    lens = "MM_PER_PIXEL = 0.5\nLENS = 640 480 500 500 320 240 -0.3 0.1 0 0 0"
    text = text.replace("SEED = 1", f"SEED = 1\n{lens}", 1)
    text = text.replace("circle 160 240 70", "rectangle 20 30 100 180\nUNIT = mm")
    file = tmp_path / "rig.ini"
    file.write_text(text, "utf-8")
    hand = Hand(qtbot, file)
    canvas = hand.page.canvas
    assert "left" not in canvas.shapes
    (outline,) = canvas.outlines
    shown = Polygon(tuple((x, y) for x, y in outline.tolist()))

    settings = load(file)
    to_mm = settings.calibrations["arena"].to_mm
    region = settings.new_triggers()["left"].region  # type: ignore[attr-defined]
    grid = np.stack(np.meshgrid(range(5, 640, 9), range(5, 480, 9)), axis=-1)
    pixels = grid.reshape(-1, 2).astype(float)
    enclosed, holds = shown.contains(pixels), region.contains(to_mm(pixels))
    assert holds.sum() > 100
    # between its corners the outline is up to half a pixel off
    assert (enclosed != holds).sum() <= 2
    # dragging does not move it
    before = hand.page.document.text
    hand.drag((160, 240), (200, 220))
    assert hand.page.document.text == before


def test_what_is_drawn_is_a_trigger_in_the_file(hand: Hand) -> None:
    hand.page.tools["rectangle"].click()
    hand.drag((400, 300), (600, 450))
    assert not hand.page.tools["rectangle"].isChecked(), "one stroke, one region"
    hand.page.name.setText("feeder")
    hand.page.name.editingFinished.emit()
    assert hand.numbers("feeder") == pytest.approx((400, 300, 200, 150), abs=2)
    hand.page.document.save()
    settings = load(hand.page.document.path)
    trigger = settings.new_triggers()["feeder"]
    assert trigger.bodyparts == ("snout",)
    text = settings.text
    assert "# circle X Y R, ellipse X Y RX RY" in text, "comments are kept"


def test_a_polygon_is_clicked_together(hand: Hand) -> None:
    hand.page.tools["polygon"].click()
    canvas, left = hand.page.canvas, Qt.MouseButton.LeftButton
    for corner in ((300, 100), (400, 100), (350, 180)):
        hand.qtbot.mouseClick(canvas, left, pos=hand.at(*corner))
    hand.qtbot.keyClick(canvas, Qt.Key.Key_Return)
    corners = (300, 100, 400, 100, 350, 180)
    assert hand.numbers("polygon") == pytest.approx(corners, abs=1.5)
    hand.qtbot.mouseClick(canvas, Qt.MouseButton.RightButton, pos=hand.at(350, 180))
    assert len(hand.numbers("polygon")) == 6, "a triangle keeps its corners"
    hand.qtbot.mouseDClick(canvas, left, pos=hand.at(350, 100))
    assert len(hand.numbers("polygon")) == 8


def test_each_corner_of_a_polygon_is_seen_at_once(hand: Hand) -> None:
    hand.page.tools["polygon"].click()
    canvas, left = hand.page.canvas, Qt.MouseButton.LeftButton
    for corner in ((300, 100), (400, 100)):
        hand.qtbot.mouseClick(canvas, left, pos=hand.at(*corner))
        hand.qtbot.mouseMove(canvas, hand.at(corner[0] + 20, 150))
        image = canvas.grab().toImage()
        assert close_to(image.pixelColor(hand.at(*corner)), AMBER)
    assert close_to(image.pixelColor(hand.at(350, 100)), AMBER), "the first side"


def test_esc_puts_the_drawing_tool_away(hand: Hand) -> None:
    hand.page.tools["polygon"].click()
    hand.qtbot.mouseClick(
        hand.page.canvas, Qt.MouseButton.LeftButton, pos=hand.at(300, 100)
    )
    assert hand.page.cancel()
    assert not hand.page.tools["polygon"].isChecked()
    assert hand.page.canvas.tool is None
    assert not hand.page.cancel(), "there is nothing to cancel now"
    hand.page.calibrating.corners.click()
    assert hand.page.cancel()
    assert not hand.page.calibrating.waiting


def test_a_click_without_a_drag_draws_nothing(hand: Hand) -> None:
    hand.page.tools["circle"].click()
    hand.drag((300, 350), (301, 350))
    assert list(hand.page.canvas.shapes) == ["left", "right"]
    assert hand.page.tools["circle"].isChecked(), "the tool waits for a drag"


@pytest.mark.parametrize("kind", ["circle", "ellipse", "ring", "line", "point"])
def test_every_form_can_be_drawn(hand: Hand, kind: str) -> None:
    hand.page.tools[kind].click()  # type: ignore[index]
    hand.drag((300, 350), (340, 380))
    assert kind in hand.page.canvas.shapes


def test_arrow_keys_move_by_pixels(hand: Hand) -> None:
    hand.page.list.setCurrentRow(0)
    canvas = hand.page.canvas
    hand.qtbot.keyClick(canvas, Qt.Key.Key_Right)
    shift = Qt.KeyboardModifier.ShiftModifier
    hand.qtbot.keyClick(canvas, Qt.Key.Key_Up, shift)
    assert hand.numbers("left") == (161, 230, 70)


def test_renaming_reaches_the_experiment_that_names_it(hand: Hand) -> None:
    hand.page.list.setCurrentRow(0)
    hand.page.name.setText("nest")
    hand.page.name.editingFinished.emit()
    words = hand.page.document.values["Experiment ExampleExperiment"]
    assert words["REGIONS"] == "nest, right"
    assert not hand.page.document.problems


def test_a_name_that_another_region_has_is_refused_with_a_sentence(hand: Hand) -> None:
    hand.page.list.setCurrentRow(0)
    for name, said in (
        ("Right", "right is the name of another trigger."),
        ("", "A trigger needs a name."),
        ("a, b", "a, b: a name has letters, digits, spaces, - and _ only."),
    ):
        hand.page.name.setText(name)
        hand.page.name.editingFinished.emit()
        assert hand.page.problem.text() == said
        assert hand.page.name.text() == "left"
    assert not hand.page.document.history.can_undo
    hand.page.name.setText("Left")
    hand.page.name.editingFinished.emit()
    assert not hand.page.problem.text()
    assert list(hand.page.canvas.shapes) == ["Left", "right"]


def test_copies_and_deletions(hand: Hand) -> None:
    hand.page.list.setCurrentRow(1)
    hand.page.copy.click()
    assert hand.numbers("right 2") == (500, 260, 70)
    hand.page.delete.click()
    assert "right 2" not in hand.page.canvas.shapes
    assert not hand.page.document.problems


def test_body_parts_are_chosen_from_those_of_the_network(hand: Hand) -> None:
    hand.page.list.setCurrentRow(0)
    menu = hand.page.choose_parts.menu()
    assert menu is not None
    menu.aboutToShow.emit()
    listed = {action.text(): action for action in menu.actions()}
    assert list(listed) == ["snout", "leftear", "rightear", "tailbase"]
    ticked = [name for name, action in listed.items() if action.isChecked()]
    assert ticked == ["snout"]
    listed["tailbase"].trigger()
    words = hand.page.document.values["Trigger left"]
    assert words["BODYPARTS"] == "snout, tailbase"
    menu.aboutToShow.emit()
    listed = {action.text(): action for action in menu.actions()}
    listed["snout"].trigger()
    words = hand.page.document.values["Trigger left"]
    assert words["BODYPARTS"] == "tailbase"


def test_a_wrong_place_says_why(hand: Hand) -> None:
    hand.page.list.setCurrentRow(0)
    hand.page.parts.setText("")
    hand.page.parts.editingFinished.emit()
    assert "BODYPARTS: is missing" in hand.page.problem.text()


def answers(hand: Hand, *millimetres: float) -> None:
    given = list(millimetres)
    hand.page.calibrating._enter_mm = lambda *_: given.pop(0)


def test_a_line_of_known_length_tells_the_millimetres(hand: Hand) -> None:
    answers(hand, 150.0)
    hand.page.calibrating.scale.click()
    hand.drag((100, 100), (400, 100))
    settings = hand.page.document.settings
    assert settings is not None
    found = settings.calibrations["arena"]
    assert found.mm_per_pixel(0, 0) == pytest.approx(0.5, rel=0.01)
    assert hand.page.calibrating.message.text() == str(found)
    assert list(hand.page.canvas.shapes) == ["left", "right"], "no trigger was made"
    hand.page.document.undo()
    assert hand.page.calibrating.message.text() == "not calibrated"


def test_four_corners_tell_how_the_floor_is_seen(hand: Hand) -> None:
    answers(hand, 400.0, 300.0)
    hand.page.calibrating.corners.click()
    canvas, left = hand.page.canvas, Qt.MouseButton.LeftButton
    corners = ((150, 100), (500, 110), (600, 420), (60, 400))
    for corner in corners:
        hand.qtbot.mouseClick(canvas, left, pos=hand.at(*corner))
    hand.qtbot.keyClick(canvas, Qt.Key.Key_Return)
    settings = hand.page.document.settings
    assert settings is not None
    places = settings.calibrations["arena"].to_mm(corners)
    wanted = [[0, 0], [400, 0], [400, 300], [0, 300]]
    assert np.allclose(places, wanted, atol=1.5)


def test_the_length_of_an_animal_is_drawn(wells: Hand) -> None:
    button = wells.page.calibrating.animal
    assert button.isVisible() and "25 px" in button.text()
    button.click()
    wells.drag((100, 100), (130, 140))
    length = wells.page.document.values["Background Subtraction"]["LENGTH_PX"]
    assert int(length) == pytest.approx(50, abs=2)
    assert f"{length} px" in button.text()
    assert "line" not in wells.page.canvas.shapes, "no trigger was made"


def test_a_network_needs_no_length_of_an_animal(hand: Hand) -> None:
    assert not hand.page.calibrating.animal.isVisible()


def test_a_cancelled_length_asks_for_no_other(hand: Hand) -> None:
    asked: list[str] = []
    hand.page.calibrating._enter_mm = lambda _, question, __: asked.append(question)
    hand.page.calibrating._take_corners(
        Shape("polygon", (150.0, 100.0, 500.0, 110.0, 600.0, 420.0, 60.0, 400.0))
    )
    assert asked == ["Length from corner 1 to corner 2"]
    assert not hand.page.document.history.can_undo


def test_three_corners_are_too_few(hand: Hand) -> None:
    hand.page.calibrating.corners.click()
    canvas, left = hand.page.canvas, Qt.MouseButton.LeftButton
    for corner in ((150, 100), (500, 110), (600, 420)):
        hand.qtbot.mouseClick(canvas, left, pos=hand.at(*corner))
    hand.qtbot.keyClick(canvas, Qt.Key.Key_Return)
    assert hand.page.calibrating.message.text() == "expected 4 corners, not 3"
    assert not hand.page.document.history.can_undo


def test_a_region_becomes_a_shelter_and_its_deletion_leaves_none(hand: Hand) -> None:
    page = hand.page
    page.list.setCurrentRow(0)
    name = page.name.text()
    page.shelter.click()
    assert page.document.values["Animals"]["SHELTERS"] == name
    assert not page.document.problems
    page.name.setText("nest")
    page.name.editingFinished.emit()
    assert page.document.values["Animals"]["SHELTERS"] == "nest"
    assert page.shelter.isChecked()
    page.shelter.click()
    assert "SHELTERS" not in page.document.values.get("Animals", {})
    page.shelter.click()
    page.delete.click()
    assert "SHELTERS" not in page.document.values.get("Animals", {})
    page.document.undo()
    page._choose("nest")
    assert page.shelter.isChecked()


def test_a_long_position_is_shown_from_its_beginning(hand: Hand) -> None:
    hand.page.list.setCurrentRow(0)
    assert len(hand.page.position.text()) > 10
    assert hand.page.position.cursorPosition() == 0
