"""The button of the latency test: its form is filled in, and nothing starts unasked."""

from pathlib import Path

import pytest
from PyQt5.QtWidgets import QComboBox, QWidget
from pytestqt.qtbot import QtBot
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.latency_test_window import LatencyTestWindow
from deeplabstream.gui.pages.health_page import LatencyTestButton
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.program_view import ProgramView
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings
from tests.engine.test_measured_latency import TEXT, result
from tests.gui.fake_session import FakeSession


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(TEXT, tmp_path)


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
    (window,) = button.findChildren(LatencyTestWindow)
    assert not window.panel.begin.isEnabled()
    missing = window.panel.missing
    assert missing.text().endswith("output is harmless: not confirmed yet")
    window.show()
    needed = missing.heightForWidth(missing.width())
    assert missing.wordWrap() and missing.height() >= needed, "all of it is shown"
    window.panel.form.show_values({"--yes": ["yes"], "--answer-pin": ["5"]})
    assert window.panel.begin.isEnabled()
    window.panel.begin.click()
    words = ["MeasureLatency.py", "--output", "laser", "--port", "COM3"]
    words += ["--answer-pin", "5", "--settings", str(tmp_path / "mine.ini"), "--yes"]
    assert started == [words]
    window.close()


def test_with_a_screen_no_output_is_switched_that_the_user_did_not_choose(
    button: LatencyTestButton,
) -> None:
    button.click()
    (window,) = button.findChildren(LatencyTestWindow)
    form, steps = window.panel.form, window.panel.consequence
    assert "[Output laser] is switched on with each flash" in steps.text()
    assert "pin 13 and ground of the board at COM3" in steps.text()
    form.show_values({"--yes": ["yes"], "--screen": ["0"], "--port": []})
    assert "corner of screen 0 in view of [Camera top]" in steps.text()
    assert steps.text().endswith(
        "No output is switched: the test ends with the decision."
    )
    assert window.panel.arguments[:2] == ["--screen", "0"]
    assert "--output" not in window.panel.arguments
    hidden = {key for key, one in form.editors.items() if one.isHidden()}
    assert {"--port", "--led-pin", "--answer-pin"} <= hidden, "they have no effect"
    form.show_values({"--output": ["laser"], "--port": ["COM3"]})
    assert "[Output laser] is switched on with each flash" in steps.text()
    assert form.values()["--output"] == ["laser"]
    form.show_values({"--output": [], "--screen": []})
    assert form.values()["--output"] == ["laser"], "measured as before"
    window.close()


def test_outputs_screens_and_ports_are_lists_of_this_rig(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = ListPortInfo("/dev/ttyACM7")
    board.vid = 0x2341
    monkeypatch.setattr(list_ports, "comports", lambda: [board])
    two = TEXT + "[Output lamp]\nKIND = SimulatedOutput\n"
    above = QWidget()
    qtbot.addWidget(above)
    window = LatencyTestWindow(parse(two, tmp_path), tmp_path / "mine.ini", above)
    editors = window.panel.form.editors
    offered = {
        key: [box.itemText(row) for row in range(box.count())]
        for key in ("--output", "--screen", "--port")
        if (box := editors[key].findChild(QComboBox)) is not None
    }
    assert offered["--output"] == ["none, up to the decision", "laser", "pump", "lamp"]
    assert offered["--screen"][0] == "LED at a board"
    assert offered["--screen"][1].startswith("patch on screen 0")
    assert offered["--port"] == ["COM3", "/dev/ttyACM7"]
    window.panel.form.show_values({"--yes": ["yes"], "--output": []})
    assert not window.panel.begin.isEnabled()
    assert window.panel.missing.text().startswith("Output: choose one")
    window.panel.form.show_values({"--output": ["lamp"], "--answer-pin": ["13"]})
    assert "are both pin 13" in window.panel.missing.text()
    window.close()


def test_the_result_is_shown_in_words(
    button: LatencyTestButton, settings: Settings
) -> None:
    file = result(settings, "2026-11-01T10:00:00+00:00", 12.0).save(settings.folder)
    button.click()
    (window,) = button.findChildren(LatencyTestWindow)
    window.view.page.setPlainText(f"some figures\nwritten: {file}\n")
    window.view.ended.emit(0)
    words = window.panel.result.text()
    assert window.panel.result.isVisibleTo(window)
    assert words.startswith(
        "From the camera's exposure to the change of [Output laser]: "
    )
    assert "network" in words
    window.view.ended.emit(2)
    assert not window.panel.result.isVisibleTo(window), "of a test that failed: none"
    window.close()


def test_a_rig_that_runs_is_not_disturbed(button: LatencyTestButton) -> None:
    assert button.isEnabled()
    button.click()
    (window,) = button.findChildren(LatencyTestWindow)
    window.panel.form.show_values({"--yes": ["yes"]})
    assert window.panel.begin.isEnabled()
    button._bridge.status_changed.emit(SessionState(Phase.STREAMING))
    assert not button.isEnabled()
    assert not window.panel.begin.isEnabled()
    assert window.panel.missing.text() == "The rig is running: stop the stream"
    button._bridge.status_changed.emit(SessionState(Phase.IDLE))
    assert window.panel.begin.isEnabled()
    window.close()
