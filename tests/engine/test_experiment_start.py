"""A requested experiment that waits for its outputs never starts after a stop."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Edge
from deeplabstream.engine.checks import preflight
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Counts, Failed, Phase
from deeplabstream.ipc.journal import JournalReader, JournalWriter, create_journal
from deeplabstream.settings.loading import Settings, parse
from tests.engine.fake_processes import FakeProcesses, session_of
from tests.engine.small_rig import RIG
from tests.engine.stream import memory
from tests.engine.test_attached_rings import engine_of


@pytest.fixture
def rig(tmp_path: Path) -> tuple[RigSession, FakeProcesses]:
    """A session that analyses; its experiment was requested and its output is not open."""
    fake = FakeProcesses()
    session = session_of(
        fake, tmp_path, f"{RIG}[Pose Estimation]\nMODEL = stand-in:0\n"
    )
    session.do(Action.START_STREAM)
    session.state = replace(
        session.state,
        phase=Phase.STREAMING,
        analysing=True,
        formats={"arena": ImageFormat((480, 640), 30.0)},
        counts={"arena": Counts()},
    )
    session.do(Action.START_EXPERIMENT)
    assert fake.engine == [messages.OpenDevices()]
    assert session.state.experiment_starting
    return session, fake


def test_the_experiment_starts_when_the_outputs_are_open(
    rig: tuple[RigSession, FakeProcesses],
) -> None:
    session, fake = rig
    fake.report(messages.DevicesOpened())
    session.poll()
    recording = [messages.StartRecording] * session.settings.experiment.record_exp
    assert [
        type(each) for each in fake.recorder if type(each) in recording
    ] == recording
    session.state = replace(session.state, unrecorded=())
    session.poll()
    assert fake.engine[1:] == [messages.RunExperiment(True)]


def _stop_stream(session: RigSession, _: FakeProcesses) -> None:
    session.do(Action.STOP_STREAM)


def _stop_experiment(session: RigSession, _: FakeProcesses) -> None:
    session.do(Action.STOP_EXPERIMENT)


def _stop_recording(session: RigSession, _: FakeProcesses) -> None:
    session.state = replace(session.state, recording=True)
    session.do(Action.STOP_RECORDING)


def _lose_recording(session: RigSession, fake: FakeProcesses) -> None:
    fake.report(messages.RecorderFailed("the disk is full", whole=True))


def _lose_process(session: RigSession, fake: FakeProcesses) -> None:
    fake.report(messages.ProcessFailed("the camera process ended"))


@pytest.mark.parametrize(
    "stop",
    [_stop_stream, _stop_experiment, _stop_recording, _lose_recording, _lose_process],
)
def test_no_experiment_starts_after_a_stop(
    rig: tuple[RigSession, FakeProcesses],
    stop: Callable[[RigSession, FakeProcesses], None],
) -> None:
    session, fake = rig
    stop(session, fake)
    fake.report(messages.DevicesOpened())
    session.poll()
    session.poll()
    assert messages.RunExperiment(True) not in fake.engine
    assert not any(isinstance(it, messages.StartRecording) for it in fake.recorder)


def test_outputs_that_open_before_the_session_reads_are_known(tmp_path: Path) -> None:
    """The engine may be faster than the main process, which a loaded machine holds up."""
    fake = FakeProcesses()
    journal = create_journal()
    try:
        edge = Edge("laser", 0.0, "open", 1, 2)
        JournalWriter(journal).write(edge)
        fake.journal_reader = JournalReader(journal, from_start=True)
        session = session_of(fake, tmp_path, RIG)
        session.do(Action.START_STREAM)
        session.poll()
        assert session.state.edges == {"laser": edge}
    finally:
        journal.close()
        journal.unlink()


def test_an_analysis_without_a_run_folder_refuses_the_experiment_until_it_is_restarted(
    rig: tuple[RigSession, FakeProcesses],
) -> None:
    session, fake = rig
    session.do(Action.STOP_EXPERIMENT)
    lost = "poses, triggers and commands are not recorded"

    def start_experiment() -> str:
        """Return why the pre-flight check refuses it."""
        session.poll()
        fake.findings = preflight.inspect(session.settings, session.state)
        session.do(Action.START_EXPERIMENT)
        fake.report(messages.DevicesOpened())
        return str([it for it in session.poll() if isinstance(it, Failed)])

    fake.report(messages.RecorderFailed("the folder can't be made"))
    assert lost in start_experiment()
    assert not session.state.experiment_starting
    fake.report(messages.Analysing(False))
    session.poll()
    session.state = replace(session.state, network_ready=True)
    session.do(Action.START_ANALYSIS)
    fake.report(messages.Analysing(True))
    refused = start_experiment()
    assert "Cannot start" in refused and lost not in refused


class LoopFake:
    """Knows whether an experiment runs."""

    experimenting = False

    def set_triggers(self, triggers: object) -> None:
        return

    def begin(self, *_: object) -> None:
        self.experimenting = True

    def end(self) -> None:
        self.experimenting = False


def test_an_experiment_does_not_run_after_the_analysis_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both requests can be on their way when the session still reads "analysing"."""
    told: list[object] = []
    with memory("top") as (_, journal), engine_of(tmp_path, journal) as engine:
        monkeypatch.setattr(engine, "send", told.append)
        loop: Any = LoopFake()
        engine.loop = loop
        engine.analyse(True)
        engine.analyse(False)
        engine.start_experiment(0)
        assert not loop.experimenting and not engine.experiment_running
    problem, answer = told[-2:]
    assert "start the analysis first" in str(problem)
    assert answer == messages.ExperimentRunning(False)


def test_the_run_has_the_session_that_was_set_when_its_experiment_started(
    rig: tuple[RigSession, FakeProcesses], tmp_path: Path
) -> None:
    """It can be changed while frames are analysed; from the start on it is the next run's."""
    session, fake = rig
    text = session.settings.text
    session.do(Action.STOP_EXPERIMENT)  # the fixture has requested it
    session.do(Action.START_RECORDING)  # makes the run folder
    assert session.take_subject(_settings(text, "mouse 8", tmp_path))
    (changed,) = (m for m in fake.recorder if isinstance(m, messages.ChangeRun))
    assert "ANIMAL = mouse 8" in changed.settings_text
    assert changed.facts["session"]["animal"] == "mouse 8"  # type: ignore[index]
    notes = [m.note for m in fake.recorder if isinstance(m, messages.WriteNote)]
    assert ("session", "ANIMAL = mouse 8 (was empty)") in [
        (note.kind, note.text) for note in notes
    ]

    session.do(Action.START_EXPERIMENT)
    fake.report(messages.ExperimentRunning(True))
    session.poll()
    assert not session.take_subject(_settings(text, "mouse 9", tmp_path))
    fake.report(messages.ExperimentRunning(False))
    session.poll()
    assert not session.take_subject(_settings(text, "mouse 9", tmp_path))
    session.do(Action.STOP_STREAM)
    session.close()
    (closed,) = (m for m in fake.recorder if isinstance(m, messages.CloseRun))
    assert closed.facts["session"]["animal"] == "mouse 8"  # type: ignore[index]


def _settings(text: str, animal: str, folder: Path) -> Settings:
    return parse(f"{text}\n[Session]\nANIMAL = {animal}\n", folder)
