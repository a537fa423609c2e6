"""Real-time priority: what gets it, what loses it, and what the record says."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deeplabstream.engine.processes import real_time
from deeplabstream.engine.processes.real_time import (
    CAMERA,
    ENGINE,
    GUARD,
    LONGEST_S,
    RealTime,
    may_run_real_time,
)

if sys.platform == "linux":
    import resource

ROOT = Path(__file__).resolve().parents[2]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="SCHED_FIFO is of Linux")
ALLOWED = pytest.mark.skipif(
    not may_run_real_time(), reason="the account may not use real-time priority"
)
BEGIN = """\
import json, os, signal, threading, time
from deeplabstream.engine.processes import real_time
from deeplabstream.engine.processes.real_time import ENGINE, RealTime
asleep, end = threading.Event(), threading.Event()
thread = threading.Thread(target=lambda: (asleep.set(), end.wait()), daemon=True)
thread.start()
asleep.wait()
priority = RealTime(ENGINE)
def policy(number=0):
    return os.sched_getscheduler(number) & ~os.SCHED_RESET_ON_FORK
said = {"remark": priority.remark, "main": policy(), "other": policy(thread.native_id)}
"""
END = """
end.set()
print(json.dumps(said))
"""


def told(script: str) -> dict[str, object]:
    """Return what a script printed that began at real-time priority."""
    return printed(BEGIN + script + END)


def printed(script: str) -> dict[str, object]:
    """Return what a script printed."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@LINUX
@ALLOWED
def test_the_threads_of_a_process_get_real_time_priority_and_its_children_do_not() -> (
    None
):
    said = told("""
import subprocess, sys
words = [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]
said["child"] = int(subprocess.run(words, capture_output=True, text=True).stdout)
born = threading.Thread(target=lambda: said.update(born=policy(0)))
born.start(); born.join()
said["priority"] = os.sched_getparam(0).sched_priority
""")
    assert said["main"] == said["other"] == os.SCHED_FIFO
    assert said["priority"] == ENGINE
    assert said["child"] == said["born"] == os.SCHED_OTHER
    assert str(said["remark"]).startswith(f"real-time priority: SCHED_FIFO {ENGINE};")


@LINUX
@ALLOWED
def test_a_thread_that_computes_without_pause_loses_the_priority() -> None:
    said = told("""
real_time.CHECK_S = 0.02
priority.check(1_000_000_000)
began = time.thread_time()
while time.thread_time() - began < 0.02:
    pass
said["sentences"] = priority.check(1_020_000_000)
said["main"], said["other"] = policy(), policy(thread.native_id)
priority.raise_threads()
said["again"] = policy()
""")
    assert said["main"] == said["again"] == os.SCHED_OTHER
    assert said["other"] == os.SCHED_FIFO, "a thread that sleeps keeps it"
    assert "used more than 70% of a core" in str(said["sentences"])


@LINUX
@ALLOWED
def test_the_systems_limit_on_computing_takes_the_priority_from_all_threads() -> None:
    said = told("""
import resource
said["limit"] = resource.getrlimit(resource.RLIMIT_RTTIME)
os.kill(os.getpid(), signal.SIGXCPU)
said["main"], said["other"] = policy(), policy(thread.native_id)
said["sentences"] = priority.check(2_000_000_000)
""")
    assert said["limit"] == [1e6 * real_time.LONGEST_S, 1e6 * real_time.KILLED_S]
    assert said["main"] == said["other"] == os.SCHED_OTHER
    assert "without a pause" in str(said["sentences"])


@LINUX
@ALLOWED
def test_all_threads_return_to_ordinary_priority_at_the_end() -> None:
    said = told("""
def nice():
    return [os.getpriority(os.PRIO_PROCESS, number) for number in (0, thread.native_id)]
said["raised"] = nice()
priority.end()
said["main"], said["other"], said["lowered"] = policy(), policy(thread.native_id), nice()
""")
    assert said["raised"] == [-5, -5]
    assert said["main"] == said["other"] == os.SCHED_OTHER
    assert said["lowered"] == [0, 0]


