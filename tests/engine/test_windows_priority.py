"""Priorities on Windows, with substitutes for its libraries that check each argument."""

import ctypes
import subprocess
import sys
import threading
from ctypes import c_void_p
from types import SimpleNamespace
from typing import Any

import pytest

from deeplabstream.engine.processes import real_time, windows_priority
from deeplabstream.engine.processes.real_time import ENGINE, GUARD, RealTime
from deeplabstream.files.paths import ROOT

OWN_PROCESS, OWN_THREAD = 2**64 - 1, 2**64 - 2
"""Handles that Windows gives: all 64 bits count."""
FIRST_HANDLE = 2**40


class Function:
    """A function of a library: takes arguments of its types only, and notes them."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.argtypes: tuple[Any, ...] = ()
        self.restype: Any = ctypes.c_int
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *words: Any) -> Any:
        assert len(words) == len(self.argtypes)
        for kind, word in zip(self.argtypes, words, strict=True):
            kind.from_param(word)
            if isinstance(word, int) and word >= 2**32:
                assert kind is c_void_p, "a handle has 64 bits"
        self.calls.append(words)
        given = self.answer(*words) if callable(self.answer) else self.answer
        assert given < 2**32 or self.restype is c_void_p, "a handle has 64 bits"
        return given


class Windows:
    """Libraries of Windows; every function succeeds unless it was given another answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.functions: dict[str, Function] = {}
        self.last_error = 0
        self.missing: set[str] = set()
        self["GetCurrentProcess"].answer = OWN_PROCESS
        self["GetCurrentThread"].answer = OWN_THREAD
        self["OpenThread"].answer = lambda _access, _inherit, number: (
            FIRST_HANDLE + number
        )
        monkeypatch.setattr(windows_priority, "library", self.library)
        monkeypatch.setattr(
            ctypes, "get_last_error", lambda: self.last_error, raising=False
        )
        monkeypatch.setattr(real_time, "sys", SimpleNamespace(platform="win32"))

    def __getitem__(self, name: str) -> Function:
        return self.functions.setdefault(name, Function(1))

    def library(self, name: str) -> Any:
        if name in self.missing:
            raise OSError(f"Could not find module '{name}'")
        return _Library(self)

    def calls(self, name: str) -> list[tuple[Any, ...]]:
        return self[name].calls


class _Library:
    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def __getattr__(self, name: str) -> Function:
        return self._windows[name]


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Windows:
    return Windows(monkeypatch)


def throttling(windows: Windows) -> list[tuple[int, ...]]:
    calls = windows.calls("SetProcessInformation")
    assert all(size == 12 for *_, size in calls)
    return [tuple(state._obj) for _, _, state, _ in calls]


def test_a_process_gets_all_that_needs_no_rights(windows: Windows) -> None:
    assert RealTime(ENGINE).remark == (
        "real-time priority: MMCSS task Capture; process priority: high; "
        "power throttling: off; memory: not locked"
    )
    assert windows.calls("SetPriorityClass") == [(OWN_PROCESS, 0x80)]
    assert throttling(windows) == [(1, 5, 0)]


def test_a_process_that_ends_returns_to_normal_priority(windows: Windows) -> None:
    priority = RealTime(ENGINE)
    priority.end()
    assert windows.calls("SetPriorityClass") == [
        (OWN_PROCESS, 0x80),
        (OWN_PROCESS, 0x20),
    ]


def test_guards_come_before_cameras_and_engine(windows: Windows) -> None:
    """Pro Audio is of MMCSS's category high, Capture of medium."""
    assert "MMCSS task Pro Audio;" in RealTime(GUARD).remark
    assert windows.calls("AvSetMmThreadCharacteristicsW")[0][0] == "Pro Audio"


def test_a_windows_without_throttling_of_timers_keeps_the_speed(
    windows: Windows,
) -> None:
    windows["SetProcessInformation"].answer = lambda _p, _class, state, _size: (
        state._obj[1] == 1
    )
    assert "power throttling: off" in RealTime(ENGINE).remark
    assert throttling(windows) == [(1, 5, 0), (1, 1, 0)]


@pytest.mark.parametrize(
    ("last_error", "said"),
    [(1550, "no (MMCSS refused)"), (1552, "MMCSS task Capture")],
)
def test_a_thread_that_mmcss_knows_already_has_its_priority(
    windows: Windows, last_error: int, said: str
) -> None:
    """1550 is a task that the registry does not name; 1552 a thread that has one."""
    windows["AvSetMmThreadCharacteristicsW"].answer = 0
    windows.last_error = last_error
    assert f"real-time priority: {said};" in RealTime(ENGINE).remark


def test_nothing_that_windows_refuses_is_an_error(windows: Windows) -> None:
    windows.missing.add("avrt")
    for name in ("SetPriorityClass", "SetProcessInformation", "OpenThread"):
        windows[name].answer = 0
    assert RealTime(ENGINE).remark == (
        "real-time priority: no (MMCSS refused); process priority: unchanged; "
        "power throttling: unchanged; memory: not locked"
    )


def test_the_other_python_threads_come_before_those_of_libraries(
    windows: Windows,
) -> None:
    began, end = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (began.set(), end.wait()), daemon=True)
    thread.start()
    assert began.wait(60)
    try:
        RealTime(ENGINE).raise_threads()
    finally:
        end.set()
        thread.join()
    assert thread.native_id is not None
    handle = FIRST_HANDLE + thread.native_id
    assert (0x20, False, thread.native_id) in windows.calls("OpenThread")
    assert (handle, 1) in windows.calls("SetThreadPriority")
    opened = [FIRST_HANDLE + number for _, _, number in windows.calls("OpenThread")]
    assert [closed for (closed,) in windows.calls("CloseHandle")] == opened
    own = FIRST_HANDLE + threading.get_native_id()
    assert own not in opened, "MMCSS has its priority"


def test_the_computer_stays_awake_also_with_real_time_off(windows: Windows) -> None:
    priority = RealTime(ENGINE, requested=False)
    priority.raise_threads()
    assert windows.calls("SetThreadExecutionState") == [(0x80000001,)]
    assert windows.calls("SetThreadPriority") == [(OWN_THREAD, 1)]
    for name in ("SetPriorityClass", "SetProcessInformation", "OpenThread"):
        assert not windows.calls(name)


NATIVE = """
import ctypes, threading
from deeplabstream.core.clock import asleep_ns
from deeplabstream.engine.processes.real_time import ENGINE, RealTime
began, end = threading.Event(), threading.Event()
thread = threading.Thread(target=lambda: (began.set(), end.wait()), daemon=True)
thread.start()
began.wait()
remark = RealTime(ENGINE).remark
kernel = ctypes.WinDLL("kernel32")
kernel.GetCurrentProcess.restype = kernel.OpenThread.restype = ctypes.c_void_p
kernel.GetPriorityClass.argtypes = kernel.GetThreadPriority.argtypes = (ctypes.c_void_p,)
print(remark)
print(kernel.GetPriorityClass(kernel.GetCurrentProcess()))
print(kernel.GetThreadPriority(kernel.OpenThread(0x40, False, thread.native_id)))
first = asleep_ns()
print(abs(asleep_ns() - first) < 100_000_000)
end.set()
"""


@pytest.mark.skipif(sys.platform != "win32", reason="calls Windows itself")
def test_windows_itself_applies_what_the_record_says() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NATIVE], cwd=ROOT, capture_output=True, text=True
    )
    remark, *others = done.stdout.splitlines()
    assert "MMCSS task Capture; process priority: high" in remark, done.stderr
    assert others == [str(0x80), "1", "True"]
