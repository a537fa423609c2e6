"""Small live images of the connected cameras, on the page Settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from PyQt5.QtCore import Qt
from pytestqt.qtbot import QtBot

from cameras.video import VideoFile
from cameras.webcam import Webcam
from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui import camera_preview
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.pages.settings_page import SettingsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.connected_cameras import CameraTile, ConnectedCameras
from deeplabstream.plugins.camera import CameraStream, Device
from tests.gui.fake_session import FakeSession
from tests.offline.films import write_film

SOON = 300_000  # ms
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def page(
    qtbot: QtBot, rig: FakeSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SettingsPage:
    video = write_film(tmp_path / "film.mkv")
    devices = {
        VideoFile: Device("VideoFile", "", f"SOURCE = {video}", "overhead"),
        Webcam: Device("Webcam", "", "SOURCE = 93", "not there"),
    }
    for kind, device in devices.items():
        found = classmethod(lambda _, device=device: (device,))
        monkeypatch.setattr(kind, "connected_devices", found, raising=False)
    kinds = {kind.__name__: kind for kind in devices}
    monkeypatch.setattr(camera_preview, "camera_kinds", lambda: kinds)
    monkeypatch.setattr(camera_preview, "PATIENCE_MS", SOON)
    file = tmp_path / "rig.ini"
    file.write_text("[Camera arena]\nKIND = SimulatedCamera\nFPS = 30\n", "utf-8")
    made = SettingsPage(Document(file), Bridge(rig))
    qtbot.addWidget(made)
    made.resize(1100, 900)
    made.show()
    made.show_section("Camera arena")
    return made


def shown(page: SettingsPage) -> ConnectedCameras:
    assert page.cameras is not None
    return page.cameras


def test_a_camera_is_chosen_by_its_live_image(page: SettingsPage, qtbot: QtBot) -> None:
    qtbot.mouseClick(shown(page).search, LEFT)
    qtbot.waitUntil(lambda: len(shown(page).tiles) == 2, timeout=SOON)
    film, missing = shown(page).tiles
    qtbot.waitUntil(lambda: film.image.pixmap() is not None, timeout=SOON)
    qtbot.waitUntil(lambda: missing.image.text().startswith("No image"), timeout=SOON)
    qtbot.mouseClick(film.use, LEFT)
    qtbot.waitUntil(lambda: "KIND = VideoFile" in page.document.text, timeout=SOON)
    assert "film.mkv" in page.document.values["Camera arena"]["SOURCE"]
    assert page.form is not None
    assert page.form.title == "Camera arena"
    page.document.undo()
    assert page.document.values["Camera arena"]["KIND"] == "SimulatedCamera"


def test_cameras_are_closed_when_the_page_is_left_or_the_rig_starts(
    page: SettingsPage, qtbot: QtBot, rig: FakeSession
) -> None:
    for leave in ("hidden", "another section", "started"):
        page.show()
        page.show_section("Camera arena")
        cameras = shown(page)
        cameras.start()
        qtbot.waitUntil(lambda: len(cameras.tiles) == 2, timeout=SOON)  # noqa: B023
        preview = cameras.tiles[0]._preview
        assert preview is not None
        if leave == "hidden":
            page.hide()
        elif leave == "another section":
            page.show_section("Experiment")
        else:
            rig.update(phase=Phase.STREAMING)
            assert page._bridge is not None
            page._bridge.status_changed.emit(SessionState(Phase.STREAMING))
        assert preview.isFinished(), leave
        assert cameras.tiles == []
    cameras.start()
    assert cameras.message.text() == "The rig uses its cameras: stop the stream first."


def test_a_driver_that_answers_late_does_not_end_the_program(
    page: SettingsPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qt aborts a program that deletes a thread before the thread has ended."""
    begun, answers = Event(), Event()

    @contextmanager
    def opened(_: VideoFile) -> Iterator[CameraStream]:
        begun.set()
        answers.wait()
        raise DeviceError("no answer")
        yield

    monkeypatch.setattr(VideoFile, "opened", opened)
    monkeypatch.setattr(camera_preview, "PATIENCE_MS", 1)
    tile = CameraTile(Device("VideoFile", "", f"SOURCE = {Path(__file__)}", "slow"))
    qtbot.addWidget(tile)
    tile.start()
    assert begun.wait(60)
    tile.stop()
    (held,) = camera_preview._left
    answers.set()
    assert held.wait(SOON)
    monkeypatch.setattr(camera_preview, "PATIENCE_MS", SOON)
    tile.start()
    tile.stop()
    assert camera_preview._left == []


def test_without_a_camera_the_panel_says_so(
    page: SettingsPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_preview, "camera_kinds", dict)
    shown(page).start()
    qtbot.waitUntil(
        lambda: shown(page).message.text() == "No camera found.", timeout=SOON
    )
    page.show_section("Experiment")
    assert page.cameras is None
