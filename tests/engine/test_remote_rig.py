"""Whole rigs of real processes that others start and stop, and that start and stop others."""

import json
import threading
from pathlib import Path

import pytest

from DeepLabStream import main
from deeplabstream.core.journal_entries import Edge, Sensed
from deeplabstream.engine.session import remote_control
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import (
    Action,
    Failed,
    Phase,
    Requested,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.loading import parse
from outputs.remotes import controls
from tests.engine.test_remote_links import EPHYS, GLX, TCP
from tests.engine.test_session import SETTINGS, SIMULATED, Watched, rig
from tests.engine.tolerant import GIVE_UP_S, hold_frames_longer
from tests.firmware.emulation import needs_simavr
from tests.firmware.powered import powered
from tests.free_ports import free_port
from tests.outputs.fake_recorders import open_ephys, spike_glx
from tests.outputs.test_remotes import say

pytestmark = pytest.mark.usefixtures("fork_server")

LINE = """
[Input ttl]
KIND = BoardInput
PORT = {port}
PIN = 2
DEBOUNCE_MS = 1
[Remote line]
KIND = InputStart
INPUT = ttl
"""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no start come too late, and no frame be lost, on a computer that stalls."""
    monkeypatch.setattr(remote_control, "START_WITHIN_S", GIVE_UP_S)
    monkeypatch.setattr(controls, "ANSWER_S", GIVE_UP_S)
    hold_frames_longer(monkeypatch)


def lit(it: Watched) -> bool:
    return it.session.state.levels.get("light") == 1


def rows(folder: Path | None, name: str) -> list[dict[str, str]]:
    assert folder is not None
    return [row for row in RunFolder(folder).events() if row["name"] == name]


def answers(it: Watched) -> list[Requested]:
    """Return what other recorders have answered."""
    return [each for each in it.session.state.requests if each.sender == "this rig"]


@needs_simavr
def test_a_line_at_the_board_starts_and_stops_the_experiment(tmp_path: Path) -> None:
    with powered() as board:
        board.pin("D2", 0)
        with rig(tmp_path, SIMULATED + LINE.format(port=board.port)) as it:
            it.do(Action.START_STREAM, Action.START_ANALYSIS, Action.ARM)
            it.until(lambda it: bool(it.of(Sensed)))  # the level at opening
            assert it.session.state.armed
            board.pin("D2", 1)
            it.until(lit)
            assert it.session.state.started_by == "line"
            board.pin("D2", 0)
            it.until(lambda it: it.session.state.remote_over)
            it.until(lambda it: not lit(it))
            it.stop()
            folder = it.session.state.run_folder
        assert it.of(Failed) == []
    seen = {
        row["level"]: row for row in rows(folder, "ttl") if row["text"] == "count 1"
    }
    started, stopped = rows(folder, "remote")[1:]
    assert "start from [Input ttl] (activation 1): ok" in started["text"]
    assert "stop from [Input ttl] (activation 1): ok" in stopped["text"]
    assert started["time_s"] == seen["1.0"]["time_s"]
    assert stopped["time_s"] == seen["0.0"]["time_s"]


def test_the_program_waits_armed_until_a_line_over_tcp_starts_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port, turn, answers = free_port(), threading.Event(), dict[str, str]()
    settings = tmp_path / "settings.ini"
    settings.write_text(SETTINGS + SIMULATED + TCP.format(port=port), "utf-8")

    def ask(words: str, wanted: str) -> None:
        answer = ""
        while not answer.startswith(wanted) and not turn.wait(0.05):
            try:
                (answer,) = say(port, words)
            except OSError:
                continue  # the stream starts
        answers[words] = answer

    def others() -> None:
        ask("status", "ok armed")
        ask("start trial 4 at 12:30:01.5", "ok")
        ask("status again", "ok experiment recording")
        ask("stop enough", "ok")

    thread = threading.Thread(target=others, daemon=True)
    thread.start()
    try:
        code = main(["--settings", str(settings), "--headless", "--experiment"])
    finally:
        turn.set()
        thread.join(GIVE_UP_S)
    said = capsys.readouterr().out
    assert code == 0, said
    assert answers == {
        "status": "ok armed",
        "start trial 4 at 12:30:01.5": "ok experiment starts",
        "status again": "ok experiment recording",
        "stop enough": "ok experiment stopped",
    }
    assert "armed: waits for the start by [Remote lab]" in said
    (folder,) = (tmp_path / "runs").iterdir()
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    armed, start, stop = facts["remote_requests"]
    assert (armed["command"], armed["sender"]) == ("Arm", "user")
    assert (start["remote"], start["command"]) == ("lab", "start")
    assert start["words"] == "trial 4 at 12:30:01.5"
    assert 0 < start["time_s"] < stop["time_s"]
    assert stop["result"] == "ok experiment stopped"
    assert any("trial 4" in row["text"] for row in rows(folder, "remote"))
    edges = [row for row in RunFolder(folder).events() if row["kind"] == "edge"]
    assert float(edges[-1]["level"]) == 0


def test_open_ephys_and_spikeglx_record_while_the_experiment_runs(
    tmp_path: Path,
) -> None:
    with open_ephys() as gui, spike_glx() as glx:
        others = EPHYS.format(port=gui.port, limit=30) + GLX.format(port=glx.port)
        with RigSession(parse(SETTINGS + SIMULATED + others, tmp_path)) as session:
            it = Watched(session)
            it.do(Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT)
            it.until(lit)
            assert (gui.mode, glx.saving) == ("RECORD", True)
            it.do(Action.STOP_EXPERIMENT)
            it.until(lambda it: len(answers(it)) == 4)
            assert (gui.mode, glx.saving) == ("ACQUIRE", False)
            it.do(Action.START_RECORDING)
            it.until(lambda it: len(answers(it)) == 6)
            it.stop()
            folder = it.session.state.run_folder
        assert (gui.mode, glx.saving) == ("ACQUIRE", False)
        assert it.of(Failed) == []
    assert folder is not None
    assert gui.recording["base_text"] == glx.run_name == folder.name
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    requests = facts["remote_requests"]
    asked = [(r["remote"], r["command"]) for r in requests if r["sender"] == "this rig"]
    assert sorted(asked[:2]) == sorted(asked[4:6])
    assert len(asked) == 8
    checked = [row["text"] for row in rows(folder, "preflight")]
    assert any(text.startswith("[Remote ephys] Open Ephys answers") for text in checked)
    begun = [
        r["time_s"] for r in rows(folder, "remote") if "Open Ephys records" in r["text"]
    ]
    on = next(
        edge for edge in it.of(Edge) if isinstance(edge, Edge) and edge.level == 1
    )
    start_ns = RunFolder(folder).facts["start_ns"]
    assert float(begun[0]) <= (on.written_ns - start_ns) / 1e9


def test_a_recorder_that_hangs_does_not_keep_an_output_on(tmp_path: Path) -> None:
    """It answers only after the test has seen the output off."""
    with open_ephys() as gui:
        others = EPHYS.format(port=gui.port, limit=30)
        with RigSession(parse(SETTINGS + SIMULATED + others, tmp_path)) as session:
            it = Watched(session)
            it.do(Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT)
            it.until(lit)
            gui.answers.clear()
            session.do(Action.STOP_STREAM)
            it.until(lambda it: not lit(it))
            assert gui.mode == "RECORD"
            assert session.state.phase is Phase.STOPPING
            gui.answers.set()
            it.until(lambda it: it.session.state.phase is Phase.IDLE)
            folder = session.state.run_folder
        assert gui.mode == "ACQUIRE"
    assert any("stopped recording" in row["text"] for row in rows(folder, "remote"))
