import os
from collections.abc import Generator, Iterator

import pytest
from PyQt5.QtCore import QEvent
from PyQt5.QtWidgets import QApplication

from deeplabstream.gui.application import application
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.qt_environment import why_no_window
from tests.gui.fake_session import FakeSession


@pytest.fixture(scope="session")
def qapp() -> QApplication:
    """Our own, so that tests see our style, and OpenCV's plug-ins are out of the way."""
    if (
        why_no_window()
    ):  # asked here: when this module is imported, Xvfb may not run yet
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    return application()


@pytest.fixture(autouse=True)
def _gone_for_good(qapp: QApplication) -> Iterator[None]:
    """Delete closed widgets at once; Python would do so at any time, even in a painting."""
    yield
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def rig() -> FakeSession:
    return FakeSession()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """End windows as a signal does, before pytest-qt closes them: closing would ask."""
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, MainWindow) and widget.isVisible():
            widget.end()
    return (yield)
