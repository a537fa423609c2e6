"""The button of the latency test: its form is filled in, and nothing starts unasked."""

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.program_window import FormWindow
from deeplabstream.gui.pages.health_page import LatencyTestButton
from deeplabstream.gui.programs import MEASURE_LATENCY
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.program_view import ProgramView
from deeplabstream.settings.loading import parse
from tests.engine.test_measured_latency import TEXT
from tests.gui.fake_session import FakeSession


@pytest.fixture
def button(qtbot: QtBot, rig: FakeSession, tmp_path: Path) -> LatencyTestButton:
    rig.settings = parse(TEXT, tmp_path)
    document = Document(tmp_path / "mine.ini", TEXT)
    made = LatencyTestButton(Bridge(rig), document)
    qtbot.addWidget(made)
    return made


def test_the_form_names_output_and_board_and_asks_before_it_starts(
    button: LatencyTestButton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(
        ProgramView,
        "start",
        lambda self, title, program, arguments, outcomes: started.append(
            [program, *arguments]
        ),
    )
    button.click()
    (window,) = button.findChildren(FormWindow)
    assert not window.panel.begin.isEnabled()
    missing = window.panel.missing
    assert missing.text().endswith("output is harmless: not confirmed yet")
    window.show()
    needed = missing.heightForWidth(missing.width())
    assert missing.wordWrap() and missing.height() >= needed, "all of it is shown"
    window.panel.form.show_values({"--yes": ["yes"], "--answer-pin": ["5"]})
    assert window.panel.begin.isEnabled()
    window.panel.begin.click()
    words = ["MeasureLatency.py", "--yes", "--settings", str(tmp_path / "mine.ini")]
    words += ["--output", "laser", "--port", "COM3", "--answer-pin", "5"]
    assert started == [words]
    window.close()


def test_with_a_screen_no_output_is_switched_that_the_user_did_not_choose(
    button: LatencyTestButton,
) -> None:
    button.click()
    (window,) = button.findChildren(FormWindow)
    form, consequence = window.panel.form, window.panel.consequence
    assert consequence.text() == "Will switch [Output laser] on with every flash."
    form.show_values({"--yes": ["yes"], "--screen": ["0"], "--port": []})
    assert consequence.text() == "No output: this measures half the loop."
    values = form.values()
    assert MEASURE_LATENCY.arguments({**values, "--settings": []}) == [
        "--yes",
        "--screen",
        "0",
    ]
    form.show_values({"--output": ["laser"]})
    assert consequence.text() == "Will switch [Output laser] on with every flash."
    assert form.values()["--output"] == ["laser"]
    form.show_values({"--output": [], "--screen": []})
    assert form.values()["--output"] == ["laser"], "measured as before"
    window.close()


def test_a_rig_that_runs_is_not_disturbed(button: LatencyTestButton) -> None:
    assert button.isEnabled()
    button.click()
    (window,) = button.findChildren(FormWindow)
    window.panel.form.show_values({"--yes": ["yes"]})
    assert window.panel.begin.isEnabled()
    button._bridge.status_changed.emit(SessionState(Phase.STREAMING))
    assert not button.isEnabled()
    assert not window.panel.begin.isEnabled()
    assert window.panel.missing.text() == "The rig is running: stop the stream"
    button._bridge.status_changed.emit(SessionState(Phase.IDLE))
    assert window.panel.begin.isEnabled()
    window.close()
