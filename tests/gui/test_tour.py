"""The tour through the real rig in the real window; and what is remembered of it."""

from pathlib import Path

import pytest
from PyQt5.QtCore import QPoint, QRect, QSettings, Qt, QTimer
from PyQt5.QtWidgets import QLabel, QMessageBox
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Phase
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.dialog_input import dialog_in_front
from deeplabstream.gui.dialogs.help_window import HelpWindow, KeysWindow
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.pages.runs_page import RunsPage
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import AMBER, palette
from deeplabstream.gui.tour import STEPS
from deeplabstream.settings.loading import load, parse
from tests.engine.tolerant import Failures, shipped_settings
from tests.gui.fake_session import FakeSession, close_to

pytestmark = pytest.mark.usefixtures("fork_server")

ROOT = Path(__file__).resolve().parents[2]
SOON = 300_000  # ms
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def memory(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "memory.ini"), QSettings.Format.IniFormat)


def window_of(qtbot: QtBot, memory: QSettings, text: str | None = None) -> MainWindow:
    rig = FakeSession()
    file = ROOT / "settings.ini"
    rig.settings = load(file) if text is None else parse(text, ROOT)
    window = MainWindow(Bridge(rig), Document(file, text), memory)
    qtbot.addWidget(window)
    window.show()
    return window


def test_five_steps_on_the_simulated_rig(
    qtbot: QtBot, tmp_path: Path, memory: QSettings
) -> None:
    runs = str(tmp_path / "runs")
    text = shipped_settings(
        OUTPUT_DIRECTORY=runs, RUNTIME="cpu", FRAMERATE="10"
    )  # nothing is measured
    with RigSession(parse(text, ROOT)) as session:
        bridge = Bridge(session)
        window = MainWindow(bridge, Document(ROOT / "settings.ini", text), memory)
        qtbot.addWidget(window)
        window.show()
        failures = Failures()
        bridge.failed.connect(failures.take)
        bridge.start()
        tour = window.tour
        tour.offer()
        assert tour.bubble.isVisible()
        assert len(STEPS) == 5
        for place, step in enumerate(STEPS):
            target = window._button(step.action)
            qtbot.waitUntil(
                lambda place=place, target=target: (
                    tour.place == place and target.isEnabled()
                ),
                timeout=SOON,
            )
            bridge.tick()
            assert tour.bubble.title.text() == f"{place + 1} of 5  {step.title}"
            assert tour.ring.isVisible()
            assert tour.ring.geometry().contains(
                target.mapTo(window, target.rect().center())
            )
            assert not tour.bubble.geometry().intersects(tour.ring.geometry())
            assert window.rect().contains(tour.bubble.geometry())
            qtbot.mouseClick(tour.bubble.press if place % 2 else target, LEFT)
        qtbot.waitUntil(lambda: tour.place == len(STEPS), timeout=SOON)
        assert session.state.phase is Phase.IDLE
        assert not any(session.state.levels.values())
        page = window.page("Runs")
        assert isinstance(page, RunsPage)
        assert page.chosen == session.state.run_folder
        assert "That was a closed loop" in tour.bubble.title.text()
        qtbot.waitUntil(lambda: page.view.review is not None, timeout=SOON)
        qtbot.mouseClick(tour.bubble.leave, LEFT)
        assert not tour.bubble.isVisible()
        assert not failures
        window.close()


@pytest.mark.parametrize("size", [(1280, 720), (1600, 1000)])
def test_the_card_leaves_free_what_it_speaks_of(
    qtbot: QtBot, memory: QSettings, size: tuple[int, int]
) -> None:
    window = window_of(qtbot, memory)
    window.setMinimumSize(*size)  # the screen of the tests is smaller
    window.tour.begin()
    for place, step in enumerate(STEPS):
        window.tour.place = place
        window.tour._show()
        target = window._button(step.action)
        parts = window.live.parts
        for widget in (target, *(parts[name] for name in step.shows)):
            shown = QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())
            covered = window.tour.bubble.geometry().intersected(shown)
            assert not covered.isValid(), f"step {place + 1}: {widget}"
    window.close()


