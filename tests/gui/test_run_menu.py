"""The Run menu: everything can be stopped by keyboard, nothing by one key."""

from pathlib import Path

import pytest
from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session_state import Action, SessionState
from deeplabstream.gui.menu import RunMenu
from tests.gui.fake_session import EVERY_STATE
from tests.gui.main_windows import answer, opened, rig_of


def test_entries_follow_the_table_in_every_status(qtbot: QtBot) -> None:
    menu = RunMenu(lambda _action: None)
    qtbot.addWidget(menu)
    words = [each.text() for each in menu.actions() if not each.isSeparator()]
    assert words == ["Start", "Stop", *(each.value for each in Action)]
    for status in EVERY_STATE:
        menu.show_status(status)
        enabled = {act for act, entry in menu.entries.items() if entry.isEnabled()}
        assert enabled == status.allowed, status
    menu.show_status(SessionState(), "rig.ini has 2 problems")
    assert not any(entry.isEnabled() for entry in menu.entries.values())


def choose(qtbot: QtBot, menu: RunMenu, action: Action | None) -> None:
    """Choose an entry by keys alone; None: Start."""
    menu.popup(menu.pos())
    entry = menu.begin if action is None else menu.entries[action]
    for _ in menu.actions():
        qtbot.keyClick(menu, Qt.Key.Key_Down)
        if menu.activeAction() is entry:
            break
    qtbot.keyClick(menu, Qt.Key.Key_Return)


@pytest.mark.parametrize("what", ["Stream", "Recording"])
def test_what_runs_can_be_stopped_by_keys(qtbot: QtBot, file: Path, what: str) -> None:
    window = opened(qtbot, file)
    start, stop = Action(f"Start {what}"), Action(f"Stop {what}")
    for action in dict.fromkeys((Action.START_STREAM, start)):
        choose(qtbot, window.run_menu, action)
        window.bridge.tick()
    assert rig_of(window).asked[-1] is start
    assert window.run_menu.entries[stop].isEnabled()
    choose(qtbot, window.run_menu, stop)
    window.bridge.tick()
    assert rig_of(window).asked[-1] is stop
    assert not window.run_menu.entries[stop].isEnabled()
    window.end()


def test_everything_is_started_and_stopped_by_keys(qtbot: QtBot, file: Path) -> None:
    window = opened(qtbot, file)
    choose(qtbot, window.run_menu, None)
    for _ in range(9):
        window.bridge.tick()
    assert rig_of(window).state.experimenting
    assert not window.run_menu.begin.isEnabled()
    answer("Keep running")
    window.run_menu.end.trigger()
    assert rig_of(window).state.experimenting
    answer("Stop")
    window.run_menu.end.trigger()
    window.bridge.tick()
    assert rig_of(window).asked[-1] is Action.STOP_STREAM
    window.end()


def test_no_single_key_starts_or_stops_anything(qtbot: QtBot, file: Path) -> None:
    window = opened(qtbot, file)
    menu = window.run_menu
    for entry in menu.entries.values():
        assert entry.shortcut().isEmpty()
        assert "&" not in entry.text()
    menu.popup(menu.pos())
    for letter in "srtaeor":
        qtbot.keyClicks(QApplication.activePopupWidget() or window, letter)
    assert rig_of(window).asked == []
    menu.close()
    window.end()
