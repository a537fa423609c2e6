"""Termination requests of Windows: console closed, log-off, shut-down, sleep.

`SetConsoleCtrlHandler` reports that the console is closed; Windows ends the process when the
handler returns, or after 5 s. A program that has loaded user32, as all of ours have, gets
log-off, shut-down and sleep as messages to a window instead: a hidden window receives them, in
a thread of its own.
"""

import ctypes
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deeplabstream.engine.processes.termination import Termination

CTRL_C, CTRL_BREAK, CLOSE, LOGOFF, SHUTDOWN = 0, 1, 2, 5, 6
WM_QUERYENDSESSION, WM_ENDSESSION, WM_POWERBROADCAST = 0x11, 0x16, 0x218
WM_CLOSE, WM_DESTROY = 0x10, 0x02
PBT_APMSUSPEND = 4
CONSOLE_S = 5.0
"""Time that Windows gives a console program to end; the same for a window at log-off."""
SLEEP_S = 2.0
"""Time that Windows gives a program before the computer sleeps."""

_STD_INPUT = 2**32 - 10
_QUICK_EDIT, _EXTENDED_FLAGS = 0x40, 0x80

_REASONS = {
    CLOSE: "the console window was closed",
    LOGOFF: "the user logs off",
    SHUTDOWN: "the computer is being shut down",
}
_kept: list[object] = []
"""Callbacks that Windows may call at any time, kept until the process ends."""
_numbers = itertools.count(1)
"""Numbers for the names of window classes: a name must not be used twice in a process."""


def library(name: str) -> Any:
    """Load a library of Windows; OSError: it is missing."""
    return vars(ctypes)["WinDLL"](name, use_last_error=True)


def _callback(result: Any, *arguments: Any) -> Any:
    return vars(ctypes)["WINFUNCTYPE"](result, *arguments)


def outlive_console() -> None:
    """Ignore, in a child process, that the console is closed: its parent acts."""

    def handle(event: int) -> bool:
        # Windows ends the process when the handler returns: wait until the parent has acted
        if event in _REASONS:
            threading.Event().wait()
        return True

    _set_console_handler(handle)


def _set_console_handler(handle: Callable[[int], bool]) -> Callable[[], None]:
    handler = _callback(ctypes.c_int, ctypes.c_uint)(handle)
    _kept.append(handler)
    kernel = library("kernel32")
    kernel.SetConsoleCtrlHandler(handler, True)
    return lambda: kernel.SetConsoleCtrlHandler(handler, False)


@contextmanager
def listening(request: "Termination") -> Iterator[None]:
    """Receive the requests of Windows; it waits until the outputs are off."""

    def handle(event: int) -> bool:
        # Python turns Ctrl-C and Ctrl-Break into signals
        if event not in _REASONS:
            return False
        request.request_end(_REASONS[event])
        request.await_off(CONSOLE_S)
        # When this returns, Windows ends the process: leave the program time for its summary.
        threading.Event().wait(CONSOLE_S)
        return True

    remove = _set_console_handler(handle)
    window = _HiddenWindow(request)
    window.start()
    try:
        with _no_selection_by_mouse():
            yield
    finally:
        window.close()
        remove()


@contextmanager
def _no_selection_by_mouse() -> Iterator[None]:
    """Disable text selection by mouse, because it blocks a program that prints."""
    kernel = library("kernel32")
    kernel.GetStdHandle.argtypes = (ctypes.c_uint32,)
    kernel.GetStdHandle.restype = ctypes.c_void_p
    kernel.GetConsoleMode.argtypes = ctypes.c_void_p, ctypes.c_void_p
    kernel.SetConsoleMode.argtypes = ctypes.c_void_p, ctypes.c_uint32
    console, mode = kernel.GetStdHandle(_STD_INPUT), ctypes.c_uint32()
    if not kernel.GetConsoleMode(console, ctypes.byref(mode)):
        # there is no console
        yield
        return
    before = mode.value | _EXTENDED_FLAGS
    kernel.SetConsoleMode(console, before & ~_QUICK_EDIT)
    try:
        yield
    finally:
        kernel.SetConsoleMode(console, before)