def test_the_last_card_opens_the_tutorial_and_leaves_the_timeline_free(
    qtbot: QtBot, memory: QSettings
) -> None:
    window = window_of(qtbot, memory)
    window.tour.begin()
    window.show_page("Runs")
    window.tour.place = len(STEPS)
    window.tour._show()
    page = window.page("Runs")
    assert isinstance(page, RunsPage)
    timeline = page.view.timeline
    shown = QRect(timeline.mapTo(window, QPoint(0, 0)), timeline.size())
    assert not window.tour.bubble.geometry().intersects(shown)
    window.tour.bubble.message.linkActivated.emit("tutorial.md")
    assert 'href="tutorial.md"' in window.tour.bubble.message.text()
    help_ = window.findChild(HelpWindow)
    assert help_ is not None
    assert help_.isVisible()
    help_.close()
    window.close()


def test_it_is_offered_once_and_can_be_called_again(
    qtbot: QtBot, memory: QSettings
) -> None:
    window = window_of(qtbot, memory)
    window.tour.offer()
    assert window.tour.bubble.isVisible()
    window.tour.end()
    window.close()
    again = window_of(qtbot, memory)
    again.tour.offer()
    assert not again.tour.bubble.isVisible()
    again.menu.actions["Tour"].trigger()
    assert again.tour.bubble.isVisible()
    again.close()


def test_a_ring_of_amber_is_seen_around_the_button(
    qtbot: QtBot, memory: QSettings
) -> None:
    window = window_of(qtbot, memory)
    window.tour.begin()
    assert palette().amber == AMBER
    place = window.tour.ring.geometry()
    image = window.grab().toImage()
    ratio = image.devicePixelRatio()
    x, y = round(place.center().x() * ratio), round((place.top() + 2) * ratio)
    assert close_to(image.pixelColor(x, y), AMBER)
    window.close()


def test_a_rig_with_devices_is_not_toured(qtbot: QtBot, memory: QSettings) -> None:
    text = (ROOT / "settings.ini").read_text(encoding="utf-8")
    real = "[Output left stimulus]\nKIND = SerialLine\nPORT = COM3\nON_BYTES = H\nOFF_BYTES = L"
    text = text.replace("[Output left stimulus]\nKIND = SimulatedOutput", real, 1)
    window = window_of(qtbot, memory, text)
    window.tour.offer()
    assert not window.tour.bubble.isVisible()
    said: list[str] = []

    def read() -> None:
        box = dialog_in_front()
        assert isinstance(box, QMessageBox)
        said.append(box.text())
        box.close()

    QTimer.singleShot(0, read)
    window.tour.begin()
    assert "only with the simulated rig" in said[0]
    assert not window.tour.bubble.isVisible()
    assert Action.START_STREAM in window.bridge.session.state.allowed, (
        "nothing was started"
    )
    window.close()


def test_all_keys_of_the_menu_are_listed(qtbot: QtBot, memory: QSettings) -> None:
    window = window_of(qtbot, memory)
    window.menu.actions["Keyboard shortcuts"].trigger()
    (keys,) = window.findChildren(KeysWindow)
    texts = [label.text() for label in keys.findChildren(QLabel)]
    for action in window.menu.actions.values():
        if not action.shortcut().isEmpty():
            assert action.shortcut().toString() in texts
    assert {"Esc", "Space", "ANYWHERE", "NETWORK, LABEL"} <= set(texts)
    keys.close()
    window.close()


def test_the_page_is_remembered(qtbot: QtBot, memory: QSettings) -> None:
    window = window_of(qtbot, memory)
    window.show_page("Settings")
    window.close()
    again = window_of(qtbot, memory)
    assert again.navigation.page == "Settings"
    again.close()
