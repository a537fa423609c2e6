"""What switches the outputs off, whatever is killed: real processes, a real serial line."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import LAST_NOTE, Edge, Note
from deeplabstream.engine.processes.child_process import EngineLinks
from deeplabstream.engine.processes.engine_process import _Engine
from deeplabstream.engine.processes.guard import _HEARTBEAT, _PAUSE, switch_off
from deeplabstream.engine.processes.real_time import GUARD, may_run_real_time
from deeplabstream.ipc.journal import JournalReader, create_journal
from deeplabstream.ipc.pipe import Connection
from deeplabstream.plugins.input import InputListener, PulseInput
from deeplabstream.plugins.output import Write
from deeplabstream.recording.run_repair import repair
from deeplabstream.settings.loading import parse
from outputs.simulated_output import SimulatedOutput
from tests.engine.killable import laser_on, settings_of
from tests.engine.patient_guards import use_noticing_guards, use_patient_guards
from tests.engine.tolerant import GIVE_UP_S

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="needs pseudo-terminals and pidfds: Linux"
)


def test_the_engine_switches_off_when_the_main_process_is_killed(
    tmp_path: Path,
) -> None:
    """In mid-frame, not after it."""
    with laser_on(tmp_path, guards=use_patient_guards, network_ms=400) as rig:
        rig.kill("main")
        assert rig.heard() == b"L"
        rig.wait_for_end()
        assert (0.0, "main ended") in rig.edges()
        assert rig.edges()[-1][0] == 0
        assert rig.how() == "the application ended unexpectedly"


class _Idle:
    def idle(self, now_ns: int = 0) -> None:
        return None

    def distinctness(self) -> dict[str, Any]:
        return {}


def test_an_engine_ends_when_the_pipe_of_the_main_process_is_closed(
    tmp_path: Path,
) -> None:
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    guards_end, heart = spawn.Pipe(duplex=False)
    journal = create_journal(16)
    semaphores = spawn.Semaphore(0), spawn.Semaphore(0)
    links = EngineLinks((heart,), *semaphores, (), journal.spec, 0)
    settings = parse("[Camera top]\nKIND = SimulatedCamera\n", tmp_path)
    engine = _Engine(settings, theirs, links, ExitStack())
    idle: Any = _Idle()
    engine.loop = engine.garbage = idle
    ours.close()
    frames = threading.Thread(target=lambda: list(engine.frames()), daemon=True)
    frames.start()
    frames.join(GIVE_UP_S)
    try:
        assert not frames.is_alive()
    finally:
        for end in (theirs, guards_end, heart):
            end.close()
        journal.close()
        journal.unlink()


def test_an_engine_that_opened_no_output_does_not_say_that_they_are_off(
    tmp_path: Path,
) -> None:
    spawn = get_context("spawn")
    _, theirs = spawn.Pipe()
    journal = create_journal(16)
    semaphores = spawn.Semaphore(0), spawn.Semaphore(0)
    links = EngineLinks((), *semaphores, (), journal.spec, 0)
    settings = parse(settings_of("COM99"), tmp_path)
    reader = JournalReader(journal)
    with ExitStack() as resources:
        engine = _Engine(settings, theirs, links, resources)
        resources.callback(engine.write_last_entry)
        assert not engine.ready()
    try:
        (said,) = (e for e in reader.read() if isinstance(e, Note))
        assert (said.kind, said.text) == (LAST_NOTE, "ended; no output was open")
    finally:
        theirs.close()
        journal.close()
        journal.unlink()


class SlowTrigger(PulseInput):
    """Says what the guards heard last, before it opens; a board restarts meanwhile."""

    generates: ClassVar[bool] = True

    def __init__(self, heart: Connection) -> None:
        object.__setattr__(self, "heart", heart)
        object.__setattr__(self, "heard", [])

    @contextmanager
    def opened(self, hear: InputListener) -> Iterator[None]:
        while self.heart.poll():
            self.heard.append(self.heart.recv_bytes())
        yield


def test_guards_ignore_silence_while_a_trigger_generator_opens(tmp_path: Path) -> None:
    spawn = get_context("spawn")
    _, theirs = spawn.Pipe()
    guards_end, heart = spawn.Pipe(duplex=False)
    journal = create_journal(16)
    links = EngineLinks(
        (heart,), spawn.Semaphore(1), spawn.Semaphore(0), (), journal.spec, 0
    )
    trigger = SlowTrigger(guards_end)
    settings = parse("[Camera top]\nKIND = SimulatedCamera\n", tmp_path)
    with ExitStack() as resources:
        engine = _Engine(
            replace(settings, inputs={"trigger": trigger}), theirs, links, resources
        )
        assert engine.ready()
        engine.heart.send(engine.clock.now_ns())
        engine.attach(())
        assert trigger.heard[-2:] == [_HEARTBEAT, _PAUSE]
        engine.heart.send(engine.clock.now_ns())
        assert guards_end.recv_bytes() == _HEARTBEAT, "silence counts again at once"
    for end in (theirs, guards_end, heart):
        end.close()
    journal.close()
    journal.unlink()


@pytest.mark.skipif(
    not may_run_real_time(), reason="the account may not use real-time priority"
)
def test_guards_have_priority_above_the_engine_and_the_cameras(tmp_path: Path) -> None:
    """An engine that computes without pause cannot keep them from noticing it."""
    with laser_on(tmp_path, guards=use_patient_guards) as rig:
        names = ("engine", "camera top", "guard", "second guard")
        of = {name: os.sched_getparam(rig.pids[name]).sched_priority for name in names}
        assert of["guard"] == of["second guard"] == GUARD
        assert max(of["engine"], of["camera top"]) < GUARD


class Told:
    """A guard's reports."""

    def __init__(self) -> None:
        self.edges: list[Edge] = []

    def send(self, message: object) -> None:
        return

    def write(self, entry: Edge | Note) -> None:
        if isinstance(entry, Edge):
            self.edges.append(entry)


