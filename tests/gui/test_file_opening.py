"""Files and folders that are dropped on the window, and settings of DeepLabStream 1."""

from pathlib import Path

import pytest
from PyQt5.QtCore import QMimeData, QPointF, Qt, QUrl
from PyQt5.QtGui import QDropEvent
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from deeplabstream.gui import file_opening
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.file_opening import ImportReport, kind_of
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages import network_page
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.pages.runs_page import RunsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.settings.loading import load
from deeplabstream.training.data.simulated_labels import draw_labels
from tests.gui.fake_session import FakeSession
from tests.offline.films import write_film
from tests.recording.recorded import record

ROOT = Path(__file__).resolve().parents[2]
VERSION_1 = """[Streaming]
RESOLUTION = 640, 480
FRAMERATE = 30
OUTPUT_DIRECTORY = out
CAMERA_SOURCE = 0
STREAMING_SOURCE = camera
[Pose Estimation]
MODEL_ORIGIN = DLC
MODEL_PATH =
MODEL_NAME = mouse
ALL_BODYPARTS = nose, tail
[Experiment]
EXP_ORIGIN = CUSTOM
EXP_NAME = ExampleExperiment
RECORD_EXP = True
"""


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> MainWindow:
    file = tmp_path / "rig.ini"
    file.write_bytes((ROOT / "settings.ini").read_bytes())
    rig = FakeSession()
    rig.settings = load(file)
    made = MainWindow(Bridge(rig), Document(file))
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answers to the questions that will be asked; the questions follow them."""
    told: list[str] = []
    monkeypatch.setattr(file_opening, "show_question", lambda *words: told.pop(0))
    monkeypatch.setattr(
        file_opening, "show_message", lambda _window, text: told.append(text)
    )
    return told


def drop(window: MainWindow, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(
        QPointF(200, 200),
        Qt.DropActions() | Qt.DropAction.CopyAction,
        data,
        Qt.MouseButtons() | Qt.MouseButton.LeftButton,
        Qt.KeyboardModifiers(),
    )
    window.dropEvent(event)
    assert event.isAccepted()
    QApplication.processEvents()


def test_each_kind_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    record(tmp_path / "run")
    draw_labels(tmp_path / "labels", (96, 128, 3), frames=2, walks=1, seed=1)
    (tmp_path / "old.ini").write_text(VERSION_1, "utf-8")
    (tmp_path / "notes.txt").write_text("x", "utf-8")
    kinds = {
        ROOT / "settings.ini": "settings",
        ROOT / "models/arena": "network",
        ROOT / "models/arena/model.json": "network",
        tmp_path / "run": "run",
        tmp_path / "run/run.json": "run",
        tmp_path / "run/top.mkv": "video",
        tmp_path / "labels": "labels",
        tmp_path / "old.ini": "version 1",
        tmp_path / "notes.txt": "unknown",
        tmp_path / "nowhere": "unknown",
    }
    assert {path: kind_of(path) for path in kinds} == kinds


def test_settings_runs_and_labels_are_opened_where_they_belong(
    window: MainWindow, tmp_path: Path, replies: list[str]
) -> None:
    other = tmp_path / "other.ini"
    other.write_bytes((ROOT / "settings.ini").read_bytes())
    drop(window, other)
    assert window.document.path == other
    drop(window, record(tmp_path / "run"))
    page = window.page("Runs")
    assert isinstance(page, RunsPage)
    assert page.chosen == tmp_path / "run"
    draw_labels(tmp_path / "labels", (96, 128, 3), frames=2, walks=1, seed=1)
    drop(window, tmp_path / "labels")
    network = window.page("Network")
    assert isinstance(network, NetworkPage)
    assert network.book is not None
    (tmp_path / "x.txt").write_text("x", "utf-8")
    drop(window, tmp_path / "x.txt")
    assert "x.txt is neither settings" in replies[0]
    assert "ImportRun" not in replies[0]
    (tmp_path / "poses.h5").write_bytes(b"")
    drop(window, tmp_path / "poses.h5")
    assert "utils/ImportRun.py VIDEO" in replies[1]
    window.end()


def test_a_network_and_a_video_replace_something_only_after_a_question(
    window: MainWindow,
    tmp_path: Path,
    replies: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = window.document.text
    video = write_film(tmp_path / "film.mkv")
    replies += ["Cancel", "Cancel"]
    drop(window, ROOT / "models/openfield", video)
    assert window.document.text == before
    replies += ["Use this network", "Use as camera"]
    drop(window, ROOT / "models/openfield", video)
    settings = window.document.settings
    assert settings is not None
    assert settings.model == str(ROOT / "models/openfield")
    camera = window.document.values["Camera arena"]
    assert camera == {"KIND": "VideoFile", "SOURCE": str(video), "REPEAT": "yes"}
    window.document.undo()
    window.document.undo()
    assert window.document.text == before
    draw_labels(tmp_path / "labels", (96, 128, 3), frames=2, walks=1, seed=1)
    window.network_page.open(tmp_path / "labels")
    picked: list[object] = []
    monkeypatch.setattr(
        network_page,
        "run_dialog",
        lambda dialog: picked.append(dialog.source.currentData()),
    )
    replies.append("Pick frames")
    drop(window, video)
    assert picked == [video]
    window.end()


def test_settings_of_version_1_become_a_new_file_that_is_opened(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old" / "settings.ini"
    old.parent.mkdir()
    old.write_text(VERSION_1, "utf-8")
    proposed: list[str] = []

    def place(_window: object, _title: str, path: str, *_: object, **__: object) -> str:
        proposed.append(path)
        return path

    monkeypatch.setattr(file_dialogs, "open_file", lambda *_: str(old))
    monkeypatch.setattr(file_dialogs, "save_file", place)
    window.menu.actions["Import from DeepLabStream 1"].trigger()
    assert proposed == [str(tmp_path / "imported.ini")]
    assert window.document.path == tmp_path / "imported.ini"
    report = window.findChild(ImportReport)
    assert report is not None
    assert "Changed or not converted:" in report.page.toPlainText()
    assert old.read_text("utf-8") == VERSION_1
    window.end()


def test_settings_of_this_version_are_not_imported(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current, told = tmp_path / "rig.ini", list[str]()
    monkeypatch.setattr(file_dialogs, "open_file", lambda *_: str(current))
    monkeypatch.setattr(
        file_dialogs, "save_file", lambda *_, **__: pytest.fail("asked for a file")
    )
    monkeypatch.setattr(
        file_opening, "show_message", lambda _window, text: told.append(text)
    )
    window.menu.actions["Import from DeepLabStream 1"].trigger()
    assert len(told) == 1
    assert f"{current} is not a file of DeepLabStream 1" in told[0]
    assert window.document.path == current
    window.end()


def test_a_rig_of_48_wells_is_made_and_opened_where_its_grid_is_laid_out(
    window: MainWindow,
    replies: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_dialogs, "new_folder", lambda *_: tmp_path / "wells")
    window.opener.make_wells()
    assert window.document.path == tmp_path / "wells" / "settings.ini"
    assert window.document.settings is not None
    assert len(window.document.settings.arenas) == 48
    assert window.navigation.page == "Regions"
    assert "Start Stream" in replies.pop(), "what to do for a plate of one's own"

    # a second one does not overwrite it
    window.opener.make_wells()
    assert "is not empty. Name a new folder" in replies[-1]
