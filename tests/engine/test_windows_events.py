"""The events of Windows, without Windows: what becomes of each message."""

import ctypes
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from deeplabstream.core.clock import asleep_ns
from deeplabstream.engine.processes import windows_events
from deeplabstream.engine.processes.termination import Termination
from deeplabstream.engine.processes.windows_events import (
    PBT_APMSUSPEND,
    WM_ENDSESSION,
    WM_POWERBROADCAST,
    WM_QUERYENDSESSION,
    answer,
)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a program on a slow computer switch off before Windows would end it."""
    for name in ("CONSOLE_S", "SLEEP_S"):
        monkeypatch.setattr(windows_events, name, 60.0)


def answered(message: int, word: int) -> tuple[int | None, Termination]:
    """Answer a message while a program switches off as soon as it is asked to."""
    asked, over = Termination(), threading.Event()

    def look() -> None:
        while not over.wait(0.001):
            if asked.requested:
                asked.finish()

    program = threading.Thread(target=look)
    program.start()
    try:
        return answer(asked, message, word), asked
    finally:
        over.set()
        program.join()


def test_log_off_and_shut_down_wait_until_outputs_are_off() -> None:
    assert answered(WM_QUERYENDSESSION, 0)[0] == 1
    answer_, asked = answered(WM_ENDSESSION, 1)
    assert answer_ == 0
    assert asked.reason == "the user logs off or the computer is being shut down"
    assert asked.await_off(0)
    assert not asked.pauses


def test_a_log_off_that_was_called_off_ends_nothing() -> None:
    answer_, asked = answered(WM_ENDSESSION, 0)
    assert answer_ is None
    assert not asked.requested


def test_a_sleep_is_a_pause() -> None:
    answer_, asked = answered(WM_POWERBROADCAST, PBT_APMSUSPEND)
    assert answer_ == 1
    assert asked.pauses
    assert asked.await_off(0)


class Function:
    """A function of a library, which may be given types of arguments."""

    def __init__(self, call: Any) -> None:
        self.call = call

    def __call__(self, *words: Any) -> Any:
        return self.call(*words)


def test_each_window_has_a_class_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the class of one before, its messages would go to a program that has ended."""
    names: list[str] = []

    def create(_: int, kind: str, *_more: object) -> int:
        names.append(kind)
        return 1

    user = SimpleNamespace(
        DefWindowProcW=Function(lambda *_: 0),
        RegisterClassW=Function(lambda _: 1),
        CreateWindowExW=Function(create),
        GetMessageW=Function(lambda *_: 0),
    )
    monkeypatch.setattr(windows_events, "library", lambda _: user)
    monkeypatch.setattr(windows_events, "_callback", ctypes.CFUNCTYPE)
    for _ in range(2):
        windows_events._HiddenWindow(Termination()).run()
    assert len(set(names)) == 2


def test_on_windows_a_sleep_is_told_by_the_difference_of_two_clocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks_ms, awake_100ns = [5_000_000_000], [4_000 * 10**10]

    class TickCount:
        restype: Any = ctypes.c_int

        def __call__(self) -> int:
            assert self.restype is ctypes.c_uint64
            return ticks_ms[0]

    def unbiased(place: Any) -> int:
        place._obj.value = awake_100ns[0]
        return 1

    kernel = SimpleNamespace(
        GetTickCount64=TickCount(), QueryUnbiasedInterruptTime=unbiased
    )
    windows = SimpleNamespace(kernel32=kernel)
    monkeypatch.setattr(ctypes, "windll", windows, raising=False)
    monkeypatch.setattr(
        "deeplabstream.core.clock.sys", SimpleNamespace(platform="win32")
    )
    before_ns = asleep_ns()
    ticks_ms[0] += 60_000
    assert asleep_ns() - before_ns == 60_000 * 1_000_000
    awake_100ns[0] += 60_000 * 10_000
    assert asleep_ns() == before_ns


class Console:
    """Functions of kernel32 for a console; mode None: there is none."""

    def __init__(self, mode: int | None) -> None:
        self.mode = mode
        self.GetStdHandle, self.GetConsoleMode, self.SetConsoleMode = map(
            Function, (lambda number: number, self._get, self._set)
        )

    def _get(self, console: int, place: Any) -> int:
        assert console == 2**32 - 10, "STD_INPUT_HANDLE"
        if self.mode is None:
            return 0
        place._obj.value = self.mode
        return 1

    def _set(self, _console: int, mode: int) -> int:
        assert self.mode is not None
        assert mode & 0x80, "without ENABLE_EXTENDED_FLAGS Windows changes nothing"
        self.mode = mode
        return 1


@pytest.mark.parametrize("mode", [0x1F7, 0x1B7])
def test_a_click_into_the_console_does_not_stop_the_program(
    monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """With ENABLE_QUICK_EDIT_MODE (0x40), a program that prints waits while text is selected."""
    console = Console(mode)
    monkeypatch.setattr(windows_events, "library", lambda _: console)
    with windows_events._no_selection_by_mouse():
        assert console.mode == mode & ~0x40
    assert console.mode == mode


def test_without_a_console_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(None)
    monkeypatch.setattr(windows_events, "library", lambda _: console)
    with windows_events._no_selection_by_mouse():
        assert console.mode is None
