"""The one table of what may start when."""

from itertools import product

from deeplabstream.engine.session.states import Action, Phase, Status, allowed


def every_status() -> list[Status]:
    flags = product([False, True], repeat=4)
    return [Status(phase, *four) for phase in Phase for four in flags]


def test_what_runs_can_be_stopped_and_what_does_not_cannot() -> None:
    for status in every_status():
        may = allowed(status)
        assert not {Action.START_RECORDING, Action.STOP_RECORDING} <= may
        assert not {Action.START_ANALYSIS, Action.STOP_ANALYSIS} <= may
        assert not {Action.START_EXPERIMENT, Action.STOP_EXPERIMENT} <= may
        assert not {Action.START_STREAM, Action.STOP_STREAM} <= may


def test_nothing_but_the_stream_starts_without_a_stream() -> None:
    for status in every_status():
        if status.phase is not Phase.STREAMING:
            assert allowed(status) <= {Action.START_STREAM, Action.STOP_STREAM}


def test_an_experiment_needs_poses_and_keeps_them() -> None:
    streaming = Status(Phase.STREAMING, network_ready=True)
    assert Action.START_ANALYSIS in allowed(streaming)
    assert Action.START_EXPERIMENT not in allowed(streaming)
    running = Status(Phase.STREAMING, True, analysing=True, experimenting=True)
    assert Action.STOP_ANALYSIS not in allowed(running)
    assert Action.STOP_STREAM in allowed(running)


def test_analysis_waits_for_the_network() -> None:
    assert Action.START_ANALYSIS not in allowed(Status(Phase.STREAMING))