GUARDS = """
import json, os
from multiprocessing import Pipe, Semaphore
from deeplabstream.engine.processes.guard import GuardLinks, Heartbeat, guard_main

ours, theirs = Pipe()
reports, _ = Pipe()
heart = Heartbeat(ours)
heart.send(10**9)
heart.goodbye()
guard_main({}, theirs, os.getpid(), reports, GuardLinks(Semaphore(0), real_time=True))
print(json.dumps({"policy": os.sched_getscheduler(0)}))
"""


@LINUX
@ALLOWED
def test_a_guard_ends_at_ordinary_priority() -> None:
    """An ending process computes for up to 0.1 s, beside the frames of other rigs."""
    assert printed(GUARDS) == {"policy": os.SCHED_OTHER}


@LINUX
@pytest.mark.parametrize("error", [ValueError("not allowed"), OSError("unknown")])
def test_limits_that_the_system_refuses_are_no_error(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """`setrlimit` raises ValueError for EPERM and EINVAL, as in some containers."""

    def refuse(*_: object) -> None:
        raise error

    for function in ("sched_setscheduler", "setpriority"):
        monkeypatch.setattr(os, function, no_rights)
    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(real_time, "_call", lambda *_: -1)
    monkeypatch.setattr(real_time, "raise_priority", lambda: None)
    monkeypatch.setattr(real_time, "may_lock_memory", lambda: True)
    assert RealTime(CAMERA).remark.startswith("real-time priority: no;")
    assert real_time.may_run_real_time() is False


def no_rights(*_: object) -> None:
    raise PermissionError


@LINUX
@pytest.mark.parametrize(
    ("allowed_us", "limits"),
    [
        (-1, (500_000, 5_000_000)),
        (6_000_000, (500_000, 5_000_000)),
        (800_000, (400_000, 800_000)),
        (200_000, (100_000, 200_000)),
    ],
)
def test_the_priority_is_left_well_before_the_kernel_kills(
    monkeypatch: pytest.MonkeyPatch, allowed_us: int, limits: tuple[int, int]
) -> None:
    """A library's function that never returns keeps Python from leaving the priority."""
    given: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed_us, allowed_us))
    monkeypatch.setattr(
        resource, "setrlimit", lambda limit, both: given.update({limit: both})
    )
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    real_time._set_limits(lambda: None)
    assert given[resource.RLIMIT_RTTIME] == limits


SPINNING = f"""
import contextlib, hashlib, json, os, resource, time
from deeplabstream.engine.processes.guard import switch_off
from deeplabstream.engine.processes.real_time import RealTime

def policy():
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK

def compute(rounds):
    began = time.thread_time()
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", rounds)  # in C, without the lock of Python
    return time.thread_time() - began

class Spinning:
    reopens, packages = True, ()

    @contextlib.contextmanager
    def opened(self):
        while policy() == os.SCHED_OTHER:
            time.sleep(0.01)
        said["began"] = policy()
        for _ in range(4):
            compute(round(1_000_000 * {3 * LONGEST_S} / per_million_s))
            if policy() == os.SCHED_OTHER:
                break
        said["ended"] = policy()
        yield lambda level: None

class Told:
    def send(self, message): ...
    def write(self, entry): said["last"] = entry.text if hasattr(entry, "text") else ""

said, per_million_s = {{}}, 10 * compute(100_000)
priority = RealTime({GUARD})
said["limit"] = resource.getrlimit(resource.RLIMIT_RTTIME)
outputs = {{"laser": Spinning()}}
switch_off(outputs, "The engine hangs", "guard", Told(), priority.raise_threads)
print(json.dumps(said))
"""