def answer(request: "Termination", message: int, word: int) -> int | None:
    """Return the answer to a window's message; None: Windows handles it."""
    # 1 agrees to the log-off; WM_ENDSESSION reports later whether it takes place
    if message == WM_QUERYENDSESSION:
        return 1
    if message == WM_ENDSESSION and word:
        request.request_end("the user logs off or the computer is being shut down")
        request.await_off(CONSOLE_S)
        return 0
    if message == WM_POWERBROADCAST and word == PBT_APMSUSPEND:
        request.request_pause("the computer is about to sleep")
        request.await_off(SLEEP_S)
        return 1
    return None


class _HiddenWindow(threading.Thread):
    """A window that is never shown, to which Windows sends log-off and sleep."""

    def __init__(self, request: "Termination") -> None:
        super().__init__(name="windows events", daemon=True)
        self._request = request
        self._made = threading.Event()
        self._handle = 0

    def run(self) -> None:
        """Make the window and answer its messages until it is closed."""
        from ctypes import wintypes

        user = library("user32")
        long_ptr = ctypes.c_ssize_t
        kind = _callback(
            long_ptr,
            wintypes.HWND,
            ctypes.c_uint,
            ctypes.c_size_t,
            long_ptr,
        )
        user.DefWindowProcW.restype = long_ptr
        user.DefWindowProcW.argtypes = (
            wintypes.HWND,
            ctypes.c_uint,
            ctypes.c_size_t,
            long_ptr,
        )

        def procedure(window: int, message: int, word: int, more: int) -> int:
            if message == WM_DESTROY:
                user.PostQuitMessage(0)
                return 0
            ours = answer(self._request, message, word)
            if ours is not None:
                return ours
            return int(user.DefWindowProcW(window, message, word, more))

        class WindowClass(ctypes.Structure):
            _fields_ = (
                ("style", ctypes.c_uint),
                ("procedure", kind),
                ("class_extra", ctypes.c_int),
                ("window_extra", ctypes.c_int),
                ("instance", wintypes.HINSTANCE),
                ("icon", ctypes.c_void_p),
                ("cursor", ctypes.c_void_p),
                ("background", ctypes.c_void_p),
                ("menu", wintypes.LPCWSTR),
                ("name", wintypes.LPCWSTR),
            )

        name = f"DeepLabStream events {next(_numbers)}"
        made = WindowClass()
        made.procedure, made.name = kind(procedure), name
        _kept.append(made)
        user.RegisterClassW(ctypes.byref(made))
        user.CreateWindowExW.restype = wintypes.HWND
        user.CreateWindowExW.argtypes = (
            wintypes.DWORD,
            wintypes.LPCWSTR,
            wintypes.LPCWSTR,
            wintypes.DWORD,
            *(ctypes.c_int,) * 4,
            wintypes.HWND,
            ctypes.c_void_p,
            wintypes.HINSTANCE,
            ctypes.c_void_p,
        )
        self._handle = user.CreateWindowExW(
            0, name, name, 0, 0, 0, 0, 0, None, None, None, None
        )
        self._made.set()
        message = wintypes.MSG()
        while user.GetMessageW(ctypes.byref(message), None, 0, 0) > 0:
            user.DispatchMessageW(ctypes.byref(message))

    def close(self) -> None:
        """Close the window and end the thread."""
        from ctypes import wintypes

        if self._made.wait(1.0) and self._handle:
            post = library("user32").PostMessageW
            post.argtypes = (
                wintypes.HWND,
                ctypes.c_uint,
                ctypes.c_size_t,
                ctypes.c_ssize_t,
            )
            post(self._handle, WM_CLOSE, 0, 0)
