from pathlib import Path

import numpy as np
import pytest
from PyQt5.QtCore import QSettings
from PyQt5.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session_state import Action
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.recent_items import MOST, Recent
from deeplabstream.gui.settings_document import Document
from deeplabstream.training.data.label_files import write_labels
from tests.gui.fake_session import FakeSession

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def memory(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "memory.ini"), QSettings.Format.IniFormat)


def test_the_newest_come_first_and_what_is_gone_is_left_out(
    memory: QSettings, tmp_path: Path
) -> None:
    recent = Recent(memory)
    files = [tmp_path / f"{number}.ini" for number in range(MOST + 2)]
    for file in files:
        file.touch()
        recent.note("settings", file)
    recent.note("settings", files[5])
    assert recent.existing("settings")[:2] == [files[5], files[-1]]
    assert len(recent.existing("settings")) == MOST
    files[-1].unlink()
    memory.sync()
    again = Recent(memory)
    assert again.existing("settings")[:2] == [files[5], files[-2]]
    assert again.existing("runs") == []
    again.note("runs", tmp_path)
    memory.sync()
    assert Recent(memory).existing("runs") == [tmp_path], "one alone comes as a word"
    again.note("runs", tmp_path / ("x" * 300))  # an error, as a server that is away
    assert again.existing("runs") == [tmp_path]


def titles(window: MainWindow, title: str) -> list[str]:
    (menu,) = [m for m in window.findChildren(QMenu) if m.title() == title]
    menu.aboutToShow.emit()
    return [action.text() for action in menu.actions()]


def test_settings_and_runs_are_opened_by_the_menu(
    qtbot: QtBot, rig: FakeSession, tmp_path: Path, memory: QSettings
) -> None:
    files = [tmp_path / name for name in ("one.ini", "two.ini")]
    text = (ROOT / "settings.ini").read_text(encoding="utf-8")
    for file in files:
        file.write_text(text, encoding="utf-8")
    window = MainWindow(Bridge(rig), Document(files[0]), memory)
    qtbot.addWidget(window)
    assert titles(window, "Recent runs") == ["none yet"]
    window.document.open(files[1])
    listed = titles(window, "Recent settings")
    assert [words.split()[0] for words in listed] == ["two.ini", "one.ini"]
    (menu,) = [m for m in window.findChildren(QMenu) if m.title() == "Recent settings"]
    menu.actions()[1].trigger()
    assert window.document.path == files[0]

    run = tmp_path / "monday"
    run.mkdir()
    rig.update(run_folder=run)
    rig.do(Action.START_STREAM)
    window.bridge.tick()
    rig.do(Action.STOP_STREAM)
    window.bridge.tick()
    assert [words.split()[0] for words in titles(window, "Recent runs")] == ["monday"]


def test_the_network_page_comes_back_to_its_last_folder(
    qtbot: QtBot, tmp_path: Path, memory: QSettings
) -> None:
    def opened() -> NetworkPage:
        memory.sync()
        page = NetworkPage(Document(tmp_path / "rig.ini", ""), Recent(memory))
        qtbot.addWidget(page)
        return page

    nowhere = np.full((1, 2, 2), 5, np.float32)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "CollectedData.csv"
        write_labels(file, "me", ["nose", "tail"], ["a.png"], nowhere)
        opened().open(tmp_path / name)
    again = opened()
    assert again.book is not None
    assert again.book.folder == tmp_path / "two"
    assert again.parts_line.text() == "nose, tail"
    file.unlink()  # nothing is labelled there now
    assert opened().book is None
    assert not opened().problem.text()
