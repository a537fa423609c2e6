"""The alarm banner: above every page, until it is acknowledged."""

from pathlib import Path

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QFrame
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session_state import Action, Alarm
from deeplabstream.gui.widgets.banners import AlarmBanner
from tests.gui.test_window_pages import file, opened, rig_of

__all__ = ["file"]
LOST = Alarm("[Recording] arena: the recording has ended: no space left", 1)
BROKEN = Alarm("[Output laser] /dev/ttyUSB0 is gone", 2)


def test_an_alarm_stays_above_every_page_until_it_is_acknowledged(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    banner = window.findChild(QFrame, "alarms")
    assert isinstance(banner, AlarmBanner)
    assert not banner.isVisible()
    rig = rig_of(window)
    rig.update(alarms=(LOST,))
    window.bridge.tick()
    assert banner.isVisible()
    assert banner.words.text() == f"Alarm: {LOST.text}"
    for page in ("Regions", "Health", "Live"):
        window.show_page(page)
        assert banner.isVisible()
    rig.update(alarms=(LOST, BROKEN))
    for action in (Action.START_STREAM, Action.STOP_STREAM):  # it outlasts the stream
        window.bridge.do(action)
        window.bridge.tick()
    assert [line.partition(": ")[2] for line in banner.words.text().split("\n")] == [
        LOST.text,
        BROKEN.text,
    ]
    qtbot.mouseClick(banner.seen, Qt.MouseButton.LeftButton)
    assert not banner.isVisible()
    assert rig.state.alarms == ()
    window.bridge.tick()
    assert not banner.isVisible()
    window.end()


def test_an_alarm_is_not_acknowledged_by_space_or_enter(
    qtbot: QtBot, file: Path
) -> None:
    window = opened(qtbot, file)
    rig_of(window).update(alarms=(LOST,))
    window.bridge.tick()
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Return):
        qtbot.keyClick(window.focusWidget() or window, key)
        window.bridge.tick()
    assert rig_of(window).state.alarms == (LOST,)
    window.end()
