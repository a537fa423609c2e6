import contextlib
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from multiprocessing.connection import Connection

import pytest

from deeplabstream.core.command import OutputName
from deeplabstream.core.journal_entries import Edge
from deeplabstream.engine.processes import guard
from deeplabstream.engine.processes.guard import (
    GuardLinks,
    Heartbeat,
    guard_main,
    killer,
    watch,
)
from deeplabstream.engine.processes.real_time import GUARD
from deeplabstream.engine.session.messages import ProblemReport
from deeplabstream.ipc.pipe import has_message
from outputs.screen.output import Screen
from outputs.serial_line import SerialLine
from outputs.simulated_output import SimulatedOutput
from tests.engine.patient_guards import patient_guard
from tests.engine.pretended import Rig, tireless_guard
from tests.outputs.stand_ins import STAND_INS

LASER = OutputName("laser")
posix = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pseudo-terminals"
)


@pytest.fixture
def board() -> Iterator[tuple[int, SerialLine]]:
    """The file descriptor of a board's side, and the line to it."""
    import tty

    ours, theirs = os.openpty()
    tty.setraw(theirs)
    yield ours, SerialLine(port=os.ttyname(theirs))
    os.close(theirs)
    with contextlib.suppress(OSError):
        os.close(ours)


def heard(board: int, length: int = 1) -> bytes:
    """Wait for what the board hears next."""
    said = b""
    while len(said) < length:
        assert select.select([board], [], [], 60)[0], f"the board heard {said!r} only"
        said += os.read(board, 100)
    return said


@pytest.fixture
def rig(board: tuple[int, SerialLine]) -> Iterator[Rig]:
    rig = Rig({"laser": board[1], "lamp": SimulatedOutput()})
    yield rig
    rig.close()


@posix
@pytest.mark.parametrize(
    ("guard_body", "harm", "what"),
    [
        (patient_guard, lambda rig: rig.engine.kill(), "ended"),
        (guard_main, Rig.freeze, "did not answer"),
    ],
    ids=["dead", "frozen"],
)
def test_what_a_dead_or_frozen_engine_left_on_goes_off(
    board: tuple[int, SerialLine],
    guard_body: Callable[..., None],
    harm: Callable[[Rig], None],
    what: str,
) -> None:
    outputs = {"laser": board[1], "lamp": SimulatedOutput()}
    with closing(Rig(outputs, guard_body)) as rig:
        assert heard(board[0], 2) == b"LH"
        harm(rig)
        assert heard(board[0]) == b"L"
        complaint, *edges = rig.told()
        assert isinstance(complaint, ProblemReport)
        assert complaint.text.startswith(f"The engine {what}")
        offs = {(e.output, e.level, e.cause) for e in edges if isinstance(e, Edge)}
        assert offs == {("laser", 0, "guard"), ("lamp", 0, "guard")}
        rig.engine.join()
        assert rig.engine.exitcode == -signal.SIGKILL


@posix
def test_an_output_that_can_not_be_opened_again_is_named(
    rig: Rig, board: tuple[int, SerialLine]
) -> None:
    assert heard(board[0], 2) == b"LH"
    os.close(board[0])
    rig.engine.kill()
    texts = [told.text for told in rig.told() if isinstance(told, ProblemReport)]
    assert len(texts) == 2
    assert texts[1].startswith("[Output laser] ")
    assert texts[1].endswith("it may still be on")


@posix
def test_the_guard_leaves_quietly_after_a_goodbye(
    rig: Rig, board: tuple[int, SerialLine]
) -> None:
    assert heard(board[0], 2) == b"LH"
    rig.engine_pipe.send("stop")
    assert rig.told() == []
    rig.engine.join()
    assert (rig.guard.exitcode, rig.engine.exitcode) == (0, 0)
    assert heard(board[0]) == b"L"


@pytest.fixture
def heart() -> Iterator[tuple[Connection, Connection]]:
    out, into = multiprocessing.get_context("spawn").Pipe(duplex=False)
    yield out, into
    out.close()
    into.close()


