"""No text is cut: every page, both styles, 1366×768, and screens of more pixels."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PyQt5.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QWidget,
)
from pytestqt.qtbot import QtBot

from tests.gui.uncut import cut_texts, found

ROOT = Path(__file__).resolve().parents[2]
FACTORS = ("1.5",)
"""Device pixels a pixel; a whole number changes no layout, and so hides less."""
LONG = "a text that is far too long for the little room that it gets here"


@pytest.fixture(scope="module")
def sharper() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """The same on screens with more device pixels, in processes of their own."""
    started = {
        factor: subprocess.Popen(
            [sys.executable, "-m", "tests.gui.uncut"],
            cwd=ROOT,
            env={
                **os.environ,
                "QT_SCALE_FACTOR": factor,
                "QT_QPA_PLATFORM": "offscreen",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for factor in FACTORS
    }
    yield started
    for process in started.values():
        process.kill()
        process.wait()


def test_no_text_is_cut(
    sharper: dict[str, subprocess.Popen[str]], qtbot: QtBot
) -> None:
    assert found() == []


@pytest.mark.parametrize("factor", FACTORS)
def test_no_text_is_cut_on_a_sharper_screen(
    factor: str, sharper: dict[str, subprocess.Popen[str]]
) -> None:
    said, _ = sharper[factor].communicate()
    assert said.splitlines() == [f"0 cut at {factor} device pixels a pixel"]


def _button() -> QWidget:
    return QPushButton(LONG)


def _box() -> QWidget:
    made = QComboBox()
    made.addItem(LONG)
    made.setMinimumContentsLength(1)
    return made


def _line() -> QWidget:
    made = QLineEdit()
    made.setPlaceholderText(LONG)
    return made


def _wrapped() -> QWidget:
    made = QLabel(LONG)
    made.setWordWrap(True)
    made.setFixedHeight(16)
    return made


def _list() -> QWidget:
    made = QListWidget()
    made.addItem(LONG)
    return made


def _tabs() -> QWidget:
    made = QTabWidget()
    made.addTab(QWidget(), LONG)
    bar = made.tabBar()
    assert bar is not None
    bar.setStyleSheet("QTabBar::tab { width: 40px; }")
    return made


def _table(header: str, cell: str) -> QWidget:
    made = QTableWidget(1, 1)
    made.setHorizontalHeaderLabels([header])
    made.setItem(0, 0, QTableWidgetItem(cell))
    return made


@pytest.mark.parametrize(
    "make",
    [
        lambda: QLabel(LONG),
        lambda: QLabel(f"<b>{LONG}</b>"),
        lambda: QCheckBox(LONG),
        _wrapped,
        _button,
        _box,
        _line,
        _list,
        _tabs,
        lambda: _table(LONG, ""),
        lambda: _table("", LONG),
    ],
)
def test_a_text_without_room_is_found(
    make: Callable[[], QWidget], qtbot: QtBot
) -> None:
    widget = make()
    qtbot.addWidget(widget)
    widget.setFixedWidth(120)
    widget.show()
    told = list(cut_texts(widget))
    assert told
    assert all("far too long" in line for line in told)


def test_what_is_pushed_out_of_its_parent_is_found(qtbot: QtBot) -> None:
    parent = QWidget()
    label = QLabel("here", parent)
    qtbot.addWidget(parent)
    parent.resize(100, 40)
    label.move(80, 5)
    parent.show()
    assert list(cut_texts(parent)) == ["QLabel hidden in part: 'here'"]


def test_a_whole_text_as_tooltip_makes_up_for_a_cut_one(qtbot: QtBot) -> None:
    listed = QListWidget()
    listed.addItem(LONG)
    item = listed.item(0)
    assert item is not None
    item.setToolTip(LONG)
    qtbot.addWidget(listed)
    listed.setFixedWidth(120)
    listed.show()
    assert list(cut_texts(listed)) == []
