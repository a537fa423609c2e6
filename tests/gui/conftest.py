import ctypes
import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from PyQt5 import sip
from PyQt5.QtCore import QEvent, QProcess
from PyQt5.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.files.paths import ROOT
from deeplabstream.gui.application import application
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.rack_window import RackWindow
from deeplabstream.startup.qt_environment import why_no_window
from tests.gui.fake_session import FakeSession


@pytest.fixture(scope="session")
def qapp() -> QApplication:
    """Our own, so that tests see our style, and OpenCV's plug-ins are out of the way."""
    if (
        why_no_window()
    ):  # asked here: when this module is imported, Xvfb may not run yet
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    return application()


@pytest.fixture(scope="module", autouse=True)
def collections_are_short(qapp: QApplication) -> None:
    """Leave out of garbage collections what earlier modules loaded."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _set_child_handler(handler: bytes | None) -> bytes:
    """Set the handler of SIGCHLD, if one is given; return the one before.

    Both are a `struct sigaction`. Python knows only handlers that are written in Python.
    """
    before = ctypes.create_string_buffer(1024)  # longer than the struct
    if sys.platform == "linux":
        ctypes.CDLL(None).sigaction(int(signal.SIGCHLD), handler, before)
    return before.raw


@pytest.fixture(scope="session")
def child_handler(qapp: QApplication) -> bytes:
    """Return the handler by which Qt notices that a program ended."""
    program = QProcess()
    program.start(sys.executable, ["--version"])
    program.waitForFinished()
    return _set_child_handler(None)


@pytest.fixture(autouse=True)
def ended_programs_are_noticed(child_handler: bytes) -> None:
    """Set Qt's handler again. Lightning resets it after each training in this process."""
    _set_child_handler(child_handler)


@pytest.fixture(autouse=True)
def windows_last_as_long_as_their_test(
    collections_are_short: None, qapp: QApplication, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Keep the windows of a test until it ends; delete them before the next one begins.

    A test's variable alone does not keep a window until its end, because pytest-qt closes
    windows after the test. Python would delete them at any time: while one of their timers
    is served, or in a later test.
    """
    gc.collect()  # what the test before held has no owner any more
    held: list[QWidget] = []
    added = QtBot.addWidget

    def add_widget(self: QtBot, widget: QWidget, **more: Any) -> None:
        held.append(widget)
        added(self, widget, **more)

    monkeypatch.setattr(QtBot, "addWidget", add_widget)
    yield
    for window in _windows():
        if window.parent() is None and sip.ispycreated(window):  # others are Qt's own
            window.deleteLater()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def _windows() -> list[QWidget]:
    """Return all windows. Qt's list would be wrong if one were collected meanwhile."""
    gc.disable()
    try:
        return QApplication.topLevelWidgets()
    finally:
        gc.enable()


@pytest.fixture
def rig() -> FakeSession:
    return FakeSession()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a copy of the shipped settings."""
    place = tmp_path / "rig.ini"
    place.write_bytes((ROOT / "settings.ini").read_bytes())
    return place


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """End windows as a signal does, before pytest-qt closes them: closing would ask."""
    for window in _windows():
        if isinstance(window, MainWindow | RackWindow):
            window.end()
    return (yield)
