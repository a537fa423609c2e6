"""What was not recorded stays visible, and decides whether the experiment goes on."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.session import BEGIN_S, RigSession
from deeplabstream.engine.session.session_state import (
    MOST_ALARMS,
    Action,
    Alarm,
    Counts,
    Failed,
    News,
    Phase,
    SessionState,
)
from deeplabstream.recording.frame_accounts import FrameCounts
from tests.engine.fake_processes import FakeProcesses, session_of
from tests.engine.small_rig import FOLDER, RIG

CAMERAS = ("arena", "side")
SECOND_CAMERA = "[Camera side]\nKIND = SimulatedCamera\n"
FULL = "Recording has ended, the disk failed: No space left on device"


@dataclass
class Rig:
    """A session without its processes, and what it reports."""

    session: RigSession
    processes: FakeProcesses
    clock: ManualClock
    news: list[News] = field(default_factory=list)

    def poll(self, *reports: object) -> None:
        """Have processes report these messages, and poll the session."""
        self.processes.report(*reports)
        self.news += self.session.poll()

    def turn(self, after_s: float) -> None:
        """Poll the session some seconds after the recording was requested."""
        self.clock.set(round(after_s * 1e9))
        self.poll()

    @property
    def alarms(self) -> list[str]:
        return [alarm.text for alarm in self.session.state.alarms]

    @property
    def failures(self) -> list[Failed]:
        return [news for news in self.news if isinstance(news, Failed)]

    @property
    def notes(self) -> list[Note]:
        return [news for news in self.news if isinstance(news, Note)]


def experimenting(choice: str = "", rig: str = RIG) -> Rig:
    """A session that runs an experiment."""
    clock, processes = ManualClock(), FakeProcesses()
    text = f"{rig}[Experiment]\nEXP_NAME = light\n{choice}"
    session = session_of(processes, FOLDER, text, clock)
    session.do(Action.START_STREAM)
    session.state = SessionState(Phase.STREAMING, True, True, True, True)
    session.poll()
    return Rig(session, processes, clock)


def test_a_lost_recording_ends_the_experiment_and_stays_an_alarm() -> None:
    rig = experimenting()
    rig.poll(messages.RecorderFailed(FULL, whole=True))
    (stop,) = rig.processes.engine
    assert isinstance(stop, messages.RunExperiment)
    assert not stop.active
    assert "ON_RECORDING_LOST" in stop.how
    assert not rig.session.state.recording
    assert rig.alarms == [FULL]
    rig.processes.entries.append(Note("error", "[Trigger left] failed", 3))
    rig.poll()
    assert rig.session.state.error == "[Trigger left] failed"
    rig.session.acknowledge()
    assert (rig.alarms, rig.session.state.error) == ([], "")


def test_the_record_says_from_when_until_when_there_was_an_alarm() -> None:
    rig = experimenting("ON_RECORDING_LOST = go on")
    rig.poll(messages.RunOpened(Path("run")))
    rig.poll(messages.ProblemReport("the disk is slow"))
    rig.poll(messages.ProblemReport("the disk is slower"))
    rig.session.acknowledge()
    rig.session.acknowledge()
    texts = [
        message.note.text
        for message in rig.processes.recorder
        if isinstance(message, messages.WriteNote) and message.note.kind == "alarms"
    ]
    assert texts == ["none", "raised: the disk is slow", "acknowledged"]


def test_an_alarm_of_an_earlier_stream_is_in_the_record_of_the_next() -> None:
    rig = experimenting()
    rig.session.alarm("the disk is slow")
    rig.processes.recorder.clear()
    rig.poll(messages.RunOpened(Path("run")))
    (message,) = rig.processes.recorder
    assert isinstance(message, messages.WriteNote)
    assert message.note.text == "raised: the disk is slow"


def test_with_go_on_the_experiment_continues_and_the_alarm_stays() -> None:
    rig = experimenting("ON_RECORDING_LOST = go on")
    rig.poll(messages.RecorderFailed(FULL, whole=True))
    assert rig.processes.engine == []
    assert rig.alarms == [FULL]
    (failed,) = rig.failures
    assert not failed.grave  # no program ends for it


@pytest.mark.parametrize(
    ("choice", "missed", "stops", "alarms"),
    [
        ("", 30, 1, 1),
        ("", 20, 0, 0),
        ("ON_RECORDING_LOST = go on", 65, 0, 1),
        ("RECORD_EXP = no", 65, 0, 1),
    ],
)
def test_a_video_that_misses_many_frames_counts_as_lost(
    choice: str, missed: int, stops: int, alarms: int
) -> None:
    """On a starved computer, of each 100 frames."""
    rig = experimenting(choice)
    for half_second in range(40):
        recorded = {"arena": (100 - missed) * half_second}
        losses = {"arena": missed * half_second}
        rig.clock.set(500_000_000 * half_second)
        rig.poll(messages.RecordingProgress(recorded, losses, {}, 1))
    assert [type(sent) for sent in rig.processes.engine] == (
        [messages.RunExperiment] * stops
    )
    assert len(rig.alarms) == alarms
    assert all("frames miss the video" in text for text in rig.alarms)


@pytest.mark.parametrize("whole", [False, True])
def test_video_that_the_experiment_did_not_ask_for_does_not_end_it(whole: bool) -> None:
    rig = experimenting("RECORD_EXP = no")
    rig.poll(messages.RecorderFailed(FULL, whole))
    assert bool(rig.processes.engine) is whole


def analysing(choice: str = "", record: str = "yes", silent: str = "") -> Rig:
    """A session with two cameras that are analysed; nothing records."""
    text = (RIG + SECOND_CAMERA).replace(
        "KIND = SimulatedCamera", f"KIND = SimulatedCamera\nRECORD = {record}"
    )
    rig = experimenting(choice, text)
    rig.session.state = SessionState(
        Phase.STREAMING,
        True,
        True,
        formats=dict.fromkeys(CAMERAS, ImageFormat((48, 64, 3), 30.0)),
        counts={name: Counts(9 * (name != silent)) for name in CAMERAS},
    )
    return rig


def starting(choice: str = "", silent: str = "") -> Rig:
    """Such a session, of which the experiment was requested; the pre-flight finds nothing."""
    rig = analysing(choice, silent=silent)
    edge = Edge("laser", 0.0, "open", 0, 0)
    rig.session.state = replace(rig.session.state, edges={"laser": edge})
    rig.session.do(Action.START_EXPERIMENT)
    return rig


def in_videos(number: int = 1, **frames: int) -> messages.RecordingProgress:
    return messages.RecordingProgress(frames, {}, {}, number)


def test_an_experiment_waits_for_the_first_frame_of_every_video() -> None:
    rig = starting()
    state = rig.session.state
    assert (state.recording, state.unrecorded) == (False, CAMERAS)
    assert state.experiment_starting
    assert not {Action.START_EXPERIMENT, Action.START_RECORDING} & state.allowed
    assert {Action.STOP_EXPERIMENT, Action.STOP_RECORDING} <= state.allowed
    # the first is of an earlier recording
    for progress in (in_videos(0, arena=7, side=7), in_videos(arena=1, side=0)):
        rig.poll(progress)
        assert not rig.session.state.recording
        assert rig.processes.engine == []
    assert rig.session.state.unrecorded == ("side",)
    rig.poll(in_videos(arena=2, side=1))
    assert rig.session.state.recording
    assert rig.processes.engine == [messages.RunExperiment(True)]
    assert rig.session.state.experiment_starting
    rig.poll(messages.ExperimentRunning(True))
    assert not rig.session.state.experiment_starting
    rig.turn(2 * BEGIN_S)
    assert rig.alarms == []
    assert len(rig.processes.engine) == 1


def test_a_camera_that_waits_for_its_trigger_is_not_waited_for() -> None:
    """The experiment itself may send the pulses."""
    rig = starting()
    rig.processes.rings["side"] = SimpleNamespace(
        published=0, last_index=-1, last_stamp=None, awaits_trigger=True
    )
    rig.poll(in_videos(arena=1))
    assert rig.session.state.recording
    assert rig.processes.engine == [messages.RunExperiment(True)]


def test_an_experiment_without_its_recording_is_refused_with_the_cameras_name() -> None:
    rig = starting(silent="side")
    rig.poll(in_videos(arena=1))
    rig.turn(BEGIN_S / 2)
    assert rig.alarms == []
    rig.turn(2 * BEGIN_S)
    (text,) = rig.alarms
    assert text.startswith("Cannot start the experiment.")
    assert text.endswith("[Camera side] delivers no frames")
    assert "arena" not in text
    assert rig.processes.engine == []
    assert messages.StopRecording() in rig.processes.recorder
    assert not rig.session.state.experiment_starting
    assert not rig.session.state.recording_starting
    (failed,) = rig.failures
    assert failed.grave  # a program without a window ends


def test_an_experiment_that_may_go_on_without_video_also_starts_without() -> None:
    rig = starting("ON_RECORDING_LOST = go on")
    rig.turn(2 * BEGIN_S)
    assert "[Camera side] has no frame in its video" in rig.alarms[0]
    assert rig.processes.engine == [messages.RunExperiment(True)]
    assert rig.session.state.recording_starting


@pytest.mark.parametrize(
    "cancel",
    [
        lambda rig: rig.session.do(Action.STOP_EXPERIMENT),
        lambda rig: rig.session.do(Action.STOP_RECORDING),
        lambda rig: rig.poll(messages.RecorderFailed(FULL)),
    ],
)
def test_a_waiting_experiment_is_cancelled_and_never_starts(
    cancel: Callable[[Rig], None],
) -> None:
    rig = starting()
    cancel(rig)
    rig.turn(2 * BEGIN_S)
    assert rig.processes.engine == []
    assert not rig.session.state.experiment_starting
    assert not rig.session.state.recording_starting
    assert any(note.text.startswith("not started: ") for note in rig.notes)


def test_a_recording_that_never_begins_is_an_alarm() -> None:
    """As when the recorder hangs on a network drive."""
    rig = analysing()
    rig.session.do(Action.START_RECORDING)
    rig.turn(BEGIN_S / 2)
    assert rig.alarms == []
    rig.turn(2 * BEGIN_S)
    rig.turn(3 * BEGIN_S)
    causes = (
        "is the disk slow, OUTPUT_DIRECTORY not reachable, or the computer overloaded?"
    )
    assert causes in rig.alarms[0]
    assert rig.session.state.recording_starting
    rig.session.close()
    assert len(rig.alarms) == 2
    assert "Nothing was recorded" in rig.alarms[1]


def test_a_recording_that_has_begun_or_was_refused_is_no_further_alarm() -> None:
    for answer in (in_videos(arena=1, side=1), messages.RecorderFailed(FULL)):
        rig = analysing()
        rig.session.do(Action.START_RECORDING)
        rig.poll(answer)
        before = len(rig.alarms)
        rig.turn(2 * BEGIN_S)
        assert len(rig.alarms) == before


def test_a_recording_of_no_camera_is_refused() -> None:
    rig = analysing(record="no")
    rig.session.do(Action.START_RECORDING)
    rig.poll()
    (failed,) = rig.failures
    assert "RECORD = no" in failed.text
    assert not rig.session.state.recording_starting


def test_a_video_without_a_frame_is_an_alarm() -> None:
    rig = experimenting()
    span = FrameCounts("top", "recording", 90, recorded=0, recording_losses=90)
    rig.poll(messages.RunClosed((span,)))
    assert "[Camera top] has no video" in rig.alarms[0]


def test_a_recorder_that_ends_before_the_run_is_saved_is_an_alarm() -> None:
    rig = experimenting()
    rig.poll(messages.RunOpened(Path("run")))
    rig.session.close()
    assert "The run was not saved whole" in rig.alarms[0]
    assert rig.session.state.run_folder is not None


def test_a_message_that_is_not_known_is_noted_as_a_bug_and_ends_nothing() -> None:
    rig = experimenting()
    rig.poll(("a", "tuple"))
    (note,) = [note for note in rig.notes if note.kind == "bug"]
    assert "unknown message (tuple)" in note.text
    assert messages.WriteNote(note) in rig.processes.recorder
    assert rig.session.state.experimenting
    assert rig.alarms == []


VIDEO = """
[Pose Estimation]
MODEL = stand-in:0
[Camera top]
KIND = SimulatedCamera
[Camera side]
KIND = SimulatedCamera
ANALYSE = no
"""
ENDED = f"[Camera top] {messages.CAMERA_ENDED}"


def loading(text: str = VIDEO) -> Rig:
    """A session whose network is not loaded yet."""
    clock, processes = ManualClock(), FakeProcesses()
    session = session_of(processes, FOLDER, text, clock)
    session.do(Action.START_STREAM)
    session.poll()
    return Rig(session, processes, clock)


def test_a_video_that_ends_before_the_network_is_loaded_is_an_alarm() -> None:
    rig = loading()
    rig.poll(messages.CameraMessage(ENDED))
    (alarm,) = rig.alarms
    assert alarm == (
        "[Camera top] ended while the network was loaded: nothing of it can be analysed. "
        "Use a longer video, or set REPEAT = yes in its section"
    )


def test_other_ends_of_a_video_are_no_alarm() -> None:
    not_analysed = loading()
    not_analysed.poll(messages.CameraMessage(f"[Camera side] {messages.CAMERA_ENDED}"))
    without_network = loading(VIDEO.replace("stand-in:0", ""))
    without_network.poll(messages.CameraMessage(ENDED))
    loaded = loading()
    loaded.session.state = replace(loaded.session.state, network_ready=True)
    loaded.poll(messages.CameraMessage(ENDED))
    assert (not_analysed.alarms, without_network.alarms, loaded.alarms) == ([], [], [])
    broken = loading()
    broken.poll(messages.ProblemReport("[Camera top] ends here: damaged", grave=False))
    broken.poll(messages.CameraMessage(ENDED))
    assert broken.alarms == ["[Camera top] ends here: damaged"]


def test_of_very_many_alarms_the_last_ones_are_kept() -> None:
    state = SessionState()
    for number in range(MOST_ALARMS + 7):
        state = state.with_alarm(Alarm(f"alarm {number}", number))
        state = state.with_alarm(Alarm(f"alarm {number}", number))
    assert [it.time_ns for it in state.alarms] == [*range(7, MOST_ALARMS + 7)]
