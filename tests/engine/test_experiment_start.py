"""A requested experiment that waits for its outputs never starts after a stop."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Edge
from deeplabstream.engine.checks import preflight
from deeplabstream.engine.session import messages
from deeplabstream.engine.session import session as session_module
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Counts, Phase
from deeplabstream.ipc.journal import JournalReader, JournalWriter, create_journal
from deeplabstream.settings.loading import parse
from tests.engine.small_rig import RIG
from tests.engine.stream import memory
from tests.engine.test_attached_rings import engine_of


class ProcessesFake:
    """Processes that keep what they are sent and answer nothing."""

    def __init__(self, *_: object) -> None:
        self.engine: list[object] = []
        self.recorder: list[object] = []
        self.children: list[object] = []
        self.rings: dict[str, object] = {}
        self.left_on: tuple[str, ...] = ()
        self.journal = SimpleNamespace(waiting=0)
        self.journal_reader = SimpleNamespace(read=list)
        self.send_engine = self.engine.append
        self.send_recorder = self.recorder.append

    def ending(self, *_: object) -> Iterator[None]:
        yield


def session_of(fake: ProcessesFake, folder: Path, text: str = RIG) -> RigSession:
    """Return a session whose processes are `fake`."""
    return RigSession(parse(text, folder), lambda *_: fake)  # type: ignore[arg-type,return-value]


@pytest.fixture
def rig(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[RigSession, ProcessesFake]:
    """A session that analyses; its experiment was requested and its output is not open."""
    fake = ProcessesFake()
    monkeypatch.setattr(session_module, "inspect", lambda *_: [])
    session = session_of(fake, tmp_path)
    session.do(Action.START_STREAM)
    session.state = replace(session.state, phase=Phase.STREAMING, analysing=True)
    session.do(Action.START_EXPERIMENT)
    assert fake.engine == [messages.OpenDevices()]
    assert session.state.experiment_starting
    return session, fake


def test_the_experiment_starts_when_the_outputs_are_open(
    rig: tuple[RigSession, ProcessesFake],
) -> None:
    session, fake = rig
    session._handle(messages.DevicesOpened())
    recording = [messages.StartRecording] * session.settings.experiment.record_exp
    assert [
        type(each) for each in fake.recorder if type(each) in recording
    ] == recording
    session.state = replace(session.state, unrecorded=())
    session._run_when_ready(fake)  # type: ignore[arg-type]
    assert fake.engine[1:] == [messages.RunExperiment(True)]


def _stop_stream(session: RigSession) -> None:
    session.do(Action.STOP_STREAM)


def _stop_experiment(session: RigSession) -> None:
    session.do(Action.STOP_EXPERIMENT)


def _stop_recording(session: RigSession) -> None:
    session.state = replace(session.state, recording=True)
    session.do(Action.STOP_RECORDING)


def _lose_recording(session: RigSession) -> None:
    session._handle(messages.RecorderFailed("the disk is full", whole=True))


def _lose_process(session: RigSession) -> None:
    session._handle(messages.ProcessFailed("the camera process ended"))


@pytest.mark.parametrize(
    "stop",
    [_stop_stream, _stop_experiment, _stop_recording, _lose_recording, _lose_process],
)
def test_no_experiment_starts_after_a_stop(
    rig: tuple[RigSession, ProcessesFake], stop: Callable[[RigSession], None]
) -> None:
    session, fake = rig
    stop(session)
    sent = len(fake.recorder)
    session._handle(messages.DevicesOpened())
    session._run_when_ready(fake)  # type: ignore[arg-type]
    assert messages.RunExperiment(True) not in fake.engine
    assert fake.recorder[sent:] == []


def test_outputs_that_open_before_the_session_reads_are_known(tmp_path: Path) -> None:
    """The engine may be faster than the main process, which a loaded machine holds up."""
    fake = ProcessesFake()
    journal = create_journal()
    try:
        vars(fake).update(journal=journal, cameras={}, take=lambda _: None)
        vars(fake).update(ended_early=list)
        edge = Edge("laser", 0.0, "open", 1, 2)
        JournalWriter(journal).write(edge)
        reader = JournalReader(journal, from_start=True)
        vars(fake).update(journal_reader=reader)
        session = session_of(fake, tmp_path)
        session.do(Action.START_STREAM)
        session.poll()
        assert session.state.edges == {"laser": edge}
    finally:
        journal.close()
        journal.unlink()


def test_an_analysis_without_a_run_folder_refuses_the_experiment_until_it_is_restarted(
    rig: tuple[RigSession, ProcessesFake], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, fake = rig
    session.do(Action.STOP_EXPERIMENT)
    monkeypatch.setattr(session_module, "inspect", preflight.inspect)
    form = {"arena": ImageFormat((480, 640), 30.0)}
    session.state = replace(session.state, formats=form, counts={"arena": Counts()})
    session._handle(messages.RecorderFailed("the folder can't be made"))
    session._inspect_and_record(fake)  # type: ignore[arg-type]
    assert not session.state.experiment_starting
    lost = "poses, triggers and commands are not recorded"
    assert lost in str(session._news[-1])
    session._handle(messages.Analysing(False))
    session.state = replace(session.state, network_ready=True)
    session.do(Action.START_ANALYSIS)
    session._inspect_and_record(fake)  # type: ignore[arg-type]
    assert lost not in str(session._news[-1])


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
        engine.start_experiment()
        assert not loop.experimenting and not engine.experiment_running
    problem, answer = told[-2:]
    assert "start the analysis first" in str(problem)
    assert answer == messages.ExperimentRunning(False)
