from dataclasses import replace
from pathlib import Path

from PyQt5.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.elided_text import Elided
from tests.gui.fake_session import FakeSession

LONG = "blue laser 473 nm of the left hemisphere line 2"


def test_what_does_not_fit_keeps_its_beginning_and_its_end(qtbot: QtBot) -> None:
    label = Elided(LONG)
    qtbot.addWidget(label)
    label.resize(140, 20)
    label.show()
    shown = QLabel.text(label)
    assert shown.startswith("blue")
    assert shown.endswith("2")
    assert "…" in shown
    assert label.fontMetrics().horizontalAdvance(shown) <= 140
    assert label.text() == label.toolTip() == LONG
    assert label.minimumSizeHint().width() == 60
    label.resize(label.sizeHint())
    assert QLabel.text(label) == LONG


def test_long_names_make_the_window_no_larger(qtbot: QtBot, rig: FakeSession) -> None:
    def least() -> tuple[int, int]:
        window = MainWindow(Bridge(rig), Document(Path("rig.ini"), ""))
        qtbot.addWidget(window)
        window.live.display.line.show_folder(rig.state.run_folder)
        window.live.animals.show_names([f"{LONG} {i}" for i in range(8)])
        window.live.animals.camera.addItem(f"camera above {LONG}")
        window.live.animals.camera.setVisible(True)
        hint = window.minimumSizeHint()
        narrow = window.live.side.minimumSizeHint().width()
        assert narrow <= 300
        return hint.width(), hint.height()

    one = rig.settings
    rig.update(run_folder=Path("2026-11-22_01-30-45"))
    short = least()
    rig.settings = replace(
        one,
        triggers={f"{LONG} {i}": one.triggers["here"] for i in range(3)},
        outputs={f"{LONG} {i}": one.outputs["stimulus"] for i in range(3)},
    )
    rig.update(run_folder=Path(f"Ada Lovelace_{LONG}_2026-11-22_01-30-45"))
    assert least() == short
