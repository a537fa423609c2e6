"""What was not recorded stays visible, and decides whether the experiment goes on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deeplabstream.core.clock import SystemClock
from deeplabstream.engine.session import messages as say
from deeplabstream.engine.session.session_events import BEGIN_S, SessionEvents
from deeplabstream.engine.session.states import Failed, Phase, Status
from deeplabstream.recording.frame_accounts import Accounts
from deeplabstream.settings.loading import parse
from tests.engine.small_rig import FOLDER, RIG

FULL = "Recording has ended, the disk failed: No space left on device"


def listening(choice: str = "") -> tuple[SessionEvents, list[object], Any]:
    """A session that runs an experiment, and what it tells the engine."""
    rig = SessionEvents(parse(f"{RIG}[Experiment]\nEXP_NAME = light\n{choice}", FOLDER))
    rig.status = Status(Phase.STREAMING, True, True, True, True)
    told: list[object] = []
    return rig, told, SimpleNamespace(tell_engine=told.append, remain=lambda path: None)


def test_a_lost_recording_ends_the_experiment_and_stays_an_alarm() -> None:
    rig, told, crew = listening()
    rig._heard(crew, say.RecorderFailed(FULL, whole=True))
    (stop,) = told
    assert isinstance(stop, say.RunExperiment)
    assert not stop.active
    assert "ON_RECORDING_LOST" in stop.how
    assert [alarm.text for alarm in rig.alarms] == [FULL]
    rig.acknowledge()
    assert rig.alarms == ()


def test_with_go_on_the_experiment_continues_and_the_alarm_stays() -> None:
    rig, told, crew = listening("ON_RECORDING_LOST = go on")
    rig._heard(crew, say.RecorderFailed(FULL, whole=True))
    assert told == []
    assert [alarm.text for alarm in rig.alarms] == [FULL]
    (failed,) = [news for news in rig._news if isinstance(news, Failed)]
    assert not failed.grave  # no program ends for it


@pytest.mark.parametrize("whole", [False, True])
def test_video_that_the_experiment_did_not_ask_for_does_not_end_it(whole: bool) -> None:
    rig, told, crew = listening("RECORD_EXP = no")
    rig._heard(crew, say.RecorderFailed(FULL, whole))
    assert bool(told) is whole


def test_a_recording_that_never_begins_is_an_alarm() -> None:
    """As when the recorder hangs on a network drive."""
    rig, _, _ = listening()
    crew: Any = SimpleNamespace(tell_recorder=lambda message: None)
    rig._film(crew, True)
    asked_s = SystemClock().now_ns() / 1e9
    rig._check_begun(asked_s + BEGIN_S / 2)
    assert rig.alarms == ()
    rig._check_begun(asked_s + 2 * BEGIN_S)
    rig._check_begun(asked_s + 3 * BEGIN_S)
    assert "The recording has not begun" in rig.alarms[0].text
    rig._check_saved()
    texts = [alarm.text for alarm in rig.alarms]
    assert len(texts) == 2
    assert "Nothing was recorded" in texts[1]


def test_a_recording_that_has_begun_or_was_refused_is_no_further_alarm() -> None:
    for answer in (say.Filmed({}, {}, {}), say.RecorderFailed(FULL)):
        rig, _, crew = listening()
        crew.tell_recorder = lambda message: None
        rig._film(crew, True)
        rig._heard(crew, answer)
        before = len(rig.alarms)
        rig._check_begun(SystemClock().now_ns() / 1e9 + 2 * BEGIN_S)
        assert len(rig.alarms) == before


def test_a_video_without_a_frame_is_an_alarm() -> None:
    rig, _, crew = listening()
    span = Accounts("top", "recording", 90, recorded=0, recording_losses=90)
    rig._heard(crew, say.RunClosed(Path("run"), (span,)))
    assert "[Camera top] has no video" in rig.alarms[0].text


def test_a_recorder_that_ends_before_the_run_is_saved_is_an_alarm() -> None:
    rig, _, crew = listening()
    rig._heard(crew, say.RunOpened(Path("run")))
    rig._check_saved()
    assert "The run was not saved whole" in rig.alarms[0].text
    assert rig.run_folder is not None
