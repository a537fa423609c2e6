"""A main window with a rig that is not there."""

from collections.abc import Sequence
from pathlib import Path

from PyQt5.QtCore import QSettings, QTimer
from PyQt5.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session_state import Action
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.dialog_input import dialog_in_front
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.settings_document import Document
from deeplabstream.settings.loading import load
from tests.gui.fake_session import FakeSession

ROOT = Path(__file__).resolve().parents[2]


STARTS = (Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT)


def opened(qtbot: QtBot, file: Path, memory: QSettings | None = None) -> MainWindow:
    rig = FakeSession()
    rig.settings = load(file)
    window = MainWindow(Bridge(rig), Document(file), memory)
    qtbot.addWidget(window)
    window.show()
    return window


def answer(text: str) -> None:
    """Press a button of the question that will be asked."""

    def press() -> None:
        box = dialog_in_front()
        assert isinstance(box, QMessageBox)
        next(b for b in box.buttons() if b.text() == text).click()

    QTimer.singleShot(0, press)


def rig_of(window: MainWindow) -> FakeSession:
    rig = window.bridge.session
    assert isinstance(rig, FakeSession)
    return rig


def start(window: MainWindow, actions: Sequence[Action] = STARTS) -> None:
    """Have the rig of a window do these actions."""
    for action in actions:
        window.bridge.do(action)
        window.bridge.tick()
