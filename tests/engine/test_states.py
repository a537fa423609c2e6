"""The one table of what may start when."""

from itertools import product
from pathlib import Path

from deeplabstream.engine.session.session_state import Action, Phase, SessionState
from deeplabstream.settings.loading import parse


def every_status() -> list[SessionState]:
    flags = product([False, True], repeat=4)
    return [SessionState(phase, *four) for phase in Phase for four in flags]


def test_what_runs_can_be_stopped_and_what_does_not_cannot() -> None:
    for status in every_status():
        may = status.allowed
        assert not {Action.START_RECORDING, Action.STOP_RECORDING} <= may
        assert not {Action.START_ANALYSIS, Action.STOP_ANALYSIS} <= may
        assert not {Action.START_EXPERIMENT, Action.STOP_EXPERIMENT} <= may
        assert not {Action.START_STREAM, Action.STOP_STREAM} <= may


def test_nothing_but_the_stream_starts_without_a_stream() -> None:
    for status in every_status():
        if status.phase is not Phase.STREAMING:
            assert status.allowed <= {Action.START_STREAM, Action.STOP_STREAM}


def test_an_experiment_needs_poses_and_keeps_them() -> None:
    streaming = SessionState(Phase.STREAMING, network_ready=True)
    assert Action.START_ANALYSIS in streaming.allowed
    assert Action.START_EXPERIMENT not in streaming.allowed
    running = SessionState(Phase.STREAMING, True, analysing=True, experimenting=True)
    assert Action.STOP_ANALYSIS not in running.allowed
    assert Action.STOP_STREAM in running.allowed


def test_analysis_waits_for_the_network() -> None:
    assert Action.START_ANALYSIS not in SessionState(Phase.STREAMING).allowed


def test_without_a_network_cameras_record_and_a_start_is_answered() -> None:
    settings = parse("[Camera top]\nKIND = SimulatedCamera\n", Path("lab").resolve())
    state = SessionState(Phase.STREAMING, used_settings=settings)
    assert {Action.START_RECORDING, Action.START_ANALYSIS} <= state.allowed
    assert Action.START_EXPERIMENT not in state.allowed
