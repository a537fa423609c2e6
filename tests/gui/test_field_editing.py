"""Keys while something is edited: save, undo and leaving, with real key events."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session_state import Action
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.pages.settings_page import SettingsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.field_editors import TextEditor
from deeplabstream.gui.widgets.live_panels import SubjectPanel
from deeplabstream.settings.loading import load
from tests.gui.fake_session import FakeSession

ROOT = Path(__file__).resolve().parents[2]
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[MainWindow]:
    file = tmp_path / "rig.ini"
    file.write_bytes((ROOT / "settings.ini").read_bytes())
    rig = FakeSession()
    rig.settings = load(file)
    made = MainWindow(Bridge(rig), Document(file))
    qtbot.addWidget(made)
    made.show()
    QApplication.setActiveWindow(made)
    yield made
    made.end()  # without a question


def field(window: MainWindow, section: str, key: str) -> QLineEdit:
    """Return the field of a key, with the focus in it."""
    window.show_page("Settings")
    page = window.page("Settings")
    assert isinstance(page, SettingsPage)
    page.show_section(section)
    assert page.form is not None
    editor = page.form.editors[key]
    assert isinstance(editor, TextEditor)
    editor.line.setFocus()
    assert QApplication.focusWidget() is editor.line
    return editor.line


def words_of(window: MainWindow) -> str:
    return window.document.path.read_text(encoding="utf-8")


@pytest.mark.parametrize("way", ["key", "menu"])
def test_saving_takes_the_field_that_is_being_edited(
    window: MainWindow, qtbot: QtBot, way: str
) -> None:
    line = field(window, "Session", "ANIMAL")
    line.clear()
    qtbot.keyClicks(line, "mouse 7")
    if way == "key":
        qtbot.keyClick(line, Qt.Key.Key_S, CTRL)
    else:
        window.menu.actions["Save"].trigger()
    assert "mouse 7" in words_of(window)
    assert not window.document.unsaved
    assert QApplication.focusWidget() is line, "typing goes on where it was"
    window.end()


def test_going_to_another_page_by_keys_takes_the_field_over(
    window: MainWindow, qtbot: QtBot
) -> None:
    line = field(window, "Session", "ANIMAL")
    line.clear()
    qtbot.keyClicks(line, "mouse 8")
    qtbot.keyClick(line, Qt.Key.Key_1, CTRL)
    assert window.document.values["Session"]["ANIMAL"] == "mouse 8"
    window.end()


def test_a_signal_keeps_the_field_that_is_being_edited(
    window: MainWindow, qtbot: QtBot
) -> None:
    line = field(window, "Session", "ANIMAL")
    line.clear()
    qtbot.keyClicks(line, "mouse 9")
    window.end()
    assert "mouse 9" in window.document.draft.read_text(encoding="utf-8")


def test_undo_in_a_field_takes_back_typing_and_then_the_settings(
    window: MainWindow, qtbot: QtBot
) -> None:
    before = window.document.text
    window.document.set_value("Session", "ANIMAL", "mouse 1")
    line = field(window, "Session", "ANIMAL")
    qtbot.keyClicks(line, "23")
    qtbot.keyClick(line, Qt.Key.Key_Z, CTRL)
    assert line.text() == "mouse 1"
    assert window.document.values["Session"]["ANIMAL"] == "mouse 1"
    line = field(window, "Session", "EXPERIMENTER")
    qtbot.keyClick(line, Qt.Key.Key_Z, CTRL)
    assert window.document.text == before, "nothing was typed in this field"
    window.end()


def test_what_is_being_typed_stays_when_the_files_were_checked(
    window: MainWindow, qtbot: QtBot
) -> None:
    window.document.set_value("Pose Estimation", "MODEL", "nowhere")
    line = field(window, "Pose Estimation", "THREADS")
    line.clear()
    qtbot.keyClicks(line, "12")
    window.document.check()
    page = window.page("Settings")
    assert isinstance(page, SettingsPage) and page.form is not None
    assert "nowhere" in page.form.problems["MODEL"].text()
    assert page.summary.text() == "1 problem"
    assert "nowhere" in window.banner.text()
    assert line.text() == "12"
    window.show_page("Live")
    assert window.document.values["Pose Estimation"]["THREADS"] == "12"
    subject = window.live.findChild(SubjectPanel)
    assert subject is not None
    window.document.set_value("Pose Estimation", "MODEL", "arena")
    animal = subject.lines["ANIMAL"]
    animal.setFocus()
    qtbot.keyClicks(animal, "45")
    window.document.check()
    assert not window.document.findings
    assert animal.text() == "45"
    window.end()


def test_a_field_that_is_left_as_it_was_edits_nothing(
    window: MainWindow, qtbot: QtBot
) -> None:
    text = window.document.text.replace("THREADS = ", "THREADS  =   ")
    title, key = "Trigger left", "BODYPARTS"
    word = window.document.values[title][key]
    text = text.replace(f"{key} = {word}", f"{key} =\n    {word}")
    window.document.edit(text)
    window.document.set_value(title, key.lower(), word)
    window.document.set_value("Pose Estimation", "THREADS", " 0 ")
    assert window.document.text == text
    window.document.undo()
    assert not window.document.unsaved, "one step"
    window.document.set_value(title, key, f"{word}, nose")
    assert window.document.values[title][key] == f"{word}, nose"
    window.end()


@pytest.fixture
def labelling(window: MainWindow, tmp_path: Path) -> NetworkPage:
    for number in range(2):
        file = tmp_path / "labels/labeled-data/film" / f"img{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), np.full((48, 64), 90, np.uint8))
    window.show_page("Network")
    page = window.page("Network")
    assert isinstance(page, NetworkPage)
    page.parts_line.setText("nose, tail")
    page.open(tmp_path / "labels")
    return page


def place_label(page: NetworkPage, qtbot: QtBot) -> Callable[[], bool]:
    """Place a body part by a click; return what says whether it is placed."""
    canvas = page.labelling.canvas
    assert canvas.place is not None
    x, y = canvas.place.to_view((20, 20))
    qtbot.mouseClick(canvas, LEFT, pos=QPoint(round(x), round(y)))

    def placed() -> bool:
        assert page.book is not None
        return bool(np.isfinite(page.book.points[0, 0, 0]))

    assert placed()
    return placed


def test_undo_while_labelling_takes_back_the_label_not_the_settings(
    window: MainWindow, labelling: NetworkPage, qtbot: QtBot
) -> None:
    window.document.set_value("Session", "ANIMAL", "mouse 1")
    text = window.document.text
    placed = place_label(labelling, qtbot)
    canvas = labelling.labelling.canvas
    qtbot.keyClick(canvas, Qt.Key.Key_Z, CTRL)
    assert not placed()
    assert window.document.text == text
    qtbot.keyClick(canvas, Qt.Key.Key_Z, CTRL | SHIFT)
    assert placed()
    window.menu.actions["Undo"].trigger()
    assert not placed()
    labelling.show_step("Train")
    window.menu.actions["Undo"].trigger()
    assert window.document.text != text, "elsewhere it is the settings' again"
    window.end()


def test_undo_while_labelling_works_though_no_setting_was_changed(
    window: MainWindow, labelling: NetworkPage, qtbot: QtBot
) -> None:
    placed = place_label(labelling, qtbot)
    qtbot.keyClick(labelling.labelling.canvas, Qt.Key.Key_Z, CTRL)
    assert not placed()
    window.end()


@pytest.mark.parametrize("streaming", [False, True])
def test_the_first_click_on_a_menu_opens_it_while_a_field_is_edited(
    window: MainWindow, qtbot: QtBot, streaming: bool
) -> None:
    if streaming:  # a banner appears then
        window.bridge.do(Action.START_STREAM)
        window.bridge.tick()
    line = field(window, "Experiment", "EXP_TIME_S")
    line.clear()
    qtbot.keyClicks(line, "60")
    bar = window.menuBar()
    assert bar is not None
    edit = bar.actions()[1]
    qtbot.mouseClick(bar, LEFT, pos=bar.actionGeometry(edit).center())
    QApplication.processEvents()
    assert QApplication.activePopupWidget() is edit.menu()
    qtbot.keyClick(edit.menu(), Qt.Key.Key_Escape)
    window.end()