def test_silence_is_judged_from_the_first_beat_on(
    heart: tuple[Connection, Connection],
) -> None:
    heartbeat = Heartbeat(heart[1])
    first_beat = threading.Timer(0.1, heartbeat.send, (0,))
    first_beat.start()
    assert watch(heart[0], hang_s=0.01) == "did not answer for 0.01 s"
    first_beat.join()


def test_silence_is_not_judged_in_a_pause(
    heart: tuple[Connection, Connection],
) -> None:
    heartbeat = Heartbeat(heart[1])
    heartbeat.send(0)
    heartbeat.pause()
    goodbye = threading.Timer(0.1, heartbeat.goodbye)
    goodbye.start()
    assert watch(heart[0], hang_s=0.01) == ""
    goodbye.join()


def test_an_end_without_goodbye_is_noticed(
    heart: tuple[Connection, Connection],
) -> None:
    heart[1].close()
    assert watch(heart[0]) == "ended unexpectedly"


def test_beats_are_rare_and_never_wait_for_the_guard(
    heart: tuple[Connection, Connection],
) -> None:
    heartbeat = Heartbeat(heart[1])
    for now_ns in range(0, 1_000_000_000, 1_000_000):
        heartbeat.send(now_ns)
    beats = 0
    while has_message(heart[0]):
        heart[0].recv_bytes()
        beats += 1
    assert beats == 10
    if sys.platform != "win32":
        for second in range(1, 100_000):
            heartbeat.send(second * 1_000_000_000)
    heart[0].close()
    heartbeat.goodbye()


@posix
def test_a_guard_that_was_suspended_for_long_gets_the_goodbye(
    heart: tuple[Connection, Connection],
) -> None:
    heartbeat = Heartbeat(heart[1])
    for second in range(100_000):  # more than the pipe has room for
        heartbeat.send(second * 1_000_000_000)
    heartbeat.pause()
    heartbeat.goodbye()
    heart[1].close()
    assert watch(heart[0]) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="needs pidfd")
def test_no_later_process_with_the_engines_number_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended, runs = (
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
        for code in ("", "input()")
    )
    kills = [killer(each.pid) for each in (ended, runs)]
    ended.communicate()
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a number was killed"))
    for kill in kills:
        kill()
    runs.communicate()
    assert (ended.returncode, runs.returncode) == (0, -signal.SIGKILL)


def test_every_kind_goes_off_when_the_engine_is_killed() -> None:
    """All those whose devices can be played, in one rig."""
    with ExitStack() as playing:
        played = {
            name: playing.enter_context(stand_in())
            for name, stand_in in STAND_INS.items()
        }
        outputs = {name: stand_in.output for name, stand_in in played.items()}
        rig = Rig(outputs, tireless_guard)
        playing.callback(rig.close)
        for stand_in in played.values():
            stand_in.player.heard_until(stand_in.on)
        rig.engine.kill()
        for stand_in in played.values():
            assert stand_in.player.heard_until(stand_in.off)
        told = rig.told()
    reopened = {name for name, it in played.items() if it.output.reopens}
    assert {e.output for e in told if isinstance(e, Edge)} == reopened
    assert [c.text for c in told if isinstance(c, ProblemReport)][1:] == []


class Refused:
    """An account that may use the engine's real-time priority, not the guards'."""

    granted, remark = False, "real-time priority: no; memory: locked"

    def __init__(self, priority: int, wanted: bool) -> None:
        assert priority == GUARD and wanted


def test_a_guard_says_that_it_lacks_the_priority_it_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "RealTime", Refused)
    monkeypatch.setattr(guard, "leave_to_parent", lambda: None)
    monkeypatch.setattr(guard, "outlive_readers", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    ready = multiprocessing.get_context("spawn").Semaphore(0)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    with ours, theirs:
        guard.settle_guard({}, GuardLinks(ready, real_time=True), theirs)
        assert ready.acquire(block=False)
        (name, text) = ours.recv().text.split(": ", 1)
        assert not ours.poll()
    assert (name, text) == ("MainProcess", Refused.remark)


def test_outputs_that_end_with_the_engine_are_not_opened_again() -> None:
    assert not Screen.reopens
    assert SerialLine.reopens