@LINUX
@ALLOWED
def test_a_guard_whose_driver_computes_without_pause_is_not_ended() -> None:
    """It goes back to ordinary priority; meanwhile its threads take turns."""
    said = printed(SPINNING)
    unlimited = resource.getrlimit(resource.RLIMIT_RTTIME)[1]
    assert said["limit"] == [1e6 * LONGEST_S, unlimited]
    assert (said["began"], said["ended"]) == (os.SCHED_RR, os.SCHED_OTHER)
    assert said["last"] == "ended; the guard acted for it; outputs are off"


@LINUX
def test_the_command_that_allows_it_names_the_account() -> None:
    command = real_time.ALLOW.split(" | ")[0]
    account = {**os.environ, "USER": r"LAB\ann"}
    done = subprocess.run(
        ["sh", "-c", command], env=account, capture_output=True, text=True, check=True
    )
    rights = ["rtprio 20", "memlock unlimited", "nice -10"]
    assert done.stdout.splitlines() == [rf"LAB\ann - {each}" for each in rights]
    page = (ROOT / "docs" / "latency.md").read_text("utf-8")
    assert f"\n{real_time.ALLOW}\n" in page


@LINUX
def test_a_refused_priority_is_said_with_the_command_that_allows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for function in ("sched_setscheduler", "setpriority"):
        monkeypatch.setattr(os, function, no_rights)
    for name in ("_call", "_set_limits", "raise_priority", "lock_memory"):
        monkeypatch.setattr(real_time, name, lambda *_: 0)
    priority = RealTime(CAMERA)
    remark = priority.remark
    assert not priority.granted
    assert remark.startswith("real-time priority: no; memory: not locked. To allow it")
    assert "rtprio 20" in remark and "memlock unlimited" in remark


def test_with_real_time_off_nothing_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    for name in ("_call", "_set_limits", "lock_memory"):
        monkeypatch.setattr(real_time, name, asked.append)
    monkeypatch.setattr(real_time, "raise_priority", lambda: None)
    priority = RealTime(ENGINE, requested=False)
    assert priority.remark == "real-time priority: REAL_TIME is off"
    assert priority.granted
    assert not asked
    assert priority.check(10**12) == []


@LINUX
def test_with_real_time_off_threads_that_begin_later_get_no_priority_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine asks for them when it opens the outputs again."""
    asked: list[object] = []
    for function in ("sched_setscheduler", "setpriority"):
        monkeypatch.setattr(os, function, lambda *words: asked.append(words))
    monkeypatch.setattr(real_time, "raise_priority", lambda: None)
    RealTime(ENGINE, requested=False).raise_threads()
    assert not asked


@LINUX
@pytest.mark.parametrize(
    ("cores", "left"), [(2, None), (4, {0, 1, 2}), (8, set(range(7)))]
)
def test_from_four_cores_on_one_is_left_to_the_engine(
    monkeypatch: pytest.MonkeyPatch, cores: int, left: set[int] | None
) -> None:
    used: list[set[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, given: used.append(given))
    before = real_time.leave_core_to_engine()
    assert used == ([] if left is None else [left])
    real_time.use_cores(before)
    assert used[1:] == ([] if left is None else [set(range(cores))])


def test_garbage_is_collected_when_idle_and_not_more_often_than_planned() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COLLECTING], cwd=ROOT, capture_output=True, text=True
    )
    assert json.loads(done.stdout) == [False, 1, 1, 2, True, 0], done.stderr


COLLECTING = """
import gc, json, time
from deeplabstream.engine.processes.real_time import IdleCollection
garbage = IdleCollection()
ran = []
gc.callbacks.append(lambda phase, info: phase == "start" and ran.append(info))
counts, now = [gc.isenabled()], time.perf_counter_ns()
for seconds in (11, 12, 22):
    garbage.idle(now + seconds * 10**9)
    counts.append(len(ran))
garbage.close()
counts += [gc.isenabled(), gc.get_freeze_count()]
print(json.dumps(counts))
"""
