"""Outputs tested from the window, by the real guarded process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from core.record import Edge
from engine.settings import load
from engine.states import Action
from gui.bridge import Bridge
from gui.document import Document
from gui.window import Window
from tests.gui.fake_session import FakeSession

ROOT = Path(__file__).resolve().parents[2]
SOON = 60_000  # ms


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[Window]:
    file = tmp_path / "rig.ini"
    file.write_bytes((ROOT / "settings.ini").read_bytes())
    rig = FakeSession()
    rig.settings = load(file)
    made = Window(Bridge(rig), Document(file))
    qtbot.addWidget(made)
    made.bridge.start()
    made.show()
    yield made
    made.end()


def words(window: Window) -> str:
    return window.log.page.toPlainText()


def test_a_test_switches_on_and_off_and_says_so(window: Window, qtbot: QtBot) -> None:
    edges: list[Edge] = []
    window.test.edged.connect(edges.append)
    window.live.outputs.tests["left stimulus"].click()
    assert window.test.running
    qtbot.waitUntil(lambda: not window.test.running, timeout=SOON)
    window.bridge.tick()
    levels = [edge.level for edge in edges if edge.output == "left stimulus"]
    assert levels[0] == 0
    assert 1.0 in levels
    assert levels[-1] == 0
    assert "left stimulus was on for 0.2 s and is off again" in words(window)
    assert window.live.outputs.tests["left stimulus"].isEnabled()


def test_stop_ends_a_test_and_an_experiment_waits_for_it(
    window: Window, qtbot: QtBot
) -> None:
    rig = window.bridge.rig
    assert isinstance(rig, FakeSession)
    for action in (Action.START_STREAM, Action.START_ANALYSIS):
        window.bridge.do(action)
        window.bridge.tick()
    window.live.outputs.tests["right stimulus"].click()
    window.bridge.tick()
    assert not window.live.outputs.tests["right stimulus"].isEnabled()
    window.live.controls.buttons[Action.START_EXPERIMENT].click()
    assert Action.START_EXPERIMENT not in rig.asked
    window.rail.stop.click()
    qtbot.waitUntil(lambda: not window.test.running, timeout=SOON)
    window.live.controls.buttons[Action.START_EXPERIMENT].click()
    assert rig.asked[-1] is Action.START_EXPERIMENT
    window.bridge.tick()
    assert not window.live.outputs.tests["right stimulus"].isEnabled()


def test_closing_the_window_in_the_middle_switches_off(
    window: Window, qtbot: QtBot
) -> None:
    window.live.outputs.tests["left stimulus"].click()
    window.end()
    assert not window.test.running
