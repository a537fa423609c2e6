"""STOP and Esc act whatever is open: questions, file dialogs, dialogs, menus, lists."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PyQt5.QtCore import QPoint, Qt, QTimer
from PyQt5.QtGui import QGuiApplication
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication, QComboBox, QDialog, QMenu, QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.core.clock import SystemClock
from deeplabstream.engine.session.session_state import Action
from deeplabstream.files.paths import ROOT
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.analysis_options import OptionsDialog
from deeplabstream.gui.dialogs.camera_controls_window import CameraWindow
from deeplabstream.gui.dialogs.dialog_input import (
    POPUPS_MS,
    dialog_in_front,
    run_dialog,
)
from deeplabstream.gui.dialogs.help_window import HelpWindow, KeysWindow, show_about
from deeplabstream.gui.dialogs.new_rig.wizard import NewRigWizard
from deeplabstream.gui.dialogs.pick_frames import PickDialog
from deeplabstream.gui.dialogs.questions import (
    input_number,
    input_text,
    place_to_write,
    show_message,
    show_question,
)
from deeplabstream.gui.dialogs.scale_calibration import enter_mm
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages.page_stack import PAGES
from deeplabstream.gui.pages.runs_page import RunsPage
from tests.gui.main_windows import opened, rig_of, start
from tests.recording.recorded import record

LEFT = Qt.MouseButton.LeftButton
ESCAPE = Qt.Key.Key_Escape
PATIENCE_NS = 30_000_000_000
MODAL = ("exec_", "exec", "setModal", "setWindowModality")
_LOOPS = ("application.py", "stop_window.py")
"""Run the event loops of the window and of the stop window."""


@pytest.fixture
def window(qtbot: QtBot, file: Path) -> MainWindow:
    """A window whose fake rig runs an experiment."""
    made = opened(qtbot, file)
    made.activateWindow()
    assert happens(lambda: QGuiApplication.focusWindow() is not None)
    start(made)
    return made


@pytest.fixture
def stops(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with each request to switch the outputs off."""
    found: list[str] = []
    monkeypatch.setattr(window.bridge, "stop_outputs", lambda: found.append("off"))
    return found


def click_stop(window: MainWindow) -> None:
    """Click STOP as a mouse does: the window system chooses who gets the event."""
    button = window.navigation.stop
    place = button.mapTo(window, button.rect().center())
    handle = window.windowHandle()
    popup = QApplication.activePopupWidget()
    if popup is not None and (grabbing := popup.windowHandle()) is not None:
        handle, place = grabbing, popup.mapFromGlobal(window.mapToGlobal(place))
    assert handle is not None
    QTest.mouseClick(handle, LEFT, Qt.KeyboardModifiers(), place)


def press_escape(_window: MainWindow) -> None:
    """Press Esc in the window that has the keyboard, once one has it."""
    assert happens(lambda: QGuiApplication.focusWindow() is not None)
    QTest.keyClick(QGuiApplication.focusWindow(), ESCAPE)


def happens(condition: Callable[[], bool]) -> bool:
    """Handle events until the condition holds: a busy computer delivers them late."""
    clock = SystemClock()
    end = clock.now_ns() + PATIENCE_NS
    while not condition() and clock.now_ns() < end:
        QTest.qWait(10)
    return condition()


def close_dialogs(window: MainWindow) -> None:
    """Close all open dialogs, as if nothing was on any more."""
    rig_of(window).update(experimenting=False)
    for _ in range(5):
        if (dialog := dialog_in_front()) is not None:
            dialog.close()
            dialog.reject()


WAYS = [
    pytest.param(click_stop, id="STOP"),
    pytest.param(press_escape, id="Esc"),
]

DIALOGS: dict[str, Callable[[MainWindow, Path], object]] = {
    "question": lambda window, _: show_question(window, "Stop it?", "Stop", "Keep"),
    "message": lambda window, _: show_message(window, "This can't be done."),
    "about": lambda window, _: show_about(window),
    "text": lambda window, _: input_text(window, "New name"),
    "number": lambda window, _: input_number(window, "Length", 3, 0, 10),
    "mm": lambda window, _: enter_mm(window, "Length", 3),
    "existing file": lambda window, folder: place_to_write(window, folder / "rig.ini"),
    "quit": lambda window, _: window.close(),
    "end": lambda window, _: window.live.end(),
    "open refused": lambda window, _: window.menu.open(),
    "save as": lambda window, _: window.menu.save_as(),
    "open file": lambda window, _: file_dialogs.open_file(window, "A video"),
    "open files": lambda window, _: file_dialogs.open_files(window, "Videos"),
    "open folder": lambda window, _: file_dialogs.open_folder(window, "A run"),
    "save file": lambda window, _: file_dialogs.save_file(window, "Save"),
    "new folder": lambda window, folder: file_dialogs.new_folder(window, "A", folder),
    "wizard": lambda window, folder: run_dialog(NewRigWizard(folder, window)),
    "options": lambda window, _: run_dialog(OptionsDialog({}, "here", window)),
    "pick frames": lambda window, folder: run_dialog(
        PickDialog(window.document, folder, window, lambda: None)
    ),
}


@pytest.mark.parametrize("press", WAYS)
@pytest.mark.parametrize("name", DIALOGS)
def test_stop_acts_beside_each_dialog(
    window: MainWindow,
    stops: list[str],
    tmp_path: Path,
    name: str,
    press: Callable[[MainWindow], None],
) -> None:
    seen: list[bool] = []

    def act() -> None:
        try:
            QApplication.processEvents()
            press(window)
            seen.append(happens(lambda: bool(stops)))
        finally:
            close_dialogs(window)

    QTimer.singleShot(50, act)
    DIALOGS[name](window, tmp_path)
    assert seen == [True]
    assert dialog_in_front() is None


