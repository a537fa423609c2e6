"""Esc and clicks count only in the program's own windows."""

import os

import pytest
from PyQt5.QtGui import QGuiApplication
from PyQt5.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.gui.system_input import open_system_input
from tests.gui import x_input

OTHER = 1
"""A process that has no window."""


@pytest.fixture
def window(qtbot: QtBot) -> QWidget:
    """A window with the keyboard, on an X screen."""
    if reason := x_input.why_not():
        pytest.skip(reason)
    if QGuiApplication.platformName() != "xcb":
        pytest.skip("Qt does not use the X screen")
    made = QWidget()
    qtbot.addWidget(made)
    made.setGeometry(300, 200, 200, 100)
    made.show()
    made.activateWindow()
    qtbot.waitUntil(lambda: QGuiApplication.focusWindow() is made.windowHandle())
    return made


def test_escape_counts_in_windows_of_the_program_only(
    window: QWidget, qtbot: QtBot
) -> None:
    state, ours = open_system_input("xcb"), (os.getpid(),)
    with x_input.x_input() as user:
        assert not state.escape_is_down(ours)
        with user.pressing_escape():
            qtbot.waitUntil(lambda: state.escape_is_down(ours))
            assert not state.escape_is_down((OTHER,))
        qtbot.waitUntil(lambda: not state.escape_is_down(ours))


def test_clicks_count_over_the_window_only(window: QWidget, qtbot: QtBot) -> None:
    state, pressed = open_system_input("xcb"), int(window.winId())
    with x_input.x_input() as user:
        assert state.pressed_at(pressed) is None
        with user.clicking((320, 230)):
            qtbot.waitUntil(lambda: state.pressed_at(pressed) == (20, 30))
        with user.clicking((320, 180)):
            assert state.pressed_at(pressed) is None
        cover = QWidget()
        qtbot.addWidget(cover)
        cover.setGeometry(window.geometry())
        cover.show()
        cover.raise_()
        qtbot.waitExposed(cover)
        with user.clicking((320, 230)):
            qtbot.waitUntil(lambda: state.pressed_at(int(cover.winId())) is not None)
            assert state.pressed_at(pressed) is None


def test_a_window_that_has_closed_ends_nothing(window: QWidget) -> None:
    state, number = open_system_input("xcb"), int(window.winId())
    window.close()
    window.destroy()
    with x_input.x_input() as user, user.clicking((320, 230)):
        assert state.pressed_at(number) is None


def test_without_an_x_screen_nothing_is_read() -> None:
    state = open_system_input("wayland")
    assert state.pressed_at(1) is None
    assert not state.escape_is_down((os.getpid(),))
