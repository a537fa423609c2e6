"""A whole rig of real processes, from Start Stream to Stop, and with the plug pulled."""

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import av
import pytest

from deeplabstream.analysis.analyse import analyse
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.core.journal_entries import Edge, Note, Step
from deeplabstream.engine.replay.rerun import rerun_decisions
from deeplabstream.engine.session.messages import GuardRemark, WriteNote
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import (
    Action,
    Failed,
    News,
    Phase,
    SessionState,
    StateChanged,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.loading import Settings, parse
from tests.engine.fake_processes import FakeProcesses, session_of
from tests.engine.patient_guards import use_noticing_guards
from tests.engine.small_rig import RIG
from tests.engine.tolerant import GIVE_UP_S, TOLERANT, Failures, hold_frames_longer

pytestmark = pytest.mark.usefixtures("fork_server")

SETTINGS = f"""
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = stand-in:0
[Experiment]
EXP_NAME = Conditional
{TOLERANT}[Camera top]
KIND = SimulatedCamera
WIDTH = 160
HEIGHT = 120
RATE = 50
SHELTER = no
[Camera side]
KIND = SimulatedCamera
WIDTH = 120
HEIGHT = 90
RATE = 50
ANALYSE = no
[Trigger anywhere]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 160 120
[Experiment Conditional]
TRIGGER = anywhere
OUTPUT = light
MAX_ON_S = 60
"""
SIMULATED = "[Output light]\nKIND = SimulatedOutput\n"
SERIAL = "[Output light]\nKIND = SerialLine\nPORT = {port}\n"


@pytest.fixture(autouse=True)
def tolerant(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_frames_longer(monkeypatch)


@dataclass
class Watched:
    """A session, and all that it told."""

    session: RigSession
    told: list[News] = field(default_factory=list)

    def until(
        self, what: Callable[["Watched"], bool], limit_s: float = GIVE_UP_S
    ) -> None:
        """Poll until `what` is true of this."""
        give_up = perf_counter() + limit_s
        while not what(self):
            told = [news for news in self.told if not isinstance(news, Step)]
            assert perf_counter() < give_up, f"never came: {told} {self.told[-1:]}"
            self.session.rest(0.02)
            self.told += self.session.poll()

    def do(self, *actions: Action) -> None:
        for action in actions:
            self.until(lambda it, action=action: action in it.session.state.allowed)  # type: ignore[misc]
            self.session.do(action)

    def of(self, kind: type) -> list[News]:
        return [news for news in self.told if isinstance(news, kind)]

    @property
    def failures(self) -> Failures:
        """What failed, but for what a busy computer loses."""
        failures = Failures()
        for news in self.told:
            if isinstance(news, Failed):
                failures.take(news.text)
        return failures

    def stop(self) -> None:
        self.session.do(Action.STOP_STREAM)
        self.until(lambda it: it.session.state.phase is Phase.IDLE)


@contextlib.contextmanager
def rig(folder: Path, output: str = SIMULATED) -> Iterator[Watched]:
    with RigSession(parse(SETTINGS + output, folder)) as session:
        yield Watched(session)


def experiment(it: Watched) -> None:
    """Start everything and wait until the light was switched on."""
    it.do(Action.START_STREAM, Action.START_ANALYSIS)
    begin_experiment(it)


def begin_experiment(it: Watched) -> None:
    """Have the light switched on; a busy computer that refuses is asked again."""
    give_up = perf_counter() + GIVE_UP_S
    while True:
        before = len(it.told)
        it.do(Action.START_EXPERIMENT)
        it.session.rest(0.02)
        it.told += it.session.poll()  # what was refused at once, too
        it.until(lambda it: _lit(it, before) or not _experiments(it))  # noqa: B023
        if _lit(it, before):
            return
        assert perf_counter() < give_up, it.failures
        it.told = [news for news in it.told if not isinstance(news, Failed)]
        it.session.acknowledge()


def _lit(it: Watched, before: int) -> bool:
    """Return whether the light was switched on; it may be off again on a busy computer."""
    edges = [news for news in it.told[before:] if isinstance(news, Edge)]
    return any(edge.output == "light" and edge.level == 1 for edge in edges)


def _experiments(it: Watched) -> bool:
    state = it.session.state
    return state.experimenting or state.experiment_starting


def pictures(path: Path) -> int:
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


def test_a_guard_without_the_priority_that_was_asked_for_is_in_the_events(
    tmp_path: Path,
) -> None:
    fake = FakeProcesses()
    session = session_of(fake, tmp_path, RIG)
    session.do(Action.START_STREAM)
    fake.report(GuardRemark("guard: real-time priority: no"))
    (note,) = [news for news in session.poll() if isinstance(news, Note)]
    assert (note.kind, note.text) == ("scheduling", "guard: real-time priority: no")
    assert fake.recorder == [WriteNote(note)]


def test_a_run_leaves_everything_behind_and_closes_its_accounts(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        experiment(it)
        seen = len(it.of(Step))
        it.until(lambda it: len(it.of(Step)) > seen + 50)
        it.until(lambda it: it.session.state.counts["top"].recorded > 0)
        it.until(lambda it: it.session.state.counts["side"].recorded > 0)
        it.stop()
        folder = it.session.state.run_folder
        assert it.of(Failed) == []
    assert folder is not None
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    assert facts["how"] == "stopped"
    spans = {(each["camera"], each["span"]): each for each in facts["accounting"]}
    assert set(spans) == {
        ("top", "analysis"),
        ("top", "recording"),
        ("side", "recording"),
    }
    assert all(each["closes"] for each in spans.values())
    rows = (folder / "top.csv").read_text("utf-8").splitlines()
    assert len(rows) - 1 == spans["top", "analysis"]["delivered"]
    for camera in ("top", "side"):
        sidecar = (folder / f"{camera}.frames.csv").read_text("utf-8").splitlines()
        recorded = spans[camera, "recording"]["recorded"]
        assert len(sidecar) - 1 == recorded == pictures(folder / f"{camera}.mkv") > 0
    steps = [step for step in it.of(Step) if isinstance(step, Step)]
    assert [step.index for step in steps] == sorted({step.index for step in steps})
    edges = [edge for edge in it.of(Edge) if isinstance(edge, Edge)]
    assert edges[-1].level == 0
    run = RunFolder(folder)
    pairs = list(rerun_decisions(parse(run.settings_text, folder), run))
    assert len(pairs) == spans["top", "analysis"]["analysed"]
    assert sum(len(then.commands) for then, _ in pairs) > 0
    assert [then.commands for then, _ in pairs] == [now.commands for _, now in pairs]


def test_an_animal_that_is_named_while_frames_are_analysed_is_in_the_run(
    tmp_path: Path,
) -> None:
    def named(animal: str) -> Settings:
        return parse(f"{SETTINGS}{SIMULATED}[Session]\nANIMAL = {animal}\n", tmp_path)

    with rig(tmp_path) as it:
        it.do(Action.START_STREAM, Action.START_ANALYSIS)
        it.until(lambda it: it.session.state.run_folder is not None)
        assert it.session.take_subject(named("m7"))
        begin_experiment(it)
        assert not it.session.take_subject(named("m8")), "the experiment has its animal"
        it.stop()
        folder = it.session.state.run_folder
    assert folder is not None
    run = RunFolder(folder)
    assert run.facts["session"]["animal"] == "m7"
    assert parse(run.settings_text, folder).subject.animal == "m7"
    events = (folder / "events.csv").read_text("utf-8")
    assert events.count("ANIMAL = m7 (was empty)") == 1


def test_an_analysis_that_is_started_again_is_replayed(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        it.do(Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT)
        it.until(lambda it: it.session.state.levels.get("light") == 1)
        it.do(Action.STOP_EXPERIMENT)
        it.until(lambda it: not it.session.state.experimenting)
        it.do(Action.STOP_ANALYSIS)
        it.until(lambda it: not it.session.state.analysing)
        seen = len(it.of(Step))
        it.do(Action.START_ANALYSIS)
        it.until(lambda it: len(it.of(Step)) > seen + 20)
        it.do(Action.START_EXPERIMENT)
        it.until(lambda it: it.session.state.levels.get("light") == 1)
        it.stop()
        folder = it.session.state.run_folder
    assert folder is not None
    run = RunFolder(folder)
    notes = [(row["name"], row["text"]) for row in run.events()]
    assert notes.count(("analysis", "started")) == 2
    assert notes.count(("experiment", "started")) == 2
    pairs = list(rerun_decisions(parse(run.settings_text, folder), run))
    assert sum(len(then.commands) for then, _ in pairs) > 1
    assert [then.commands for then, _ in pairs] == [now.commands for _, now in pairs]
    assert [then.triggers for then, _ in pairs] == [now.triggers for _, now in pairs]


ONE_SECOND = """[Trigger one second inside]
KIND = Measure
MEASURE = region_time
REGION_OF = anywhere
VALUE = 1
"""


def test_an_experiment_ends_itself_after_its_time_in_a_region(tmp_path: Path) -> None:
    text = SETTINGS.replace(
        "[Experiment]\n", "[Experiment]\nSTOP_TRIGGER = one second inside\n"
    )
    with RigSession(parse(text + ONE_SECOND + SIMULATED, tmp_path)) as session:
        it = Watched(session)
        experiment(it)
        it.until(lambda it: it.session.state.experiment_over)
        it.until(lambda it: it.session.state.levels.get("light") == 0)
        measured = it.session.state.measured
        it.stop()
        folder = it.session.state.run_folder
        assert it.of(Failed) == []
    assert folder is not None
    assert measured is not None
    run = RunFolder(folder)
    texts = [row["text"] for row in run.events() if row["name"] == "experiment"]
    ended = "finished: [Trigger one second inside] is true (STOP_TRIGGER)"
    assert texts == ["started", ended]
    (recorded,) = run.facts["measures"]
    values = {(v["measure"], v["of"]): v["value"] for v in recorded["values"]}
    assert values["region_time", "anywhere"] >= 1
    steps = [s for s in it.of(Step) if isinstance(s, Step) and s.status]
    last_s = (steps[-1].exposed_ns - steps[-2].exposed_ns) / 1e9
    assert values["region_time", "anywhere"] - last_s < 1 + 1e-9  # sums are rounded
    assert (
        "animal1",
        "region_time",
        "anywhere",
        values["region_time", "anywhere"],
    ) in (measured.values)
    whole = analyse(folder)
    from_s = recorded["start_s"] - whole.data.period[0]
    options = AnalysisOptions(start_s=from_s, end_s=from_s + values["duration", ""])
    results = analyse(folder, options)
    for name in ("distance", "tracked", "region_time", "region_entries"):
        of = "anywhere" if name.startswith("region") else ""
        assert values[name, of] == pytest.approx(results.value(name, of), abs=1e-3)
    pairs = list(rerun_decisions(parse(run.settings_text, folder), run))
    assert [then.commands for then, _ in pairs] == [now.commands for _, now in pairs]
    assert [then.triggers for then, _ in pairs] == [now.triggers for _, now in pairs]


def test_recording_is_said_when_every_video_has_a_frame(tmp_path: Path) -> None:
    states: list[SessionState] = []
    with rig(tmp_path) as it:
        it.do(Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT)
        it.until(lambda it: it.session.state.experimenting)
        states = [s.state for s in it.of(StateChanged) if isinstance(s, StateChanged)]
        assert it.of(Failed) == []
        it.stop()
    assert states[-1].recording
    assert any(state.recording_starting for state in states)
    for state in states:
        assert not state.experimenting or state.recording
        if state.recording:
            assert {name for name, n in state.counts.items() if n.recorded} == {
                "top",
                "side",
            }


def test_an_output_is_tested_by_the_rig_that_has_it_open(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        it.do(Action.START_STREAM)
        it.until(lambda it: Action.START_ANALYSIS in it.session.state.allowed)
        it.session.test("light")
        it.until(lambda it: len(it.of(Edge)) >= 3)
        edges = [edge for edge in it.of(Edge) if isinstance(edge, Edge)]
        assert [edge.level for edge in edges] == [0, 1, 0]
        assert edges[1].cause == "test"
        assert edges[2].written_ns - edges[1].written_ns >= 0.19e9
        it.do(Action.START_ANALYSIS, Action.START_EXPERIMENT)
        it.until(lambda it: it.session.state.levels.get("light") == 1)
        it.session.test("light")
        it.stop()
        causes = [e.cause for e in it.of(Edge) if isinstance(e, Edge)]
        assert causes.count("test") == 1, "the experiment has it for itself"
        assert it.of(Failed) == []


def test_stopping_the_stream_resets_it_and_it_can_start_again(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        for _ in range(2):
            it.do(Action.START_STREAM)
            it.until(lambda it: it.session.state.phase is Phase.STREAMING)
            it.until(lambda it: it.session.state.counts["top"].delivered > 5)
            it.stop()
            assert it.session.state.counts == {}
        assert it.of(Failed) == []
        assert not (tmp_path / "runs").exists()  # nothing was asked to be written


def test_analysis_alone_writes_poses_and_recording_alone_writes_video(
    tmp_path: Path,
) -> None:
    with rig(tmp_path) as it:
        it.do(Action.START_STREAM, Action.START_ANALYSIS)
        it.until(lambda it: len(it.of(Step)) > 20)
        it.do(Action.STOP_ANALYSIS, Action.START_RECORDING)
        it.until(lambda it: it.session.state.counts["top"].recorded > 0)
        it.do(Action.STOP_RECORDING)
        it.stop()
        folder = it.session.state.run_folder
    assert folder is not None
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    assert all(each["closes"] for each in facts["accounting"])
    spans = {(each["camera"], each["span"]) for each in facts["accounting"]}
    assert spans == {("top", "analysis"), ("top", "recording"), ("side", "recording")}
    assert pictures(folder / "top.mkv") > 0


@pytest.mark.parametrize("name", ["camera top", "engine", "recorder", "guard"])
def test_a_killed_process_ends_everything(tmp_path: Path, name: str) -> None:
    with rig(tmp_path) as it:
        experiment(it)
        process = next(p for p in it.session.processes() if p.name == name)
        process.kill()
        it.until(lambda it: it.session.state.phase is Phase.IDLE)
        told = " ".join(news.text for news in it.told if isinstance(news, Failed))
        assert name in told
        assert it.session.state.levels == {"light": 0.0}


@pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="Windows has no pseudo-terminals"
)
@pytest.mark.parametrize("number", ["SIGKILL", "SIGSTOP"])
def test_the_laser_is_off_when_the_engine_dies_or_hangs(
    tmp_path: Path, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_noticing_guards(monkeypatch)
    board, port = os.openpty()
    try:
        os.set_blocking(board, False)
        with rig(tmp_path, SERIAL.format(port=os.ttyname(port))) as it:
            experiment(it)
            engine = next(p for p in it.session.processes() if p.name == "engine")
            assert engine.pid is not None
            os.kill(engine.pid, getattr(signal, number))
            it.until(lambda it: it.session.state.phase is Phase.IDLE)
            said = os.read(board, 10_000)
            assert b"H" in said
            assert said.endswith(b"L")
    finally:
        os.close(board)
        os.close(port)


@pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="Windows has no pseudo-terminals"
)
def test_the_laser_is_off_when_all_processes_are_asked_to_end(tmp_path: Path) -> None:
    """As when the computer is shut down."""
    board, port = os.openpty()
    try:
        os.set_blocking(board, False)
        with rig(tmp_path, SERIAL.format(port=os.ttyname(port))) as it:
            experiment(it)
            for process in it.session.processes():
                process.terminate()
            it.until(lambda it: it.session.state.phase is Phase.IDLE)
            said = os.read(board, 10_000)
            assert b"H" in said
            assert said.endswith(b"L")
    finally:
        os.close(board)
        os.close(port)


@pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="Windows has no pseudo-terminals"
)
def test_the_experiment_is_refused_until_its_output_can_be_opened(
    tmp_path: Path,
) -> None:
    port = tmp_path / "port"
    board, device = os.openpty()
    try:
        with rig(tmp_path, SERIAL.format(port=port)) as it:
            it.do(Action.START_STREAM, Action.START_ANALYSIS)
            it.until(lambda it: len(it.of(Step)) > 5)
            assert list(it.session.state.failed_outputs) == ["light"]
            it.do(Action.START_EXPERIMENT)
            it.until(lambda it: len(it.of(Failed)) > 1)
            told, refused = (news.text for news in it.told if isinstance(news, Failed))
            assert told.startswith("[Output light]")
            assert refused.startswith(f"Cannot start the experiment: {told}. Connect")
            state = it.session.state
            assert not state.experimenting
            assert not state.experiment_starting
            assert not state.recording_starting
            port.symlink_to(os.ttyname(device))  # the cable is plugged in
            it.do(Action.START_EXPERIMENT)
            it.until(lambda it: it.session.state.levels.get("light") == 1)
            assert not it.session.state.failed_outputs
            it.stop()
    finally:
        os.close(board)
        os.close(device)


def test_a_network_that_is_not_there_is_told_with_its_name(tmp_path: Path) -> None:
    text = SETTINGS.replace("stand-in:0", "no-such-network") + SIMULATED
    with RigSession(parse(text, tmp_path)) as session:
        it = Watched(session)
        it.do(Action.START_STREAM)
        it.until(lambda it: it.session.state.phase is Phase.IDLE)
        assert "no-such-network" in str(it.of(Failed))


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no files of shared memory")
def test_vanished_shared_memory_does_not_keep_the_stream_from_ending(
    tmp_path: Path,
) -> None:
    with rig(tmp_path) as it:
        it.do(Action.START_STREAM, Action.START_ANALYSIS)
        processes = it.session._processes
        assert processes is not None
        for ring in processes.rings.values():
            (Path("/dev/shm") / ring.spec.memory).unlink()
        it.stop()
        assert it.session.state.allowed == {Action.START_STREAM}