WINDOWS: dict[str, Callable[[MainWindow], QDialog | QWidget]] = {
    "help": HelpWindow,
    "keys": lambda window: KeysWindow(window.menu.actions.values(), window),
    "camera": lambda window: CameraWindow(window.bridge, "arena", window),
}


@pytest.mark.parametrize("press", WAYS)
@pytest.mark.parametrize("name", WINDOWS)
def test_stop_acts_beside_each_window(
    window: MainWindow,
    stops: list[str],
    qtbot: QtBot,
    name: str,
    press: Callable[[MainWindow], None],
) -> None:
    other = WINDOWS[name](window)
    other.show()
    other.activateWindow()
    assert happens(lambda: QGuiApplication.focusWindow() is other.windowHandle())
    press(window)
    assert happens(lambda: bool(stops))
    other.close()


def popups(window: MainWindow) -> Iterator[tuple[str, QWidget]]:
    """Yield the menus and the combo boxes of the page that is shown."""
    for menu in window.findChildren(QMenu):
        if any(action.isVisible() for action in menu.actions()):
            yield f"menu {menu.title()}", menu
    for box in window.findChildren(QComboBox):
        if box.isVisible() and box.isEnabled() and box.count():
            yield f"box {box.currentText()}", box


@pytest.mark.parametrize("press", WAYS)
def test_stop_acts_beside_each_menu_of_each_page(
    window: MainWindow,
    stops: list[str],
    qtbot: QtBot,
    press: Callable[[MainWindow], None],
) -> None:
    count = 0
    for page in ("Live", *PAGES):
        window.show_page(page)
        for name, widget in popups(window):
            stops.clear()
            if isinstance(widget, QMenu):
                widget.popup(window.mapToGlobal(QPoint(300, 100)))
            else:
                assert isinstance(widget, QComboBox)
                widget.showPopup()
            QTest.qWait(2 * POPUPS_MS)
            if QApplication.activePopupWidget() is None:
                continue
            count += 1
            press(window)
            assert happens(lambda: bool(stops)), f"{page}: {name}"
            assert QApplication.activePopupWidget() is None, f"{page}: {name}"
    assert count > 12


@pytest.mark.parametrize("press", WAYS)
def test_stop_acts_on_the_audit_page(
    window: MainWindow,
    stops: list[str],
    tmp_path: Path,
    press: Callable[[MainWindow], None],
) -> None:
    run = record(tmp_path / "run")
    window.open_run(run)
    page = window.page("Runs")
    assert isinstance(page, RunsPage)
    page.show_audit()
    assert happens(lambda: page.audit.shown)
    press(window)
    assert happens(lambda: bool(stops))
    assert page.audit.shown, "STOP leaves the audit open"

    line = page.audit.rater.lineEdit()
    assert line is not None
    stops.clear()
    line.setFocus()
    press(window)
    assert happens(lambda: bool(stops))

    # With all outputs off, Esc leaves the audit.
    rig_of(window).update(experimenting=False)
    press_escape(window)
    assert happens(lambda: not page.audit.shown)


def test_stop_acts_beside_a_menu_that_opens_without_a_change_of_focus(
    window: MainWindow, stops: list[str]
) -> None:
    menu = next(widget for _, widget in popups(window) if isinstance(widget, QMenu))
    app = QApplication.instance()
    assert app is not None
    app.blockSignals(True)
    menu.popup(window.mapToGlobal(QPoint(300, 100)))
    QTest.qWait(2 * POPUPS_MS)
    app.blockSignals(False)

    click_stop(window)
    assert happens(lambda: bool(stops))
    assert QApplication.activePopupWidget() is None


def test_a_dialog_takes_the_input_of_all_other_buttons(
    window: MainWindow, qtbot: QtBot
) -> None:
    asked = list(rig_of(window).asked)

    def act() -> None:
        button = window.live.controls.buttons[Action.STOP_EXPERIMENT]
        handle = window.windowHandle()
        assert handle is not None
        place = button.mapTo(window, button.rect().center())
        QTest.mouseClick(handle, LEFT, Qt.KeyboardModifiers(), place)
        QTest.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
        dialog = dialog_in_front()
        assert dialog is not None
        dialog.reject()

    QTimer.singleShot(50, act)
    show_question(window, "Stop it?", "Stop", "Keep")
    assert rig_of(window).asked == asked
    assert window.navigation.page == "Live"


def test_escape_closes_a_question_while_all_is_off(
    qtbot: QtBot, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = opened(qtbot, file)
    window.activateWindow()
    QTimer.singleShot(50, lambda: press_escape(window))
    assert show_question(window, "Save?", "Save", "Cancel") == "Cancel"


def test_no_other_module_opens_a_modal_dialog() -> None:
    found: list[str] = []
    for file in (ROOT / "deeplabstream" / "gui").rglob("*.py"):
        if file.name in (*_LOOPS, "dialog_input.py"):  # runs each dialog
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = getattr(node, "attr", None)
            static = isinstance(node, ast.Attribute) and (
                ast.unparse(node.value)
                in ("QFileDialog", "QMessageBox", "QInputDialog")
                and name is not None
                and name[:1].islower()
            )
            if static or name in MODAL:
                found.append(f"{file.name}:{getattr(node, 'lineno', 0)} {name}")
    assert found == []


def test_a_question_is_closed_when_it_no_longer_applies(window: MainWindow) -> None:
    QTimer.singleShot(50, window.bridge.ticked.emit)
    answer = show_question(
        window, "Still running. Stop it?", "Stop", "Wait", until=window.bridge.ticked
    )
    assert answer == "Wait"
