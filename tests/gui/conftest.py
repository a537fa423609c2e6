import os

import pytest
from PyQt5.QtWidgets import QApplication

from gui.application import application
from gui.qt_environment import why_no_window
from tests.gui.fake_session import FakeSession

if why_no_window():
    os.environ["QT_QPA_PLATFORM"] = "offscreen"


@pytest.fixture(scope="session")
def qapp() -> QApplication:
    """Our own, so that tests see our style, and OpenCV's plug-ins are out of the way."""
    return application()


@pytest.fixture
def rig() -> FakeSession:
    return FakeSession()
