"""The start of an experiment goes through its phases in order, and a late event does nothing."""

from collections.abc import Callable

import pytest

from deeplabstream.engine.session.experiment_start import (
    ExperimentStart,
    StartAction,
    StartPhase,
)


def in_phase(phase: StartPhase) -> ExperimentStart:
    start = ExperimentStart()
    if phase is StartPhase.OUTPUTS:
        start.requested(outputs_open=False)
    elif phase is StartPhase.RECORDERS:
        start.recorders_checked(awaited=True)
    elif phase is StartPhase.ANIMALS:
        start.animals_checked(awaited=True)
    elif phase is StartPhase.VIDEO:
        start.checked()
    assert start.phase is phase
    return start


def test_the_longest_way_waits_for_outputs_recorders_animals_and_video() -> None:
    start = ExperimentStart()
    assert start.requested(outputs_open=False) is StartAction.OPEN_OUTPUTS
    assert not start.recorders_may_start
    assert start.outputs_opened("") is StartAction.CHECK_RECORDERS
    assert start.recorders_checked(awaited=True) is StartAction.NOTHING
    assert not start.recorders_may_start
    assert start.recorders_answered(awaited=True) is StartAction.NOTHING
    assert start.recorders_answered(awaited=False) is StartAction.CHECK_ANIMALS
    assert start.animals_checked(awaited=True) is StartAction.NOTHING
    assert not start.recorders_may_start
    assert start.animals_learned(awaited=True) is StartAction.NOTHING
    assert start.animals_learned(awaited=False) is StartAction.INSPECT
    start.checked()
    assert start.recorders_may_start
    assert start.progressed(False, False) is StartAction.NOTHING
    assert start.progressed(True, True) is StartAction.NOTHING
    assert start.progressed(True, False) is StartAction.RUN
    assert not start.waiting


def test_open_outputs_and_no_recorders_go_straight_to_the_inspection() -> None:
    start = ExperimentStart()
    assert start.requested(outputs_open=True) is StartAction.CHECK_RECORDERS
    assert start.recorders_checked(awaited=False) is StartAction.CHECK_ANIMALS
    assert start.animals_checked(awaited=False) is StartAction.INSPECT
    assert not start.waiting


def test_an_output_that_cannot_be_opened_refuses_the_experiment() -> None:
    start = in_phase(StartPhase.OUTPUTS)
    assert start.outputs_opened("no port COM3") is StartAction.REFUSE
    assert not start.waiting


def test_without_video_is_remembered_until_the_next_start() -> None:
    start = in_phase(StartPhase.VIDEO)
    assert start.progressed(False, True, without_video=True) is StartAction.NOTHING
    assert start.progressed(False, False) is StartAction.RUN
    start.checked()
    assert start.progressed(False, False) is StartAction.NOTHING


EVENTS: dict[StartPhase, Callable[[ExperimentStart], StartAction]] = {
    StartPhase.OUTPUTS: lambda start: start.outputs_opened(""),
    StartPhase.RECORDERS: lambda start: start.recorders_answered(awaited=False),
    StartPhase.ANIMALS: lambda start: start.animals_learned(awaited=False),
    StartPhase.VIDEO: lambda start: start.progressed(True, False),
}


@pytest.mark.parametrize("phase", StartPhase)
@pytest.mark.parametrize("event", EVENTS)
def test_an_event_counts_in_its_phase_only(
    phase: StartPhase, event: StartPhase
) -> None:
    start = in_phase(phase)
    acts = EVENTS[event](start) is not StartAction.NOTHING
    assert acts is (phase is event)
    assert start.phase is (StartPhase.NONE if acts else phase)


@pytest.mark.parametrize("phase", StartPhase)
def test_nothing_starts_after_a_cancellation(phase: StartPhase) -> None:
    start = in_phase(phase)
    start.cancelled()
    for event in EVENTS.values():
        assert event(start) is StartAction.NOTHING
