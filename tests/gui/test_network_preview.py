"""The preview of networks on the rig's camera, and the one that is chosen there."""

from pathlib import Path

import pytest
from PyQt5 import sip
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.files.paths import ROOT
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.network_preview import NetworkPreviewWindow
from deeplabstream.gui.pages.network_page import NetworkPage
from deeplabstream.gui.pages.page_stack import PAGES
from deeplabstream.gui.recent_items import Recent
from deeplabstream.gui.settings_document import Document
from deeplabstream.settings.loading import load
from deeplabstream.settings.new_rig import RigChoices
from tests.gui.fake_session import FakeSession

SOON = 300_000  # ms


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "settings.ini"
    made.write_text(RigChoices().text(), "utf-8")
    return made


@pytest.fixture
def bridge(file: Path) -> Bridge:
    rig = FakeSession()
    rig.settings = load(file)
    return Bridge(rig)


@pytest.fixture
def page(qtbot: QtBot, file: Path, bridge: Bridge) -> NetworkPage:
    made = PAGES["Network"](bridge, Document(file), Recent(None))
    assert isinstance(made, NetworkPage)
    qtbot.addWidget(made)
    made.show_step("Use live")
    made.show()
    return made


def preview_of(page: NetworkPage) -> NetworkPreviewWindow:
    page.using.preview.click()
    (window,) = page.using.findChildren(NetworkPreviewWindow)
    return window


def test_the_network_in_use_is_shown_first_and_another_one_is_used(
    page: NetworkPage, qtbot: QtBot
) -> None:
    page.using.table.clearSelection()
    window = preview_of(page)
    choice = window.choice
    assert choice.folder == ROOT / "models" / "arena"
    qtbot.waitUntil(lambda: choice.poses is not None, timeout=SOON)
    assert choice.found.text().startswith("Found in this frame: ")
    assert choice.choose("openfield")
    qtbot.waitUntil(lambda: choice.poses is not None, timeout=SOON)
    window.use.click()
    settings = page.document.settings
    assert settings is not None
    assert Path(settings.model).name == "openfield"


def test_a_stream_takes_the_camera_of_the_preview(
    page: NetworkPage, bridge: Bridge, qtbot: QtBot
) -> None:
    window = preview_of(page)
    with qtbot.waitSignal(window.destroyed, timeout=SOON):
        bridge.status_changed.emit(SessionState(Phase.STARTING))
    assert not page.using.preview.isEnabled()
    bridge.status_changed.emit(SessionState(Phase.IDLE))
    assert page.using.preview.isEnabled()


def test_the_page_of_a_rig_that_was_closed_gets_no_state(
    qtbot: QtBot, file: Path, bridge: Bridge
) -> None:
    page = PAGES["Network"](bridge, Document(file), Recent(None))
    sip.delete(page)
    with qtbot.capture_exceptions() as errors:
        bridge.status_changed.emit(SessionState(Phase.STREAMING))
    assert not errors
