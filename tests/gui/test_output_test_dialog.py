"""Outputs tested from the window, by the real guarded process."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.journal_entries import Acknowledged, Edge
from deeplabstream.engine.session.session_state import Action
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.settings_document import Document
from deeplabstream.settings.loading import load
from tests.engine.patient_guards import use_patient_guards_of_output_tests
from tests.gui.fake_session import FakeSession

ROOT = Path(__file__).resolve().parents[2]
SOON = 300_000  # ms


@pytest.fixture
def window(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MainWindow]:
    use_patient_guards_of_output_tests(monkeypatch)
    file = tmp_path / "rig.ini"
    file.write_bytes((ROOT / "settings.ini").read_bytes())
    rig = FakeSession()
    rig.settings = load(file)
    made = MainWindow(Bridge(rig), Document(file))
    qtbot.addWidget(made)
    made.bridge.start()
    made.show()
    yield made
    made.end()


def words(window: MainWindow) -> str:
    return window.log.page.toPlainText()


def test_a_test_switches_on_and_off_and_says_so(
    window: MainWindow, qtbot: QtBot
) -> None:
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


def test_stop_ends_a_test_and_the_stream_waits_for_it(
    window: MainWindow, qtbot: QtBot
) -> None:
    rig = window.bridge.session
    assert isinstance(rig, FakeSession)
    window.live.outputs.tests["right stimulus"].click()
    window.bridge.tick()
    assert not window.live.outputs.tests["right stimulus"].isEnabled()
    window.live.controls.buttons[Action.START_STREAM].click()
    assert rig.asked == [], "the rig would open the output too"
    window.navigation.stop.click()
    qtbot.waitUntil(lambda: not window.test.running, timeout=SOON)
    window.live.controls.buttons[Action.START_STREAM].click()
    assert rig.asked == [Action.START_STREAM]


def test_a_rig_that_runs_tests_its_own_outputs(window: MainWindow) -> None:
    rig = window.bridge.session
    assert isinstance(rig, FakeSession)
    rig.do(Action.START_STREAM)
    window.bridge.tick()
    window.live.outputs.tests["right stimulus"].click()
    assert rig.tested == ["right stimulus"]
    assert not window.test.running
    rig.do(Action.START_ANALYSIS)
    rig.do(Action.START_EXPERIMENT)
    window.bridge.tick()
    assert not window.live.outputs.tests["right stimulus"].isEnabled()


def test_what_a_device_said_last_stands_beside_its_plate(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = window.bridge.session
    assert isinstance(rig, FakeSession)
    now_ns = SystemClock().now_ns()
    monkeypatch.setattr(SystemClock, "now_ns", lambda _: now_ns)

    def said() -> str:
        for _ in range(8):
            window.bridge.tick()
        return window.live.outputs.acknowledgements["left stimulus"].text()

    assert said() == "not open"
    asked, written = now_ns - 5 * 10**9, now_ns - 4_900_000_000
    rig.update(
        edges={"left stimulus": Edge("left stimulus", 1.0, "plan", asked, written)}
    )
    assert said() == "written\n5 s ago"
    heard = now_ns - 120 * 10**9
    answer = Acknowledged("left stimulus", 1.0, asked, asked + 250_000, heard)
    rig.update(acknowledged={"left stimulus": answer})
    assert said() == "ack 0.25 ms\n2 min ago"
    label = window.live.outputs.acknowledgements["left stimulus"]
    assert "the device reports 100%" in label.toolTip()
    assert "by the device's clock" in label.toolTip()
    ended = replace(answer, level=0.0, cause="board watchdog")
    rig.update(acknowledged={"left stimulus": ended})
    assert said().startswith("board watchdog\n")
