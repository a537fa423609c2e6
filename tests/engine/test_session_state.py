"""One state is derived from another by messages, entries and changes alone."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import TypeAlias, get_args

import pytest

from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Acknowledged, Edge, Entry, Note
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.session_state import (
    Alarm,
    CameraReading,
    Counts,
    Phase,
    SessionState,
)
from deeplabstream.plugins.camera import CameraControl
from deeplabstream.settings.loading import parse
from tests.engine.small_rig import FOLDER, RIG
from tests.engine.stream import step

OPENED = messages.CameraOpened(
    "top",
    ImageFormat((48, 64, 3), 30.0),
    knows_losses=True,
    clock="host",
    device="A 1",
    remarks=(),
    controls=(CameraControl("rate", 30.0),),
)


Change: TypeAlias = Callable[[SessionState], SessionState]


def after(
    *changes: Entry | messages.ToSession | Change, state: SessionState | None = None
) -> SessionState:
    state = state or SessionState()
    for change in changes:
        state = change(state) if callable(change) else state.after(change)
    return state


def read(published: int, last_index: int) -> Change:
    reading = {"top": CameraReading(published, last_index, None)}
    return lambda state: state.with_readings(reading, {})


def test_a_state_is_not_changed_but_replaced() -> None:
    before = SessionState()
    later = before.after(messages.Analysing(True))
    assert (before.analysing, later.analysing) == (False, True)
    with pytest.raises(FrozenInstanceError):
        later.analysing = False  # type: ignore[misc]


def test_frames_are_counted_by_outcome() -> None:
    state = after(OPENED, read(10, 11))
    assert state.counts["top"] == Counts(10, lost=2, newest=11)
    state = after(
        messages.Analysing(True), step(12), step(14), read(16, 17), state=state
    )
    counts = state.counts["top"]
    assert (counts.delivered, counts.analysed, counts.skipped) == (16, 2, 2)
    progress = messages.RecordingProgress({"top": 5}, {"top": 1}, {"top": 2})
    counts = after(progress, state=state).counts["top"]
    assert (counts.recorded, counts.recording_losses, counts.waiting) == (5, 1, 2)
    assert after(messages.Analysing(False), state=state).counts["top"].skipped == 0
    assert state.ended().counts == {}


def test_an_output_has_failed_until_something_is_written_to_it() -> None:
    text = "The main process ended\n[Output laser] COM3 is gone\n[Output light] is off"
    state = after(Edge("laser", 0.0, "open", 1, 2), Note("error", text, 3))
    assert state.failed_outputs == {"laser": "COM3 is gone", "light": "is off"}
    state = after(Edge("laser", 0.0, "open", 4, 5), state=state)
    assert state.failed_outputs == {"light": "is off"}
    assert after(Note("camera", text, 6)).failed_outputs == {}
    report = messages.ProblemReport("[Output laser] COM3 can't be opened")
    state = after(report)
    assert state.failed_outputs == {"laser": "COM3 can't be opened"}
    assert after(messages.DevicesOpened(), state=state).failed_outputs == {}


def test_an_error_is_known_until_an_experiment_starts() -> None:
    state = after(Note("error", "Traceback …\n[Trigger left] failed: KeyError: 'x'", 3))
    assert state.error == "[Trigger left] failed: KeyError: 'x'"
    assert after(messages.ExperimentRunning(False), state=state).error == state.error
    assert after(messages.ExperimentRunning(True), state=state).error == ""


def test_skipped_frames_never_become_fewer() -> None:
    """A frame that may still be analysed is not counted as skipped."""
    state, told = after(OPENED, read(0, 0), messages.Analysing(True)), []
    for change_ in (read(1, 1), read(2, 2), read(3, 3), step(1), step(3), read(4, 4)):
        state = after(change_, state=state)
        told.append(state.counts["top"].skipped)
    assert told == [0, 0, 1, 1, 1, 1], "frame 2 was skipped"


def test_frames_of_a_camera_that_is_not_analysed_are_not_skipped() -> None:
    both = f"{RIG}[Camera side]\nKIND = SimulatedCamera\nANALYSE = no\n"
    readings = {name: CameraReading(50, 49, None) for name in ("arena", "side")}
    state = after(
        replace(OPENED, camera="arena"),
        replace(OPENED, camera="side"),
        messages.Analysing(True),
        state=SessionState().started(parse(both, FOLDER), 7),
    ).with_readings(readings, {})
    assert state.counts["arena"].skipped > 40
    assert state.counts["side"].skipped == 0


def test_a_camera_that_cannot_count_its_losses_says_so() -> None:
    state = after(replace(OPENED, knows_losses=False), read(10, 30))
    assert state.counts["top"].lost is None


def test_outputs_follow_the_journal() -> None:
    edge, answer = Edge("light", 1.0, "plan", 1, 2), Acknowledged("light", 1.0, 1, 2, 3)
    state = after(edge, answer)
    assert state.levels == {"light": 1.0}
    assert state.edges == {"light": edge}
    assert state.acknowledged == {"light": answer}
    closed = after(Edge("light", 0.0, "close", 3, 4), state=state)
    assert (closed.levels, closed.edges) == ({"light": 0.0}, {})


def test_a_stream_that_ended_shows_only_outputs_that_may_still_be_on() -> None:
    edges = [Edge(name, 1.0, "plan", 1, 2) for name in ("light", "pump")]
    state = after(*edges).stopping().ended(["pump"])
    assert state.levels == {"light": 0.0, "pump": 1.0}
    assert state.activity == SessionState().activity


def test_a_live_change_of_the_rate_changes_the_format() -> None:
    answer = messages.ControlChanged(
        "top", "rate", "", True, (CameraControl("rate", 25.0),)
    )
    state = after(OPENED, answer)
    assert state.formats["top"].rate == 25
    assert state.controls["top"] == answer.controls
    assert after(replace(answer, controls=()), state=state) == state


def test_a_new_stream_starts_afresh_but_alarms_last_until_they_are_seen() -> None:
    alarm = Alarm("the disk is full", 1)
    state = SessionState().with_alarm(alarm).with_alarm(alarm)
    state = state.after(messages.RunOpened(Path("run"))).ended()
    assert state.alarms == (alarm,)
    assert state.run_folder == Path("run")
    settings = parse(RIG, FOLDER)
    begun = state.started(settings, 7)
    assert (begun.alarms, begun.run_folder, begun.start_ns) == ((alarm,), None, 7)
    assert begun.phase is Phase.STARTING
    assert set(begun.levels.values()) == {0.0}


def test_every_message_of_every_process_belongs_to_one_union() -> None:
    unions = (
        messages.ToSession,
        messages.ToCamera,
        messages.ToEngine,
        messages.ToRecorder,
    )
    listed = {
        kind for union in (*unions, messages.ToSecondGuard) for kind in get_args(union)
    }
    kinds = {
        kind
        for kind in vars(messages).values()
        if isinstance(kind, type) and kind.__module__ == messages.__name__
    }
    assert kinds - listed == {messages.GuardTookOver}, "a ProblemReport"
