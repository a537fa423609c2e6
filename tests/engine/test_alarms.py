"""What was not recorded stays visible, and decides whether the experiment goes on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pytest import MonkeyPatch

from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.session import messages, session_state
from deeplabstream.engine.session import session as session_module
from deeplabstream.engine.session.session import BEGIN_S, RigSession
from deeplabstream.engine.session.session_state import (
    Action,
    CameraReading,
    Counts,
    Failed,
    Phase,
    SessionState,
)
from deeplabstream.recording.frame_accounts import FrameCounts
from deeplabstream.settings.loading import parse
from tests.engine.small_rig import FOLDER, RIG

SECOND_CAMERA = "[Camera side]\nKIND = SimulatedCamera\n"
FULL = "Recording has ended, the disk failed: No space left on device"


class Processes:
    """Keeps what a session sends; stands for its processes."""

    def __init__(self) -> None:
        self.to_engine: list[object] = []
        self.to_recorder: list[object] = []
        self.rings: dict[str, object] = {}
        self.cut_short = False

    def send_engine(self, message: object) -> None:
        self.to_engine.append(message)

    def send_recorder(self, message: object) -> None:
        self.to_recorder.append(message)

    def announce_resources(self, run: Path) -> None:
        """Nothing is shared."""


def experimenting(choice: str = "", rig: str = RIG) -> tuple[RigSession, Processes]:
    """A session that runs an experiment, and what it sends."""
    settings = parse(f"{rig}[Experiment]\nEXP_NAME = light\n{choice}", FOLDER)
    session, processes = RigSession(settings), Processes()
    session.state = SessionState(Phase.STREAMING, True, True, True, True)
    session._processes = processes  # type: ignore[assignment]
    return session, processes


def texts(session: RigSession) -> list[str]:
    return [alarm.text for alarm in session.state.alarms]


def test_a_lost_recording_ends_the_experiment_and_stays_an_alarm() -> None:
    session, processes = experimenting()
    session._handle(messages.RecorderFailed(FULL, whole=True))
    (stop,) = processes.to_engine
    assert isinstance(stop, messages.RunExperiment)
    assert not stop.active
    assert "ON_RECORDING_LOST" in stop.how
    assert not session.state.recording
    assert texts(session) == [FULL]
    session.acknowledge()
    assert texts(session) == []


def test_with_go_on_the_experiment_continues_and_the_alarm_stays() -> None:
    session, processes = experimenting("ON_RECORDING_LOST = go on")
    session._handle(messages.RecorderFailed(FULL, whole=True))
    assert processes.to_engine == []
    assert texts(session) == [FULL]
    (failed,) = [news for news in session._news if isinstance(news, Failed)]
    assert not failed.grave  # no program ends for it


@pytest.mark.parametrize("whole", [False, True])
def test_video_that_the_experiment_did_not_ask_for_does_not_end_it(whole: bool) -> None:
    session, processes = experimenting("RECORD_EXP = no")
    session._handle(messages.RecorderFailed(FULL, whole))
    assert bool(processes.to_engine) is whole


def analysing(choice: str = "", record: str = "yes") -> tuple[RigSession, Processes]:
    """A session with two cameras that deliver frames and are analysed; nothing records."""
    rig = (RIG + SECOND_CAMERA).replace(
        "KIND = SimulatedCamera", f"KIND = SimulatedCamera\nRECORD = {record}"
    )
    session, processes = experimenting(choice, rig)
    form = ImageFormat((48, 64, 3), 30.0)
    session.state = SessionState(
        Phase.STREAMING,
        True,
        True,
        formats=dict.fromkeys(("arena", "side"), form),
        counts=dict.fromkeys(("arena", "side"), Counts(9)),
        rates={"arena": 30.0, "side": 30.0},
    )
    return session, processes


def start(session: RigSession, processes: Processes, monkeypatch: MonkeyPatch) -> None:
    """Ask for the experiment; the pre-flight check finds nothing."""
    monkeypatch.setattr(session_module, "inspect", lambda settings, state: [])
    rates = session.state.rates
    session._inspect_and_record(processes)  # type: ignore[arg-type]
    session.state = replace(session.state, rates=rates)


def turn(session: RigSession, processes: Processes, after_s: float = 0.0) -> None:
    """What `poll` does with a stream, some seconds after the recording was requested."""
    now_s = (session._requested_s or 0.0) + after_s
    session._check_begun(processes, now_s)  # type: ignore[arg-type]
    session._run_when_ready(processes)  # type: ignore[arg-type]


def in_videos(number: int = 1, **frames: int) -> messages.RecordingProgress:
    return messages.RecordingProgress(frames, {}, {}, number)


def test_an_experiment_waits_for_the_first_frame_of_every_video(
    monkeypatch: MonkeyPatch,
) -> None:
    session, processes = analysing()
    start(session, processes, monkeypatch)
    state = session.state
    assert (state.recording, state.unrecorded) == (False, ("arena", "side"))
    assert state.experiment_starting
    assert not {Action.START_EXPERIMENT, Action.START_RECORDING} & state.allowed
    assert {Action.STOP_EXPERIMENT, Action.STOP_RECORDING} <= state.allowed
    for progress in (in_videos(0, arena=7, side=7), in_videos(arena=1, side=0)):
        session._handle(progress)  # the first is of an earlier recording
        turn(session, processes)
        assert not session.state.recording
        assert processes.to_engine == []
    assert session.state.unrecorded == ("side",)
    session._handle(in_videos(arena=2, side=1))
    turn(session, processes)
    assert session.state.recording
    assert processes.to_engine == [messages.RunExperiment(True)]
    assert session.state.experiment_starting
    session._handle(messages.ExperimentRunning(True))
    assert not session.state.experiment_starting
    turn(session, processes, 2 * BEGIN_S)
    assert texts(session) == []
    assert len(processes.to_engine) == 1


def test_a_camera_that_waits_for_its_trigger_is_not_waited_for(
    monkeypatch: MonkeyPatch,
) -> None:
    """The experiment itself may send the pulses."""
    session, processes = analysing()
    start(session, processes, monkeypatch)
    session._handle(in_videos(arena=1))
    waiting = CameraReading(0, -1, None, awaits_trigger=True)
    session._change(session_state.CamerasRead({"side": waiting}, {}))
    turn(session, processes)
    assert session.state.recording
    assert processes.to_engine == [messages.RunExperiment(True)]


def test_an_experiment_without_its_recording_is_refused_with_the_cameras_name(
    monkeypatch: MonkeyPatch,
) -> None:
    session, processes = analysing()
    start(session, processes, monkeypatch)
    session._handle(in_videos(arena=1))
    turn(session, processes, BEGIN_S / 2)
    assert texts(session) == []
    session.state = replace(session.state, rates={"arena": 30.0, "side": 0.0})
    turn(session, processes, 2 * BEGIN_S)
    (text,) = texts(session)
    assert text.startswith("Cannot start the experiment.")
    assert text.endswith("[Camera side] delivers no frames")
    assert "arena" not in text
    assert processes.to_engine == []
    assert isinstance(processes.to_recorder[-2], messages.StopRecording)
    assert not session.state.experiment_starting
    assert not session.state.recording_starting
    (failed,) = [news for news in session._news if isinstance(news, Failed)]
    assert failed.grave  # a program without a window ends


def test_an_experiment_that_may_go_on_without_video_also_starts_without(
    monkeypatch: MonkeyPatch,
) -> None:
    session, processes = analysing("ON_RECORDING_LOST = go on")
    start(session, processes, monkeypatch)
    turn(session, processes, 2 * BEGIN_S)
    assert "[Camera side] has no frame in its video" in texts(session)[0]
    assert processes.to_engine == [messages.RunExperiment(True)]
    assert session.state.recording_starting


@pytest.mark.parametrize(
    "cancel",
    [
        lambda session: session.do(Action.STOP_EXPERIMENT),
        lambda session: session.do(Action.STOP_RECORDING),
        lambda session: session._handle(messages.RecorderFailed(FULL)),
    ],
)
def test_a_waiting_experiment_is_cancelled_and_never_starts(
    monkeypatch: MonkeyPatch, cancel: Callable[[RigSession], None]
) -> None:
    session, processes = analysing()
    start(session, processes, monkeypatch)
    cancel(session)
    turn(session, processes, 2 * BEGIN_S)
    assert processes.to_engine == []
    assert not session.state.experiment_starting
    assert not session.state.recording_starting
    notes = [news.text for news in session._news if isinstance(news, Note)]
    assert any(text.startswith("not started: ") for text in notes)


def test_a_recording_that_never_begins_is_an_alarm() -> None:
    """As when the recorder hangs on a network drive."""
    session, processes = analysing()
    session.do(Action.START_RECORDING)
    turn(session, processes, BEGIN_S / 2)
    assert texts(session) == []
    turn(session, processes, 2 * BEGIN_S)
    turn(session, processes, 3 * BEGIN_S)
    causes = (
        "is the disk slow, OUTPUT_DIRECTORY not reachable, or the computer overloaded?"
    )
    assert causes in texts(session)[0]
    assert session.state.recording_starting
    session._check_saved()
    assert len(texts(session)) == 2
    assert "Nothing was recorded" in texts(session)[1]


def test_a_recording_that_has_begun_or_was_refused_is_no_further_alarm() -> None:
    for answer in (in_videos(arena=1, side=1), messages.RecorderFailed(FULL)):
        session, processes = analysing()
        session.do(Action.START_RECORDING)
        session._handle(answer)
        before = len(texts(session))
        turn(session, processes, 2 * BEGIN_S)
        assert len(texts(session)) == before


def test_a_recording_of_no_camera_is_refused() -> None:
    session, _ = analysing(record="no")
    session.do(Action.START_RECORDING)
    (failed,) = [news for news in session._news if isinstance(news, Failed)]
    assert "RECORD = no" in failed.text
    assert not session.state.recording_starting


def test_a_video_without_a_frame_is_an_alarm() -> None:
    session, _ = experimenting()
    span = FrameCounts("top", "recording", 90, recorded=0, recording_losses=90)
    session._handle(messages.RunClosed((span,)))
    assert "[Camera top] has no video" in texts(session)[0]


def test_a_recorder_that_ends_before_the_run_is_saved_is_an_alarm() -> None:
    session, _ = experimenting()
    session._handle(messages.RunOpened(Path("run")))
    session._check_saved()
    assert "The run was not saved whole" in texts(session)[0]
    assert session.state.run_folder is not None


def test_a_message_that_is_not_known_is_noted_as_a_bug_and_ends_nothing() -> None:
    session, processes = experimenting()
    session._handle(("a", "tuple"))
    (note,) = [news for news in session._news if isinstance(news, Note)]
    assert note.kind == "bug"
    assert "unknown message (tuple)" in note.text
    (written,) = processes.to_recorder
    assert written == messages.WriteNote(note)
    assert session.state.experimenting
    assert texts(session) == []
