"""A long text scrolls instead of making its window higher than the screen."""

import pytest
from PyQt5.QtWidgets import QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from deeplabstream.gui.widgets.scrolled_text import ScrolledText

MOST = 80  # px


@pytest.fixture
def text(qtbot: QtBot) -> ScrolledText:
    window, made = QWidget(), ScrolledText(MOST)
    QVBoxLayout(window).addWidget(made)
    qtbot.addWidget(window)
    window.resize(400, 200)
    window.show()
    return made


def test_the_window_stays_as_high_as_it_was(text: ScrolledText) -> None:
    window = text.window()
    text.setText("\n".join(f"note {number}" for number in range(60)))
    assert text.height() == MOST
    assert window.minimumSizeHint().height() < 2 * MOST
    assert window.height() == 200
    bar = text.verticalScrollBar()
    assert bar is not None
    assert bar.maximum() > 0, "the last note can be reached"


def test_a_short_text_is_as_high_as_its_lines(text: ScrolledText) -> None:
    text.setText("one note")
    one = text.height()
    text.setText("one note\nanother one")
    assert one < text.height() < MOST
    text.setText("words " * 20)
    assert text.height() > one, "it is wrapped"
    text.setText("")
    assert text.height() == 0
