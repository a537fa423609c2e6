import pickle
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Mark, on
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.engine.session.headless import run_headless
from deeplabstream.engine.session.messages import RunClosed
from deeplabstream.engine.session.request_queue import (
    AGENDAS,
    RequestQueue,
    carried_out,
)
from deeplabstream.engine.session.run_summary import MOST_TEXTS, Summary
from deeplabstream.engine.session.session_state import (
    Action,
    Counts,
    Failed,
    News,
    Phase,
    SessionState,
)
from deeplabstream.recording.frame_accounts import FrameCounts
from tests.gui.fake_session import IDLE, FakeSession, make_step


class PlayingSession(FakeSession):
    """Analyses a frame at each poll while it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.index = 0

    def poll(self) -> list[News]:
        if self.state.analysing:
            counts = {"arena": Counts(self.index + 1, 0, self.index + 1)}
            self.update(counts=counts, run_folder=Path("runs/monday"))
            commands = (Mark(f"entry {self.index} into here"), on("stimulus"))
            self.news.append(make_step(self.index, commands=commands))
            self.news.append(Edge("stimulus", 1.0, "plan", 0, 0))
            self.index += 1
        elif self.state.phase is Phase.IDLE:
            self.update(counts={})
        return super().poll()


def run(
    rig: FakeSession, seconds: float = 1.0, agenda: RequestQueue | None = None
) -> tuple[Summary, list[str]]:
    clock, said = ManualClock(), list[str]()
    summary = run_headless(
        rig,
        agenda or RequestQueue(AGENDAS["experiment"]),
        seconds,
        said.append,
        clock=clock,
        rest=lambda s: clock.set(clock.now_ns() + round(s * 1e9)),
    )
    return summary, said


def test_it_runs_for_its_time_and_stops_everything() -> None:
    rig = PlayingSession()
    summary, said = run(rig)
    assert rig.asked == [*AGENDAS["experiment"], Action.STOP_STREAM]
    assert rig.state.activity == IDLE.activity
    assert 1.0 <= summary.seconds <= 1.1
    assert summary.counts["arena"].delivered == len(summary.decided_ns) == rig.index
    assert summary.marks == {"entry into here": rig.index}
    assert summary.switched_on == {"stimulus": rig.index}
    assert not summary.failures
    assert "Everything runs; it will be stopped in 1 s." in said
    text = "\n".join(summary.lines())
    assert "p50 5.0 ms" in text
    assert "p50 6.0 ms" in text
    assert "100.0 per second" in text
    assert text.endswith(str(Path("runs/monday")))


class BrokenSession(FakeSession):
    def do(self, action: Action) -> None:
        self.asked.append(action)
        self.news.append(Failed("[Camera arena] gives no frames"))


def test_a_failure_ends_it_and_is_told() -> None:
    rig = BrokenSession()
    summary, said = run(rig)
    assert rig.asked == [Action.START_STREAM]
    assert summary.failures == ("[Camera arena] gives no frames",)
    assert said == ["Problem: [Camera arena] gives no frames"]
    assert "none" in summary.lines()[-1]


class SlowRecording(PlayingSession):
    """The first frame of a video comes three polls after it was requested."""

    polls = 0

    def do(self, action: Action) -> None:
        if action is Action.START_RECORDING:
            self.put(replace(self.state, unrecorded=("arena",)))
        else:
            super().do(action)

    def poll(self) -> list[News]:
        self.polls += self.state.recording_starting
        if self.polls == 3:
            self.put(replace(self.state, recording=True, unrecorded=()))
        return super().poll()


def test_everything_runs_only_when_the_video_has_a_frame() -> None:
    actions = (Action.START_STREAM, Action.START_ANALYSIS, Action.START_RECORDING)
    rig = SlowRecording()
    agenda = RequestQueue((*actions, Action.START_EXPERIMENT))
    begun: list[tuple[int, bool]] = []
    while not agenda.done:
        rig.poll()
        agenda.advance(rig)
        begun.append((rig.polls, rig.state.experimenting))
    assert next(polls for polls, experiments in begun if experiments) == 3
    _, said = run(SlowRecording(), agenda=RequestQueue(actions))
    starting = said.index("streaming, analysing, recording starting")
    runs = said.index("Everything runs; it will be stopped in 1 s.")
    assert starting < said.index("streaming, analysing, recording") < runs


class WarningSession(PlayingSession):
    def poll(self) -> list[News]:
        if self.index in (3, 5):
            self.news.append(Failed("frames are lost to the video", grave=False))
        return super().poll()


def test_a_warning_ends_nothing_and_is_told_once() -> None:
    summary, said = run(WarningSession())
    assert said.count("Problem: frames are lost to the video") == 1
    assert "Everything runs; it will be stopped in 1 s." in said
    assert summary.failures == ("frames are lost to the video",)
    assert summary.seconds >= 1


class AlarmedSession(PlayingSession):
    """An arena fails at the third frame."""

    def poll(self) -> list[News]:
        if self.index == 3:
            said = "arena A2: ZeroDivisionError: broken plan"
            self.news.append(Note("alarm", f"Traceback (most recent …\n{said}", 5))
            self.news.append(Failed(said, grave=False))
        return super().poll()


def test_an_alarm_ends_nothing_and_is_told_without_its_traceback() -> None:
    summary, said = run(AlarmedSession())
    error = "arena A2: ZeroDivisionError: broken plan"
    assert f"alarm: {error}" in said
    assert summary.failures == (error,)
    assert summary.seconds >= 1


class SlowSession(FakeSession):
    def do(self, action: Action) -> None:
        self.asked.append(action)
        self.put(
            SessionState(
                Phase.STARTING if action is Action.START_STREAM else Phase.IDLE
            )
        )


def test_a_rig_that_never_gets_ready_is_given_up() -> None:
    rig = SlowSession()
    summary, _ = run(rig)
    assert "not ready" in summary.failures[0]
    assert "Start Stream has not taken effect" in summary.failures[0]
    assert rig.asked == [Action.START_STREAM, Action.STOP_STREAM]


class ArmedSession(SlowSession):
    """Its stream starts after a hundred polls; it is armed meanwhile."""

    polls = 0

    def do(self, action: Action) -> None:
        super().do(action)
        self.update(armed=True)

    def poll(self) -> list[News]:
        self.polls += self.state.armed
        if self.polls == 100:
            self.put(SessionState(Phase.STREAMING))
        return super().poll()


def test_what_is_requested_is_given_up_in_time_but_not_while_the_rig_is_armed() -> None:
    clock = ManualClock()

    def rest(seconds: float) -> None:
        clock.set(clock.now_ns() + 10**9)

    slow = RequestQueue(AGENDAS["stream"])
    with pytest.raises(DeviceError, match="not ready within 5 s; Start Stream has not"):
        list(carried_out(slow, SlowSession(), 5, clock=clock, rest=rest))
    assert clock.now_ns() == 5 * 10**9
    armed = RequestQueue(AGENDAS["stream"])
    for _ in carried_out(armed, ArmedSession(), 5, clock=clock, rest=rest):
        pass
    assert armed.done and clock.now_ns() > 100 * 10**9


def test_a_state_is_told_once() -> None:
    rig = FakeSession()
    for ready in (False, True):
        rig.put(SessionState(Phase.STARTING, network_ready=ready))
    rig.news.append(Failed("[Camera arena] gives no frames"))
    _, said = run(rig)
    assert said[:2] == ["starting", "Problem: [Camera arena] gives no frames"]


class EndingSession(PlayingSession):
    def poll(self) -> list[News]:
        if self.index == 5:
            self.put(IDLE)
        return super().poll()


def test_the_end_of_a_stream_ends_it() -> None:
    summary, _ = run(EndingSession(), seconds=1000)
    assert summary.seconds < 1
    assert len(summary.decided_ns) == 5


def test_a_summary_does_not_grow_with_the_frames_and_marks_of_a_long_run() -> None:
    def size(frames: int) -> int:
        summary = Summary()
        for index in range(frames):
            commands = (Mark(f"left {index}.5 s"), on("stimulus"))
            summary.add(make_step(index, commands=commands))
        assert sum(summary.marks.values()) == summary.analysed["arena"].number == frames
        return len(pickle.dumps(summary))

    assert size(5 * MOST_TEXTS) < 1.01 * size(2 * MOST_TEXTS)


def test_a_person_may_stop_it() -> None:
    rig = PlayingSession()
    clock = ManualClock()
    summary = run_headless(
        rig,
        RequestQueue(AGENDAS["experiment"]),
        1000,
        lambda text: None,
        stopped=lambda: rig.index > 7,
        clock=clock,
        rest=lambda s: clock.set(clock.now_ns() + round(s * 1e9)),
    )
    assert rig.state.activity == IDLE.activity
    assert 0 < summary.seconds < 2


class EndingExperiment(PlayingSession):
    """Its experiment ends by itself at the fifth frame."""

    def poll(self) -> list[News]:
        if self.state.experimenting:
            self.update(experiments=1)
        if self.index == 5 and self.state.experimenting:
            self.put(replace(self.state, experimenting=False))
        return super().poll()


def test_it_ends_with_the_experiment() -> None:
    rig = EndingExperiment()
    summary, said = run(rig, seconds=inf)
    assert rig.asked == [*AGENDAS["experiment"], Action.STOP_STREAM]
    assert summary.seconds < 1
    assert not summary.failures
    assert "Everything runs; it ends with the experiment." in said


def test_without_an_experiment_nothing_ends_it_before_its_time() -> None:
    rig = EndingExperiment()
    summary, said = run(rig, agenda=RequestQueue(AGENDAS["analysis"]))
    assert summary.seconds >= 1
    assert "Everything runs; it will be stopped in 1 s." in said


@pytest.mark.parametrize(
    ("texts", "counted"),
    [
        (("trial 1: tone", "trial 2: tone"), {"trial: tone": 2}),
        # the number of a trigger's name is not a count; a number with a unit is a value
        (("zone 1: trial 1", "zone 1: trial 2"), {"zone 1: trial": 2}),
        (
            ("stimulus in zone 1", "stimulus in zone 2"),
            {"stimulus in zone 1": 1, "stimulus in zone 2": 1},
        ),
        (("pause 5 s", "pause 6 s"), {"pause 5 s": 1, "pause 6 s": 1}),
        (("attacks: 3, 2.5 s in total",), {"attacks: 3, 2.5 s in total": 1}),
    ],
)
def test_marks_that_differ_in_a_count_only_are_counted_together(
    texts: tuple[str, ...], counted: dict[str, int]
) -> None:
    summary, triggers = Summary(), {"zone 1": True, "zone 2": False}
    for text in texts:
        summary.add(replace(make_step(0), commands=(Mark(text),), triggers=triggers))
    assert summary.marks == counted


def test_the_frame_equation_of_each_span_is_printed() -> None:
    filmed = {"recorded": 99, "recording_losses": 0}
    spans = (
        FrameCounts("arena", "analysis", 95, 2, analysed=90, skipped=5),
        FrameCounts("arena", "recording", 98, None, **filmed),
    )
    summary = Summary(counts={"arena": Counts(120, 2)})
    summary.add(RunClosed(spans))
    came, analysis, recording = summary.lines()[1:4]
    assert came == "Camera arena: 120 frames, lost at the device: 2."
    assert analysis == (
        "  analysis: 97 exposed = 95 delivered + 2 lost; "
        "95 delivered = 90 analysed + 5 skipped."
    )
    assert recording == (
        "  recording: exposed: not known to the device; "
        "98 delivered = 99 recorded + 0 lost to the video; THIS DOES NOT CLOSE."
    )


def test_damaged_frames_are_in_the_frame_equation() -> None:
    span = FrameCounts("top", "analysis", 90, analysed=90, skipped=0, dropped=7)
    summary = Summary(counts={"top": Counts(90, None)})
    summary.add(RunClosed((span,)))
    assert summary.lines()[2] == (
        "  analysis: exposed: not known to the device, 7 damaged or missing frames "
        "dropped; 90 delivered = 90 analysed + 0 skipped."
    )


def test_what_never_started_is_not_summed_up_as_a_run() -> None:
    summary, _ = run(BrokenSession())
    assert summary.lines()[0] == "It did not start."
