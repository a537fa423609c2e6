r"""Termination requests: signals, console and session events that ask a program to end.

One mechanism for every program that opens an output. A request is only noted here: the
program looks at it often, switches its outputs off, closes the record, and ends.

| request | on |
|---|---|
| Ctrl-C (SIGINT), SIGTERM | all systems |
| the terminal or ssh was closed (SIGHUP), Ctrl-\ (SIGQUIT) | Linux, macOS |
| Ctrl-Z (SIGTSTP): outputs off, then the process stops | Linux, macOS |
| the computer slept, noticed after it woke | Linux, Windows |
| Ctrl-Break, console closed, log-off, shut-down, sleep | Windows |
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from deeplabstream.core.clock import asleep_ns

SLEPT_NS = 500_000_000
"""A difference of the clocks that grows by more than this at once is a sleep."""
DRIFT_NS = 100_000_000
"""Up to this the difference is measured again: clocks of unlike steps drift apart on Windows."""

_ENDING = {
    "SIGINT": "Ctrl-C (SIGINT)",
    "SIGTERM": "the program was asked to end (SIGTERM)",
    "SIGBREAK": "Ctrl-Break (SIGBREAK)",
    "SIGHUP": "the terminal was closed (SIGHUP)",
    "SIGQUIT": "Ctrl-\\ (SIGQUIT)",
}
_IGNORABLE = ("SIGHUP", "SIGQUIT", "SIGTSTP")
"""Left ignored where whoever started the program had them ignored: nohup, for instance."""
_OF_THE_TERMINAL = ("SIGINT", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGTTIN", "SIGTTOU")
"""The terminal sends them to all processes of the program."""


class Termination:
    """Request to the program to end or to pause, if there was one."""

    def __init__(self, asleep: Callable[[], int] = asleep_ns) -> None:
        self._asleep = asleep
        self._slept_ns = asleep()
        self._reason = ""
        self._number = 0
        self._pauses = self._stops = False
        self._safe = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether the program is to end or to pause; ask at least every 50 ms."""
        self._look_for_sleep()
        return bool(self._reason)

    @property
    def reason(self) -> str:
        """Reason of the request, as part of a sentence; empty: there is none."""
        return self._reason

    @property
    def pauses(self) -> bool:
        """Whether outputs must go off, but a program with a window may stay."""
        return self.requested and self._pauses

    def request_end(self, reason: str, number: int = 0) -> None:
        """Request the end of the program; the first reason counts.

        An end replaces a pause.
        """
        if not self._reason or self._pauses:
            self._reason, self._number = reason, number
            self._pauses = self._stops = False

    def request_pause(self, reason: str, number: int = 0) -> None:
        """Request outputs off; with `number` the process stops then, as the signal says."""
        if not self._reason:
            self._reason, self._number = reason, number
            self._pauses, self._stops = True, bool(number)

    def await_off(self, timeout_s: float) -> bool:
        """Wait, in another thread, until the program has switched its outputs off."""
        return self._safe.wait(timeout_s)

    def pause(self) -> None:
        """Stop the process if Ctrl-Z requested that: outputs are off. Return when it goes on.

        Afterwards a pause counts as done; an end that was requested meanwhile does not.
        """
        self._safe.set()
        if self._stops:
            self._stop()
        if self._pauses:
            self._reason, self._number = "", 0
            self._pauses = self._stops = False
        self._slept_ns = self._asleep()
        self._safe.clear()

    def finish(self) -> None:
        """Note that outputs are off and the record is closed; stop if Ctrl-Z requested that."""
        self._safe.set()
        if self._stops:
            self._stop()

    def exit_code(self, otherwise: int, ctrl_c: int | None = None) -> int:
        """Return 128 + the signal's number when one ended the program, else `otherwise`.

        `ctrl_c` is the code after Ctrl-C, where that is how the program normally ends.
        """
        if not self._reason:
            return otherwise
        if ctrl_c is not None and self._number == signal.SIGINT:
            return ctrl_c
        return 128 + (self._number or signal.SIGTERM)

    def _stop(self) -> None:
        if sys.platform != "win32":
            before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, before)

    def _look_for_sleep(self) -> None:
        slept_ns = self._asleep() - self._slept_ns
        if slept_ns > SLEPT_NS:
            self._slept_ns += slept_ns
            self.request_pause(f"the computer slept for {slept_ns / 1e9:.0f} s")
        elif abs(slept_ns) <= DRIFT_NS:
            self._slept_ns += slept_ns


_active: list[Termination] = []


def end_reason() -> str:
    """Return why this program has to end, as part of a sentence; empty: it does not."""
    request = _active[0] if _active else None
    return request.reason if request is not None and not request.pauses else ""


@contextmanager
def termination() -> Iterator[Termination]:
    """Note requests from here on, in the main thread; give the handlers back at the end.

    Open it before the first output and leave it when all are off: a process that is to
    stop (Ctrl-Z) stops at the end. Inside another `termination` it is the same one.
    """
    if _active:
        yield _active[0]
        return
    request = Termination()
    _active.append(request)
    try:
        if threading.current_thread() is not threading.main_thread():
            yield request  # only the main thread may have handlers
            return
        with _handlers(request), _system_events(request):
            try:
                with (
                    terminal_signals_held()
                ):  # the tracker frees shared memory at the end
                    _start_tracker()
                yield request
            finally:
                request.finish()
    finally:
        _active.remove(request)


@contextmanager
def _handlers(request: Termination) -> Iterator[None]:
    before = {}

    def handle(name: str, handler: "signal._HANDLER") -> None:
        number = getattr(signal, name, None)
        if number is None:
            return
        if name in _IGNORABLE and signal.getsignal(number) is signal.SIG_IGN:
            return
        before[number] = signal.signal(number, handler)

    for name, reason in _ENDING.items():
        handle(name, lambda number, _, why=reason: request.request_end(why, number))  # type: ignore[misc]
    handle(
        "SIGTSTP", lambda number, _: request.request_pause("Ctrl-Z (SIGTSTP)", number)
    )
    handle("SIGTTOU", signal.SIG_IGN)  # a background program may write to its terminal
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _system_events(request: Termination) -> Iterator[None]:
    """Note the events that Windows has instead of signals."""
    if sys.platform == "win32":
        from deeplabstream.engine.processes.windows_events import listening

        with listening(request):
            yield
    else:
        yield


def _start_tracker() -> None:
    if sys.platform != "win32":
        resource_tracker.ensure_running()


def leave_to_parent() -> None:
    """Ignore, in a child process, what asks the whole program to end: the parent acts.

    A child ends when its parent tells it to, or dies.
    """
    for name in _OF_THE_TERMINAL:
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)
    if sys.platform == "win32":
        from deeplabstream.engine.processes.windows_events import outlive_console

        outlive_console()


@contextmanager
def terminal_signals_held() -> Iterator[None]:
    """Block the terminal's signals: a process started meanwhile never hears them.

    It inherits that, so it is safe from its first instruction on. On Windows this is so
    for Ctrl-C alone, and a Ctrl-C of this moment is lost.
    """
    if sys.platform == "win32":
        from ctypes import WinDLL

        ignore_ctrl_c = WinDLL("kernel32").SetConsoleCtrlHandler
        ignore_ctrl_c(None, True)
        try:
            yield
        finally:
            ignore_ctrl_c(None, False)
        return
    held = {getattr(signal, name) for name in _OF_THE_TERMINAL}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
