"""A recording rig whose processes are killed at any moment: what is left, repaired."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, sleep

import av
import pytest

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.journal_entries import Edge
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Failed, Phase
from deeplabstream.recording import disk_reserve, run_opening
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_repair import repair
from deeplabstream.recording.table_reader import read_events
from deeplabstream.settings.loading import parse
from tests.engine.tolerant import GIVE_UP_S, TOLERANT
from tests.recording.written_rows import rows
from utils.RepairRun import main

SETTINGS = """
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = stand-in:0
[Experiment]
EXP_NAME = Alternating
TOLERANT
[Recording]
CODEC = {codec}
SPLIT_MINUTES = 0.01
[Camera top]
KIND = SimulatedCamera
WIDTH = 160
HEIGHT = 120
RATE = 50
SHELTER = no
[Camera side]
KIND = SimulatedCamera
WIDTH = 128
HEIGHT = 96
RATE = 30
GREY = yes
ANALYSE = no
[Trigger anywhere]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 160 120
[Experiment Alternating]
TRIGGER = anywhere
OUTPUT = light
FRAMES = 1
[Output light]
KIND = SimulatedOutput
""".replace("TOLERANT\n", TOLERANT)
MOST_MISSING = int(os.environ.get("KILL_MOST_MISSING", "175"))
"""Frames that have a row and are not in a video: 3.5 s of the faster camera.