class Waiting(SimulatedOutput):
    """Opens when the guard has raised the priority of the thread that opens it."""

    raised: ClassVar[threading.Event] = threading.Event()

    @contextmanager
    def opened(self) -> Iterator[Write]:
        if not self.raised.wait(GIVE_UP_S):
            raise DeviceError("it opens at ordinary priority")
        yield lambda level: None


def test_the_threads_that_switch_off_in_the_engine_s_place_get_the_guards_priority() -> (
    None
):
    outputs, told = {"laser": Waiting(), "valve": Waiting()}, Told()
    switch_off(outputs, "The engine hangs", "guard", told, Waiting.raised.set)
    assert [edge.output for edge in told.edges] == ["laser", "valve"]


def test_the_second_guard_acts_when_engine_and_guard_are_killed(
    tmp_path: Path,
) -> None:
    with laser_on(tmp_path, guards=use_patient_guards) as rig:
        rig.kill("engine", "guard")
        assert rig.heard() == b"L"
        rig.listen()
        rig.wait_for_end()
        assert rig.edges()[-1] == (0.0, "second guard")
        assert "may still be on" not in rig.failures()
        assert " ended unexpectedly (killed by SIGKILL" in rig.how()
        assert (
            rig.last_words() == "ended; the second guard acted for it; outputs are off"
        )


def test_the_main_process_acts_when_all_its_children_are_killed(
    tmp_path: Path,
) -> None:
    with laser_on(tmp_path, guards=use_patient_guards) as rig:
        rig.kill(*(name for name in rig.pids if name != "main"))
        assert rig.heard() == b"L"
        rig.listen()
        repair(rig.run)
        assert rig.edges()[-1] == (0.0, "main process")
        assert (
            rig.last_words() == "ended; the main process acted for it; outputs are off"
        )


