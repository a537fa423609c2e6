"""Outputs are off, the record is closed and no memory is left, however a program ends."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import psutil
import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

from deeplabstream.engine.processes.termination import (
    Termination,
    end_reason,
    termination,
)
from deeplabstream.recording.table_reader import read_events
from deeplabstream.settings.loading import parse
from tests.engine.ended_rig import (
    ROOT,
    SETTINGS,
    SHELL,
    WAIT_S,
    InTerminal,
    Laser,
)

pytestmark = pytest.mark.timeout(400)
APP = [str(ROOT / "app.py"), "--headless", "--seconds", "600", "--settings", "rig.ini"]
COMMAND_LINE = [
    str(ROOT / "DeepLabStream.py"),
    *("--headless", "--experiment", "--settings", "rig.ini"),
]
TEST = [
    str(ROOT / "utils/TestOutput.py"),
    *("laser", "--seconds", "5", "--settings", "rig.ini"),
]


@pytest.fixture
def laser() -> Iterator[Laser]:
    laser = Laser()
    yield laser
    laser.close()


def started(command: list[str], folder: Path, laser: Laser) -> InTerminal:
    """Start a program and wait until it has switched the laser on."""
    (folder / "rig.ini").write_text(SETTINGS.format(port=laser.port), "utf-8")
    program = InTerminal(command, folder)
    try:
        program.until("the laser is on", lambda: laser.on or program.ended())
        assert laser.on, program.said.decode()
    except BaseException:
        program.kill()
        raise
    return program


def check_record(folder: Path) -> None:
    (run,) = (folder / "runs").iterdir()
    facts = json.loads((run / "run.json").read_text("utf-8"))
    assert facts["ended"]
    assert facts["accounting"]
    assert all(each["closes"] for each in facts["accounting"])
    edges = [e for e in read_events(run / "events.csv") if e["kind"] == "edge"]
    assert float(edges[-1]["level"]) == 0.0


def ends(program: InTerminal, laser: Laser) -> None:
    """Wait for its end: the laser is off, and no process and no shared memory is left."""
    family, mapped = program.family(), program.shared_memory()
    program.until("the program ended", program.ended)
    assert laser.heard  # it was on
    assert not laser.on, program.said.decode()
    program.until("all processes ended", lambda: not psutil.wait_procs(family, 0)[1])
    if program.terminal >= 0:
        program.listen_to_the_end()
    assert [path for path in mapped if path.exists()] == []


KEYS = [
    pytest.param(b"\x03", "Ctrl-C (SIGINT)", 0, id="Ctrl-C"),
    pytest.param(b"\x1c", "Ctrl-\\ (SIGQUIT)", 128 + signal.SIGQUIT, id="Ctrl-\\"),
]


@pytest.mark.parametrize(("key", "reason", "code"), KEYS)
def test_a_key_of_the_terminal_ends_the_run_and_says_so(
    tmp_path: Path, laser: Laser, key: bytes, reason: str, code: int
) -> None:
    program = started(COMMAND_LINE, tmp_path, laser)
    try:
        program.type(key)
        ends(program, laser)
        check_record(tmp_path)
        assert f"{reason}: everything is being stopped" in program.said.decode()
        assert program.code == code
    finally:
        program.kill()


def test_closing_the_terminal_ends_the_run(tmp_path: Path, laser: Laser) -> None:
    program = started(APP, tmp_path, laser)
    try:
        program.close_terminal()  # nothing can be printed from now on
        ends(program, laser)
        check_record(tmp_path)
        assert program.code == 128 + signal.SIGHUP
    finally:
        program.kill()


def test_sigterm_ends_the_run_as_at_a_shut_down(tmp_path: Path, laser: Laser) -> None:
    """To the main process; tests/engine/test_session.py sends it to all the others."""
    program = started(APP, tmp_path, laser)
    try:
        os.kill(program.pid, signal.SIGTERM)
        ends(program, laser)
        check_record(tmp_path)
        assert program.code == 128 + signal.SIGTERM
        assert "asked to end (SIGTERM)" in program.said.decode()
    finally:
        program.kill()


@pytest.mark.parametrize("command", [APP, COMMAND_LINE], ids=["app", "DeepLabStream"])
def test_sigterm_to_all_processes_is_no_fault_of_a_camera(
    tmp_path: Path, laser: Laser, command: list[str]
) -> None:
    """As `timeout`, systemd and a shut-down send it."""
    program = started(command, tmp_path, laser)
    try:
        program.signal_all(signal.SIGTERM)
        ends(program, laser)
        check_record(tmp_path)
        assert program.code == 128 + signal.SIGTERM
        said = program.said.decode()
        assert "asked to end (SIGTERM)" in said
        assert "unexpectedly" not in said
        assert "Problem" not in said
    finally:
        program.kill()


@pytest.mark.parametrize("command", [APP, TEST], ids=["app", "TestOutput"])
def test_after_ctrl_z_and_fg_nothing_goes_on_by_itself(
    tmp_path: Path, laser: Laser, command: list[str]
) -> None:
    shell = started(["-c", SHELL, *command], tmp_path, laser)
    try:
        shell.type(b"\x1a")
        shell.until("it stopped", lambda: b"STOPPED" in shell.said)
        assert not laser.on
        laser.heard = b""
        shell.type(b"\n")
        shell.until("it ended", shell.ended)
        shell.listen_to_the_end()
        assert not laser.on
        assert b"H" not in laser.heard
        assert b"Ctrl-Z (SIGTSTP)" in shell.said
        assert b"ENDED 148" in shell.said
        if command is APP:
            check_record(tmp_path)
    finally:
        shell.kill()


def test_a_test_of_an_output_ends_early_with_a_sentence(
    tmp_path: Path, laser: Laser
) -> None:
    program = started(TEST, tmp_path, laser)
    try:
        program.signal_all(signal.SIGQUIT)
        ends(program, laser)
        assert "it is off" in program.said.decode()
        assert program.code == 128 + signal.SIGQUIT
    finally:
        program.kill()


def test_a_test_of_an_output_ends_with_its_terminal(
    tmp_path: Path, laser: Laser
) -> None:
    program = started(TEST, tmp_path, laser)
    try:
        program.close_terminal()
        ends(program, laser)
        assert program.code == 128 + signal.SIGHUP
    finally:
        program.kill()


def test_a_killed_test_of_an_output_leaves_nothing_on(
    tmp_path: Path, laser: Laser
) -> None:
    """All of its processes but the second guard are killed at once."""
    program = started(TEST, tmp_path, laser)
    try:
        family, semaphores = program.family(), program.shared_memory()
        program.signal_all(signal.SIGKILL)
        program.until("the laser is off", lambda: not laser.on)
        program.until("all ended", lambda: not psutil.wait_procs(family[1:], 0)[1])
        assert laser.heard.endswith(b"HL")
        assert [path for path in semaphores if path.exists()] == []
    finally:
        program.kill()


def test_a_run_goes_on_when_nobody_reads_its_output(
    tmp_path: Path, laser: Laser
) -> None:
    """As with `app.py --headless | head -1`."""
    (tmp_path / "rig.ini").write_text(SETTINGS.format(port=laser.port), "utf-8")
    with subprocess.Popen(
        [sys.executable, *APP],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        give_up_s = perf_counter() + WAIT_S
        while not laser.on and run.poll() is None and perf_counter() < give_up_s:
            select.select([laser.ours], [], [], 0.1)
        run.terminate()
        assert b"Traceback" not in run.stderr.read()
    assert run.returncode == 128 + signal.SIGTERM
    assert b"H" in laser.heard
    assert not laser.on
    check_record(tmp_path)


def test_a_program_started_with_nohup_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with termination() as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not asked.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_end_that_is_asked_for_in_a_pause_counts() -> None:
    asked = Termination()
    asked.request_pause("Ctrl-Z")
    asked.request_end("the terminal was closed", signal.SIGHUP)
    assert asked.requested
    assert not asked.pauses
    asked.pause()
    assert asked.reason == "the terminal was closed"
    assert asked.exit_code(0) == 128 + signal.SIGHUP


def test_a_sleep_of_the_computer_is_noticed_when_it_woke() -> None:
    slept_ns = [7_000_000_000]
    asked = Termination(asleep=lambda: slept_ns[0])
    assert not asked.requested
    slept_ns[0] += 65_000_000_000
    assert asked.pauses
    assert asked.reason == "the computer slept for 65 s"
    asked.pause()
    assert not asked.requested


def test_clocks_that_drift_apart_are_no_sleep() -> None:
    apart_ns = [0]
    asked = Termination(asleep=lambda: apart_ns[0])
    for _ in range(1000):
        apart_ns[0] += 16_000_000
        assert not asked.requested
    apart_ns[0] -= 700_000_000  # the thread waited between reading the two
    assert not asked.requested
    apart_ns[0] += 700_000_000
    assert not asked.requested
    apart_ns[0] += 600_000_000
    assert asked.requested and asked.pauses


def test_handlers_are_given_back() -> None:
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGTTOU")
    before = [signal.getsignal(getattr(signal, name)) for name in names]
    with termination() as outer, termination() as inner:
        assert inner is outer
        # without a handler the signal would end the whole test run
        assert callable(signal.getsignal(signal.SIGQUIT))
        os.kill(os.getpid(), signal.SIGQUIT)
        assert outer.reason == "Ctrl-\\ (SIGQUIT)"
        assert end_reason() == outer.reason
    assert [signal.getsignal(getattr(signal, name)) for name in names] == before
    assert not end_reason()


def test_the_settings_of_these_tests_are_right(tmp_path: Path) -> None:
    assert parse(SETTINGS.format(port="/dev/null"), tmp_path).outputs
