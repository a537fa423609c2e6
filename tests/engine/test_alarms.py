"""What was not recorded stays visible, and decides whether the experiment goes on."""

from pathlib import Path

import pytest

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.session import messages as say
from deeplabstream.engine.session.session import BEGIN_S, Session
from deeplabstream.engine.session.session_state import Failed, Phase, SessionState
from deeplabstream.recording.frame_accounts import FrameCounts
from deeplabstream.settings.loading import parse
from tests.engine.small_rig import FOLDER, RIG

FULL = "Recording has ended, the disk failed: No space left on device"


class Processes:
    """Keeps what a session sends; stands for its processes."""

    def __init__(self) -> None:
        self.to_engine: list[object] = []
        self.to_recorder: list[object] = []
        self.cut_short = False

    def send_engine(self, message: object) -> None:
        self.to_engine.append(message)

    def send_recorder(self, message: object) -> None:
        self.to_recorder.append(message)

    def announce_resources(self, run: Path) -> None:
        """Nothing is shared."""


def experimenting(choice: str = "") -> tuple[Session, Processes]:
    """A session that runs an experiment, and what it sends."""
    settings = parse(f"{RIG}[Experiment]\nEXP_NAME = light\n{choice}", FOLDER)
    session, processes = Session(settings), Processes()
    session.state = SessionState(Phase.STREAMING, True, True, True, True)
    session._processes = processes  # type: ignore[assignment]
    return session, processes


def texts(session: Session) -> list[str]:
    return [alarm.text for alarm in session.state.alarms]


def test_a_lost_recording_ends_the_experiment_and_stays_an_alarm() -> None:
    session, processes = experimenting()
    session._handle(say.RecorderFailed(FULL, whole=True))
    (stop,) = processes.to_engine
    assert isinstance(stop, say.RunExperiment)
    assert not stop.active
    assert "ON_RECORDING_LOST" in stop.how
    assert not session.state.recording
    assert texts(session) == [FULL]
    session.acknowledge()
    assert texts(session) == []


def test_with_go_on_the_experiment_continues_and_the_alarm_stays() -> None:
    session, processes = experimenting("ON_RECORDING_LOST = go on")
    session._handle(say.RecorderFailed(FULL, whole=True))
    assert processes.to_engine == []
    assert texts(session) == [FULL]
    (failed,) = [news for news in session._news if isinstance(news, Failed)]
    assert not failed.grave  # no program ends for it


@pytest.mark.parametrize("whole", [False, True])
def test_video_that_the_experiment_did_not_ask_for_does_not_end_it(whole: bool) -> None:
    session, processes = experimenting("RECORD_EXP = no")
    session._handle(say.RecorderFailed(FULL, whole))
    assert bool(processes.to_engine) is whole


def record(session: Session, processes: Processes) -> None:
    session._record(processes, True)  # type: ignore[arg-type]


def test_a_recording_that_never_begins_is_an_alarm() -> None:
    """As when the recorder hangs on a network drive."""
    session, processes = experimenting()
    record(session, processes)
    asked_s = SystemClock().now_ns() / 1e9
    session._check_begun(asked_s + BEGIN_S / 2)
    assert texts(session) == []
    session._check_begun(asked_s + 2 * BEGIN_S)
    session._check_begun(asked_s + 3 * BEGIN_S)
    assert "The recording has not begun" in texts(session)[0]
    session._check_saved()
    assert len(texts(session)) == 2
    assert "Nothing was recorded" in texts(session)[1]


def test_a_recording_that_has_begun_or_was_refused_is_no_further_alarm() -> None:
    for answer in (say.RecordingProgress({}, {}, {}), say.RecorderFailed(FULL)):
        session, processes = experimenting()
        record(session, processes)
        session._handle(answer)
        before = len(texts(session))
        session._check_begun(SystemClock().now_ns() / 1e9 + 2 * BEGIN_S)
        assert len(texts(session)) == before


def test_a_video_without_a_frame_is_an_alarm() -> None:
    session, _ = experimenting()
    span = FrameCounts("top", "recording", 90, recorded=0, recording_losses=90)
    session._handle(say.RunClosed((span,)))
    assert "[Camera top] has no video" in texts(session)[0]


def test_a_recorder_that_ends_before_the_run_is_saved_is_an_alarm() -> None:
    session, _ = experimenting()
    session._handle(say.RunOpened(Path("run")))
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
    assert written == say.WriteNote(note)
    assert session.state.experimenting
    assert texts(session) == []
