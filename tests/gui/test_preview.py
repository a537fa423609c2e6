import numpy as np
import pytest
from PyQt5.QtCore import Qt, QTimer
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.session.request_queue import AGENDAS, RequestQueue
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.preview import PreviewWindow, run_feed, run_preview
from tests.gui.fake_session import FakeSession, make_step


def pictures(count: int) -> list[tuple[Frame, Step]]:
    image = np.zeros((20, 30), np.uint8)
    return [(Frame("arena", i, i, i, image), make_step(i)) for i in range(count)]


def test_a_feed_is_shown_to_its_end(qtbot: QtBot) -> None:
    left = pictures(5)
    assert run_feed(lambda: left.pop() if left else None, "arena", rate=200)
    assert not left


def press(qtbot: QtBot, key: int) -> None:
    for window in QApplication.topLevelWidgets():
        if isinstance(window, PreviewWindow) and window.isVisible():
            qtbot.keyClick(window, key)


@pytest.mark.parametrize("key", [Qt.Key.Key_Q, Qt.Key.Key_Escape])
def test_q_closes_before_the_end(qtbot: QtBot, key: int) -> None:
    shown = pictures(1)[0]
    QTimer.singleShot(50, lambda: press(qtbot, key))
    assert not run_feed(lambda: shown, "arena", rate=100)


def test_a_rig_is_shown_until_it_is_over(qtbot: QtBot, rig: FakeSession) -> None:
    bridge = Bridge(rig, RequestQueue(AGENDAS["analysis"]))
    run_preview(bridge, over=lambda: rig.state.analysing)
    assert rig.asked == list(AGENDAS["analysis"])
    assert not rig.closed, "that is up to the program"
    assert not bridge.polling


def test_an_error_of_the_feed_comes_out(qtbot: QtBot) -> None:
    def broken() -> None:
        raise DeviceError("the video ends in the middle of a frame")

    with pytest.raises(DeviceError, match="middle"):
        run_feed(broken, "arena", rate=100)
