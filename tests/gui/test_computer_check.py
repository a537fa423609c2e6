import pytest
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.program_window import ProgramWindow
from deeplabstream.gui.pages.health_page import ExamineButton
from deeplabstream.gui.program_process import ProgramProcess
from tests.gui.fake_session import FakeSession


@pytest.fixture
def button(qtbot: QtBot, rig: FakeSession) -> ExamineButton:
    made = ExamineButton(Bridge(rig))
    qtbot.addWidget(made)
    return made


def test_the_computer_is_examined_with_the_rig_s_output_folder(
    button: ExamineButton, rig: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, list[str]]] = []

    def start(self: ProgramProcess, program: str, arguments: list[str]) -> None:
        started.append((program, arguments))

    monkeypatch.setattr(ProgramProcess, "start", start)
    button.click()
    folder = str(rig.settings.output_directory)
    assert started == [("Doctor.py", ["--output", folder])]
    (window,) = button.findChildren(ProgramWindow)
    assert window.isVisible()
    window.program.output_received.emit("PROBLEM  GPU: it has no driver\n")
    window.program.ended.emit(1, False)
    assert "it has no driver" in window.page.toPlainText()
    assert window.state.text() == "Problems were found: see the list above."
    window.close()


def test_a_rig_that_runs_is_not_disturbed(button: ExamineButton) -> None:
    assert button.isEnabled()
    button._bridge.status_changed.emit(SessionState(Phase.STREAMING))
    assert not button.isEnabled()
    button._bridge.status_changed.emit(SessionState(Phase.IDLE))
    assert button.isEnabled()
