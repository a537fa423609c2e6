"""The wizard for a new rig: from nothing to bytes on a serial port, without a section name."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from cameras.video import VideoFile
from cameras.webcam import Webcam
from deeplabstream.gui import file_opening
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.new_rig_wizard import NewRigWizard
from deeplabstream.gui.file_opening import FileOpener
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.settings_document import Document
from deeplabstream.plugins.camera import Device
from deeplabstream.settings.loading import load
from deeplabstream.settings.new_rig import RigChoices
from outputs.serial_line import SerialLine
from tests.gui.fake_session import FakeSession
from tests.offline.films import write_film

SOON = 60_000  # ms


@pytest.fixture
def wizard(qtbot: QtBot, tmp_path: Path) -> Iterator[NewRigWizard]:
    above = QWidget()
    qtbot.addWidget(above)
    made = NewRigWizard(tmp_path / "my_rig", above)
    made.show()
    yield made
    made.reject()
    above.close()


def choose_camera(wizard: NewRigWizard, qtbot: QtBot, row: int = 0) -> None:
    """Go to the page of cameras, choose one and wait for its first frame."""
    wizard.next()
    page = wizard.camera
    qtbot.waitUntil(lambda: "found" in page.words.text(), timeout=SOON)
    page.list.setCurrentRow(row)
    qtbot.waitUntil(lambda: page.image is not None, timeout=SOON)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_rig_is_made_from_choices_alone_and_its_output_is_tested(
    wizard: NewRigWizard, qtbot: QtBot, tmp_path: Path
) -> None:
    device, port = os.openpty()
    choose_camera(wizard, qtbot)
    assert wizard.camera.view.place is not None, "a live image"
    wizard.next()
    assert wizard.network.list.currentItem().text() == "arena"  # type: ignore[union-attr]
    wizard.next()
    canvas = wizard.region.canvas
    wizard.region.tools["rectangle"].click()
    place = canvas.place
    assert place is not None
    left, right = place.to_view((100, 100)), place.to_view((300, 250))
    start, end = (QPoint(int(at[0]), int(at[1])) for at in (left, right))
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(canvas, end)
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=end)
    wizard.next()
    assert wizard.trigger.bodypart.findText("snout") >= 0
    wizard.trigger.bodypart.setCurrentText("snout")
    wizard.trigger.where.setCurrentText("outside the region")
    wizard.next()
    wizard.output.port.setCurrentText(os.ttyname(port))
    wizard.next()
    assert wizard.currentPage() is wizard.test
    wizard.test.press.click()
    qtbot.waitUntil(lambda: "is off again" in wizard.test.words.text(), timeout=SOON)
    assert os.read(device, 10).strip(b"L") == b"H", "on once, and off"
    wizard.accept()
    assert wizard.file == tmp_path / "my_rig" / "settings.ini"
    settings = load(wizard.file)
    assert (tmp_path / "my_rig" / "models").is_dir(), "a whole rig folder"
    trigger = settings.new_triggers()["region"]
    assert type(trigger).__name__ == "OutsideRegion"
    assert trigger.bodyparts == ("snout",)
    assert isinstance(settings.outputs["stimulus"], SerialLine)
    assert settings.outputs["stimulus"].max_on_s == 5
    os.close(device)
    os.close(port)


def test_a_page_says_what_is_missing_and_stays(
    wizard: NewRigWizard, qtbot: QtBot, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x", "utf-8")
    wizard.folder.line.setText(str(tmp_path / "full"))
    wizard.next()
    assert "full_2 is free" in wizard.folder.problem.text()
    wizard.folder.line.setText(str(tmp_path / "mine"))
    wizard.next()
    page = wizard.camera
    qtbot.waitUntil(lambda: "found" in page.words.text(), timeout=SOON)
    page.use_video(tmp_path / "no_such.mkv")
    qtbot.waitUntil(lambda: bool(page.problem.text()), timeout=SOON)
    wizard.next()
    assert wizard.currentPage() is page
    assert "no_such.mkv" in page.problem.text()
    wizard.reject()
    assert not (tmp_path / "mine").exists()
    assert wizard.file is None


def test_a_video_stands_in_for_a_camera(
    wizard: NewRigWizard, qtbot: QtBot, tmp_path: Path
) -> None:
    wizard.next()
    page = wizard.camera
    qtbot.waitUntil(lambda: "found" in page.words.text(), timeout=SOON)
    page.use_video(write_film(tmp_path / "film.mkv"))
    qtbot.waitUntil(lambda: page.image is not None, timeout=SOON)
    wizard.next()
    assert wizard.network.list.currentItem().text() == "openfield"  # type: ignore[union-attr]
    for _ in range(3):
        wizard.next()
    assert wizard.currentPage() is wizard.output
    assert isinstance(wizard.settings().cameras["camera"], VideoFile)


def test_connected_cameras_are_offered_with_the_key_that_selects_them(
    wizard: NewRigWizard, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device("Webcam", "", "SOURCE = 3", "Brio 4K")
    monkeypatch.setattr(Webcam, "found", classmethod(lambda cls: (device,)))
    wizard.next()
    page = wizard.camera
    qtbot.waitUntil(lambda: "found" in page.words.text(), timeout=SOON)
    labels = [page.list.item(row) for row in range(page.list.count())]
    (item,) = (each for each in labels if each and each.text() == "Brio 4K")
    assert item.data(Qt.ItemDataRole.UserRole) == {"KIND": "Webcam", "SOURCE": "3"}


def test_the_window_opens_the_new_rig(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rig.ini"
    file.write_text(RigChoices().text(), "utf-8")
    rig = FakeSession()
    rig.settings = load(file)
    window = MainWindow(Bridge(rig), Document(file))
    qtbot.addWidget(window)
    window.show()

    class Accepted:
        """A wizard whose user has chosen."""

        file = RigChoices().write(tmp_path / "new")

        def __init__(self, *_: object) -> None:
            pass

        def exec_(self) -> int:
            return 1

    monkeypatch.setattr(file_opening, "NewRigWizard", Accepted)
    window.menu.actions["New rig"].trigger()
    assert window.document.path == tmp_path / "new" / "settings.ini"
    assert not window.document.problems
    assert isinstance(window.opener, FileOpener)
    window.end()
