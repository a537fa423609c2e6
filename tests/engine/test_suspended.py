"""A rig of which one process is suspended: the record stays whole, the outputs go off."""

import multiprocessing
import os
import select
import signal
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import pytest

from deeplabstream.engine.session import process_manager
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Failed, Phase
from deeplabstream.ipc.journal import Journal, create_journal
from deeplabstream.ipc.pipe import opened_pipe
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.loading import parse
from tests.engine.stream import listed
from tests.engine.test_killed import SETTINGS
from tests.engine.tolerant import hold_frames_longer

GIVE_UP_S = 300.0
"""A rig starts in two minutes on a machine that computes ten other things."""
WANTED = [
    Action.START_STREAM,
    Action.START_RECORDING,
    Action.START_ANALYSIS,
    Action.START_EXPERIMENT,
]

if os.name != "nt":
    import tty

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="no SIGSTOP"),
    pytest.mark.usefixtures("fork_server"),
]


def until(condition: Callable[[], bool]) -> bool:
    """Look again and again until it holds; False when that takes too long."""
    give_up = perf_counter() + GIVE_UP_S
    while not condition():
        if perf_counter() > give_up:
            return False
        sleep(0.01)
    return True


def rig(root: Path, output: str = "KIND = SimulatedOutput") -> RigSession:
    text = SETTINGS.format(codec="h264").replace("0.01", "0")
    return RigSession(parse(text.replace("KIND = SimulatedOutput", output), root))


def started(session: RigSession) -> dict[str, int]:
    """Start everything; return the processes by name."""
    wanted = list(WANTED)

    def films() -> bool:
        if wanted and wanted[0] in session.state.allowed:
            session.do(wanted.pop(0))
        session.poll()
        counts = session.state.counts.get("top")
        return session.state.experimenting and bool(counts and counts.recorded)

    assert until(films)
    return {process.name: process.pid or 0 for process in session.processes()}


def small_journal() -> Journal:
    """A journal that is full after 5 s, longer than a busy computer stalls."""
    return create_journal(800)


def small_pipe(duplex: bool = True) -> tuple[Connection, Connection]:
    """A pipe that is full after some messages."""
    ours, theirs = opened_pipe(duplex)
    if duplex:
        for end in (ours, theirs):
            with socket.socket(fileno=os.dup(end.fileno())) as each:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
    return ours, theirs


def run_until_told(root: Path, told: Any) -> None:
    """Run a rig with small pipes and a small journal until told to stop."""
    process_manager.create_journal = small_journal  # type: ignore[assignment]
    process_manager.opened_pipe = small_pipe
    hold_frames_longer(pytest.MonkeyPatch())
    with rig(root) as session:
        started(session)
        told.send(session.state.run_folder)
        while not told.poll():
            session.rest(0.01)
            session.poll()
        session.do(Action.STOP_STREAM)
        assert until(lambda: not session.poll() and session.state.phase is Phase.IDLE)


def test_a_frozen_main_process_ends_and_thins_nothing(tmp_path: Path) -> None:
    """As when its terminal is paused with Ctrl-S, or its window hangs."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=run_until_told, args=(tmp_path, theirs))
    process.start()
    theirs.close()
    folder = RunFolder(ours.recv())
    table = folder.table_path("top")

    def frames() -> int:
        return table.read_bytes().count(b"\n") - 1

    before = frames()
    os.kill(process.pid or 0, signal.SIGSTOP)
    went_on = until(lambda: frames() > before + 400)
    os.kill(process.pid or 0, signal.SIGCONT)
    ours.send("stop")
    process.join()
    process.close()
    ours.close()
    assert went_on, f"{frames() - before} frames were recorded, then no more"
    facts = folder.facts
    assert facts["entries_missed"] == 0
    assert facts["how"] == "stopped"
    assert len(facts["accounting"]) == 3
    assert all(each["closes"] for each in facts["accounting"])
    (analysis,) = (a for a in facts["accounting"] if a["span"] == "analysis")
    assert analysis["delivered"] == len(listed(folder))
    assert analysis["unlisted"] == 0


def test_accounts_close_after_the_recorder_was_suspended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For longer than the ring holds frames."""
    monkeypatch.setattr(process_manager, "RING_S", 0.3)
    with rig(tmp_path) as session:
        recorder = started(session)["recorder"]

        def analysed() -> int:
            session.poll()
            return session.state.counts["top"].analysed

        for _ in range(2):
            before = analysed()
            os.kill(recorder, signal.SIGSTOP)
            assert until(lambda before=before: analysed() > before + 100)  # type: ignore[misc]
            os.kill(recorder, signal.SIGCONT)
            before = analysed()
            assert until(lambda before=before: analysed() > before + 20)  # type: ignore[misc]
        session.close()
    assert session.state.run_folder is not None
    folder = RunFolder(session.state.run_folder)
    analysis, *recordings = sorted(
        folder.facts["accounting"], key=lambda each: str(each["span"])
    )
    assert all(each["closes"] for each in (analysis, *recordings))
    rows = listed(folder)
    first, last = (next(i for i, a in order if a) for order in (rows, rows[::-1]))
    assert analysis["analysed"] == sum(a for _, a in rows)
    assert analysis["exposed"] == last - first + 1


def test_an_overflow_of_the_journal_ends_the_experiment_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device, the levels that a window shows, and events.csv say the same: off."""
    monkeypatch.setattr(process_manager, "create_journal", small_journal)
    board, line = os.openpty()
    tty.setraw(line)
    port = f"KIND = SerialLine\nPORT = {os.ttyname(line)}"
    said: list[str] = []
    with rig(tmp_path, port) as session:
        recorder = started(session)["recorder"]

        def ended() -> bool:
            said.extend(n.text for n in session.poll() if isinstance(n, Failed))
            return not session.state.experimenting

        os.kill(recorder, signal.SIGSTOP)
        assert until(ended)
        assert session.state.levels == {"light": 0.0}
        assert received(board)[-1:] == b"L"
        assert session.state.analysing  # the stream goes on
        os.kill(recorder, signal.SIGCONT)
        session.close()
    assert set(received(board)) <= set(b"L")
    for end in (board, line):
        os.close(end)
    assert "The recorder does not keep up, entries of the record are lost" in said[0]
    assert session.state.run_folder is not None
    folder = RunFolder(session.state.run_folder)
    assert folder.facts["entries_missed"] > 0
    assert all(each["closes"] for each in folder.facts["accounting"])
    events = folder.events()
    assert any("entries of the record were lost" in e["text"] for e in events)
    edges = [
        (each["level"], each["cause"]) for each in events if each["kind"] == "edge"
    ]
    ending = edges.index(("0.0", "error"))
    assert {level for level, _ in edges[ending:]} == {"0.0"}
    (end,) = (e for e in events if e["name"] == "experiment" and "failed" in e["text"])
    assert "the recorder does not keep up" in end["text"]


def received(board: int) -> bytes:
    """Return what the device at the other end of a line has received, without waiting."""
    data = b""
    while select.select([board], [], [], 0)[0]:
        data += os.read(board, 4096)
    return data