25 where nothing stalls the disk or the processor: benchmarks/faults.py measures that."""
PATIENCE_S = float(os.environ.get("KILL_PATIENCE_S", "30"))
"""Between the kill and the last frame: a busy machine lags behind its cameras."""
ROUNDS = int(os.environ.get("KILL_ROUNDS", "1"))
LOAD = int(os.environ.get("KILL_LOAD", "0"))
"""Processes that compute beside the rig all the time."""

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="no SIGKILL"),
    pytest.mark.usefixtures("fork_server"),
]


@pytest.fixture(scope="module", autouse=True)
def load() -> Iterator[None]:
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=compute) for _ in range(LOAD)]
    for other in others:
        other.start()
    yield
    for other in others:
        other.kill()
        other.join()


def compute() -> None:
    while True:
        sum(range(100_000))


def run_a_rig(root: Path, codec: str, said: Connection) -> None:
    """Record until killed, or until a process was; tell the edges as they happen."""
    wanted = [Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT]
    with RigSession(parse(SETTINGS.format(codec=codec), root)) as session:
        started = False
        while not (started and session.state.phase is Phase.IDLE):
            if wanted and wanted[0] in session.state.allowed:
                session.do(wanted.pop(0))
            session.rest(0.01)
            for news in session.poll():
                if isinstance(news, Edge):
                    said.send(news)
                if isinstance(news, Failed) and not started and not wanted:
                    wanted = [Action.START_EXPERIMENT]  # refused on a busy computer
            if not started and recorded(session) > 0:
                started = True
                pids = {p.name: p.pid for p in session.processes()}
                said.send((session.state.run_folder, {**pids, "session": os.getpid()}))
    said.send(None)


def recorded(session: RigSession) -> int:
    """Return how many frames each camera has in its video, at least."""
    counts = session.state.counts
    found = [counts[name].recorded for name in ("top", "side") if name in counts]
    return min(found) if len(found) == 2 else 0


def killed_run(
    root: Path, codec: str, victims: tuple[str, ...], after_s: float
) -> tuple[Path, int, list[Edge]]:
    """Return the run folder, when the processes were killed, and all edges told."""
    spawn = multiprocessing.get_context("spawn")
    ears, mouth = spawn.Pipe(duplex=False)
    process = spawn.Process(target=run_a_rig, args=(root, codec, mouth))
    process.start()
    mouth.close()
    edges: list[Edge] = []
    while isinstance(told := ears.recv(), Edge):
        edges.append(told)
    folder, pids = told
    sleep(after_s)
    killed_ns = SystemClock().now_ns()
    for name, pid in pids.items() if not victims else [(n, pids[n]) for n in victims]:
        assert pid, name
        # of all processes, the last ones may have ended with the first
        with nullcontext() if victims else suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    try:
        while (told := ears.recv()) is not None:
            edges.append(told)
    except EOFError:
        pass
    process.join()
    process.close()
    ears.close()
    return folder, killed_ns, edges


def check_videos(folder: Path, killed_ns: int) -> None:
    """Every video plays to its end, is closed, and has a row for each picture."""
    for camera in ("top", "side"):
        seen, ended = 0, 0
        for table in folder.glob(f"{camera}*.frames.csv"):
            listed = list(rows(table))[1:]
            if not listed:
                continue
            path = table.with_name(table.name.replace(".frames.csv", ".mkv"))
            with av.open(str(path)) as video:
                shown = sum(1 for _ in video.decode(video=0))
                assert video.duration is not None
            assert shown == len(listed)
            ended = max(ended, int(listed[-1][2]))
            seen += shown
        assert seen > 0
        assert killed_ns - ended < PATIENCE_S * 1e9, (camera, killed_ns - ended)


def written(folder: Path) -> list[int]:
    events = read_events(folder / "events.csv")
    return [int(e["written_ns"]) for e in events if e["kind"] == "edge"]


CASES = [
    pytest.param((), "h264", id="everything"),
    pytest.param(("recorder",), "ffv1", id="the recorder"),
]


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize(("victims", "codec"), CASES)
def test_a_killed_run_is_made_whole(
    tmp_path: Path,
    victims: tuple[str, ...],
    codec: str,
    number: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    after_s = random.Random(f"{victims} {codec} {number}").uniform(0, 1.2)
    folder, killed_ns, edges = killed_run(tmp_path, codec, victims, after_s)
    # its content is nothing: it only keeps space free
    files = [f for f in folder.rglob("*") if f.name != disk_reserve.NAME]
    before = {f: f.read_bytes() for f in files if f.is_file()}
    report = repair(folder)
    assert report.done
    check_videos(folder, killed_ns)
    assert report.missing < MOST_MISSING

    known = [edge.written_ns for edge in edges]
    kept = written(folder)
    if victims:  # the session lives: it completes the events
        assert set(known) <= set(kept)
    else:
        assert kept[: len(known)] == known[: len(kept)]
        assert killed_ns - kept[-1] < PATIENCE_S * 1e9
    facts = RunFolder(folder).facts
    assert facts["how"] == "killed"
    assert facts["started"] <= facts["ended"]
    assert all(each["closes"] for each in facts["accounting"])
    spans = {(each["camera"], each["span"]) for each in facts["accounting"]}
    assert spans >= {("top", "analysis"), ("top", "recording"), ("side", "recording")}

    for file, data in before.items():  # nothing is deleted
        kept_as = [f for f in file.parent.iterdir() if f.name.startswith(file.name)]
        if file.name != "run.json":
            assert data in [f.read_bytes() for f in kept_as], file.name
    capsys.readouterr()
    assert main([str(folder)]) == 0
    assert "whole, nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("seed", range(5))
def test_any_cut_through_the_files_can_be_repaired(
    tmp_path: Path, seed: int, a_finished_run: Path
) -> None:
    """As when the power goes: each file ends anywhere, run.json was never completed."""
    chance = random.Random(seed)
    folder = tmp_path / "run"
    shutil.copytree(a_finished_run, folder)
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    facts.update(ended=None, how=None, accounting=[])
    (folder / "run.json").write_text(json.dumps(facts), "utf-8")
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".csv", ".mkv"):
            size = file.stat().st_size
            os.truncate(file, size - chance.randrange(min(size // 2, 3000)))
    before = {name: written_bytes(folder, name) for name in ("events.csv", "top.csv")}
    repair(folder)
    for name, data in before.items():
        whole = data[: data.rfind(b"\n") + 1]
        assert written_bytes(folder, name) == whole
    for table in folder.glob("*.frames.csv"):
        listed = list(rows(table))
        path = table.with_name(table.name.replace(".frames.csv", ".mkv"))
        with av.open(str(path)) as video:
            assert sum(1 for _ in video.decode(video=0)) >= len(listed) - 1 > 0
    assert repair(folder).done == []


def written_bytes(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


@pytest.fixture(scope="module")
def a_finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rig")
    text = SETTINGS.format(codec="h264").replace("0.01", "0")
    with RigSession(parse(text, root)) as session:
        give_up = perf_counter() + GIVE_UP_S
        wanted = [Action.START_STREAM, Action.START_ANALYSIS, Action.START_EXPERIMENT]
        while recorded(session) < 40:
            assert perf_counter() < give_up
            if wanted and wanted[0] in session.state.allowed:
                session.do(wanted.pop(0))
            session.rest(0.02)
            refused = any(isinstance(news, Failed) for news in session.poll())
            if refused and not wanted:  # on a busy computer
                wanted = [Action.START_EXPERIMENT]
    assert session.state.run_folder is not None
    assert repair(session.state.run_folder).done == []
    return session.state.run_folder


def test_a_run_that_goes_on_is_let_alone(
    tmp_path: Path,
    a_finished_run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(a_finished_run, folder)
    RunFolder(folder).update(ended=None)
    over = threading.Event()

    def write() -> None:
        with (folder / "events.csv").open("ab", buffering=0) as file:
            while not over.wait(0.05):
                file.write(b"1,")

    writer = threading.Thread(target=write)
    writer.start()
    with monkeypatch.context() as patch:  # the writer may be late
        patch.setattr(run_opening, "OBSERVED_S", 300.0)
        patch.setattr(run_opening, "OBSERVATIONS", 3000)
        assert main([str(folder)]) == 1
    over.set()
    writer.join()
    assert "is still being written; end that run first" in capsys.readouterr().out
    assert main([str(folder)]) == 0


def test_what_is_no_run_folder_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 1
    assert "is not a run folder" in capsys.readouterr().out
