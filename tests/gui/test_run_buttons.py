from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from deeplabstream.engine.session.session_state import Action, Phase, SessionState
from deeplabstream.gui.theme import AMBER, GREEN
from deeplabstream.gui.widgets.run_buttons import Controls
from deeplabstream.settings.loading import parse
from outputs.remotes.controls import TcpStart
from tests.gui.fake_session import EVERY_STATE, make_settings


def test_buttons_follow_the_table_in_every_status(qtbot: QtBot) -> None:
    controls = Controls()
    qtbot.addWidget(controls)
    assert set(controls.buttons) == set(Action)
    for status in EVERY_STATE:
        controls.show_status(status)
        enabled = {
            act for act, button in controls.buttons.items() if button.isEnabled()
        }
        assert enabled == status.allowed, status


@pytest.mark.parametrize("action", Action)
def test_a_button_says_what_it_asks(qtbot: QtBot, action: Action) -> None:
    controls = Controls()
    qtbot.addWidget(controls)
    button = controls.buttons[action]
    button.setEnabled(True)
    assert button.text() == action.value
    with qtbot.waitSignal(controls.action_requested) as asked:
        button.click()
    assert asked.args == [action]


def test_the_status_names_outputs_that_failed(qtbot: QtBot) -> None:
    controls = Controls()
    qtbot.addWidget(controls)
    tracking = SessionState(Phase.STREAMING, True, True)
    controls.show_status(tracking)
    assert controls.message.text() == "Tracking; outputs idle."
    gone = {"laser": "/dev/ttyUSB0 is gone"}
    controls.show_status(replace(tracking, failed_outputs=gone))
    assert controls.message.text() == "Tracking; [Output laser] failed."


def test_a_start_that_an_output_stops_names_the_reason(qtbot: QtBot) -> None:
    controls = Controls()
    qtbot.addWidget(controls)
    gone = {"laser": "could not open port /dev/ttyUSB0"}
    controls.show_status(
        SessionState(Phase.STREAMING, network_ready=True, failed_outputs=gone)
    )
    assert controls.message.objectName() == "problem"
    assert controls.message.text() == (
        "Start stopped here: [Output laser] could not open port /dev/ttyUSB0"
    )


def test_the_status_names_the_last_error(qtbot: QtBot) -> None:
    controls = Controls()
    qtbot.addWidget(controls)
    error = "[Trigger left] failed: KeyError: 'snout'"
    controls.show_status(SessionState(Phase.STREAMING, True, True, error=error))
    assert controls.message.text() == f"Tracking; last error: {error}"


def test_a_recording_without_frames_is_shown_as_starting(qtbot: QtBot) -> None:
    controls = Controls()
    qtbot.addWidget(controls)
    streaming = SessionState(Phase.STREAMING, True, True)
    controls.show_status(
        replace(streaming, unrecorded=("side",), experiment_starting=True)
    )
    colours = [controls._lamps[name].colour for name in ("Recording", "Experiment")]
    assert colours == [AMBER, AMBER]
    assert "[Camera side]" in controls.message.text()
    controls.show_status(replace(streaming, recording=True, experimenting=True))
    colours = [controls._lamps[name].colour for name in ("Recording", "Experiment")]
    assert colours == [GREEN, GREEN]


def test_a_rig_that_remotes_start_says_that_it_is_armed_and_who_started(
    qtbot: QtBot,
) -> None:
    controls = Controls()
    qtbot.addWidget(controls)
    arm = controls.buttons[Action.ARM]
    plain = make_settings("arena")
    streams = SessionState(Phase.STREAMING, True, True, used_settings=plain)
    controls.show_status(streams)
    assert arm.isHidden()
    used = replace(plain, remotes={"lab": TcpStart(port=5005)})
    streams = replace(streams, used_settings=used)
    controls.show_status(streams)
    assert not arm.isHidden()
    assert arm.isEnabled()
    assert controls._lamps["Remote"].colour == ""
    controls.show_status(replace(streams, armed=True))
    assert controls.message.text() == "Armed: waits for the start by [Remote lab]."
    assert controls._lamps["Remote"].colour == AMBER
    assert controls.buttons[Action.DISARM].isEnabled()
    begun = replace(streams, experimenting=True, started_by="lab")
    controls.show_status(begun)
    assert controls.message.text() == (
        "The experiment controls the outputs, started by [Remote lab]."
    )
    idle = Controls(remote=True)
    qtbot.addWidget(idle)
    idle.show_status(SessionState(), left=[Action.START_STREAM, Action.ARM])
    assert not idle.buttons[Action.ARM].isHidden()
    tip = "starts stream; arms the rig for a start by a remote"
    assert idle.start.toolTip() == tip
    idle.show_status(SessionState(), left=[])
    assert not idle.buttons[Action.ARM].isHidden(), "also while the rig starts"


def test_the_status_says_what_an_analysis_without_a_network_needs(qtbot: QtBot) -> None:
    controls = Controls()
    qtbot.addWidget(controls)
    used = parse("[Camera top]\nKIND = SimulatedCamera\n", Path("lab").resolve())
    controls.show_status(SessionState(Phase.STREAMING, used_settings=used))
    assert "The analysis needs a network" in controls.message.text()
    assert "MODEL" in controls.message.text()