def test_an_output_that_nobody_can_open_is_never_said_to_be_off(
    tmp_path: Path,
) -> None:
    with laser_on(tmp_path, guards=use_patient_guards, unplugged=True) as rig:
        rig.kill("engine", "guard", "second guard")
        rig.listen()
        rig.wait_for_end()
        assert "[Output laser] may still be on: switch off by hand" in rig.failures()
        assert rig.how().endswith("[Output laser] may still be on")
        assert rig.last_words().endswith("[Output laser] may still be on")
        assert rig.levels() == {"laser": 1.0}
        assert rig.edges()[-1][0] == 1


def test_a_guard_records_what_it_switched_off_and_a_repair_keeps_it(
    tmp_path: Path,
) -> None:
    with laser_on(tmp_path, guards=use_patient_guards) as rig:
        rig.kill("engine", "main")
        assert rig.heard() == b"L"
        rig.wait_for_end()
        assert rig.edges()[-1] == (0.0, "guard")
        repair(rig.run)
        assert rig.edges()[-1] == (0.0, "guard")


def test_the_second_guard_acts_when_the_whole_process_group_is_killed(
    tmp_path: Path,
) -> None:
    with laser_on(tmp_path, guards=use_patient_guards) as rig:
        rig.kill_group()
        assert rig.heard() == b"L"
        rig.wait_for_end()
        repair(rig.run)
        assert rig.edges()[-1] == (0.0, "second guard")
        assert rig.silent()


def test_the_second_guard_acts_when_the_whole_process_group_is_suspended(
    tmp_path: Path,
) -> None:
    with laser_on(tmp_path, guards=use_noticing_guards) as rig:
        rig.kill_group(signal.SIGSTOP)
        assert rig.heard() == b"L"
        rig.kill_group(signal.SIGCONT)
        rig.listen()
        rig.wait_for_end()
        assert rig.edges()[-1] == (0.0, "second guard")


def test_a_rig_that_ends_well_leaves_no_second_guard(tmp_path: Path) -> None:
    with laser_on(tmp_path, guards=use_patient_guards) as rig:
        rig.kill("main", number=signal.SIGUSR1)
        assert set(rig.heard()) == set(b"L")
        rig.listen()
        rig.wait_for_end()
        assert rig.how() == "stopped"
        assert rig.last_words() == "ended; outputs are off"


def mapped_files(pid: int) -> list[Any]:
    found: list[Any] = psutil.Process(pid).memory_maps()
    return found


PROGRAM = """
import sys
from pathlib import Path
from multiprocessing import Pipe
from tests.engine.killable import run_a_rig
from tests.engine.patient_guards import use_patient_guards
if __name__ == "__main__":
    ours, theirs = Pipe(duplex=False)
    root, port = Path(sys.argv[1]), sys.argv[2]
    run_a_rig(root, port, 0, theirs, print_pids=True, guards=use_patient_guards)
"""


def test_the_second_guard_removes_the_memory_of_a_killed_process_group(
    tmp_path: Path,
) -> None:
    """A program of its own: its resource tracker is killed with it."""
    board, line = os.openpty()
    program = tmp_path / "rig.py"
    program.write_text(PROGRAM, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(program), str(tmp_path), os.ttyname(line)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as main:
        try:
            assert main.stdout is not None
            pids = [int(pid) for pid in main.stdout.readline().split()]
            pidfds = [os.pidfd_open(pid) for pid in pids]
            maps = (each.path for pid in pids for each in mapped_files(pid))
            made = {Path(path) for path in maps if path.startswith("/dev/shm/")}
            assert made
        finally:
            os.killpg(main.pid, signal.SIGKILL)
    for each in pidfds:
        assert select.select([each], [], [], GIVE_UP_S)[0]
        os.close(each)
    os.close(board)
    os.close(line)
    assert not [path for path in made if path.exists()]
