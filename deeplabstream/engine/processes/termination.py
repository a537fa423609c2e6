r"""Termination requests: signals, console and session events that ask a program to end.

Every program that opens an output uses it. A request is only stored here: the program reads
it often, switches its outputs off, closes the record, and ends.

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
"""Difference between a clock that counts sleep and one that does not, from which it was
a sleep."""
DRIFT_NS = 100_000_000
"""Smaller changes of that difference are drift, as Windows' two clocks have different
resolutions."""

_ENDING = {
    "SIGINT": "Ctrl-C (SIGINT)",
    "SIGTERM": "the program was asked to end (SIGTERM)",
    "SIGBREAK": "Ctrl-Break (SIGBREAK)",
    "SIGHUP": "the terminal was closed (SIGHUP)",
    "SIGQUIT": "Ctrl-\\ (SIGQUIT)",
}
_IGNORABLE = ("SIGHUP", "SIGQUIT", "SIGTSTP")
"""Signals that stay ignored if the program was started with them ignored, as by `nohup`."""
_OF_THE_TERMINAL = ("SIGINT", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGTTIN", "SIGTTOU")
"""Signals that the terminal sends to all processes of the program."""


class Termination:
    """Request to the program to end or to pause, if any."""

    def __init__(self, asleep: Callable[[], int] = asleep_ns) -> None:
        self._asleep = asleep
        self._slept_ns = asleep()
        self._reason = ""
        self._number = 0
        self._pauses = self._stops = False
        self._safe = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether the program is to end or to pause; read at least every 50 ms."""
        self._check_for_sleep()
        return bool(self._reason)

    @property
    def reason(self) -> str:
        """Reason of the request, as part of a sentence; empty: there is none."""
        return self._reason

    @property
    def pauses(self) -> bool:
        """Whether outputs must be switched off, while a program with a window may continue."""
        return self.requested and self._pauses

    def request_end(self, reason: str, number: int = 0) -> None:
        """Request the end of the program; the first reason counts.

        An end replaces a pause.
        """
        if not self._reason or self._pauses:
            self._reason, self._number = reason, number
            self._pauses = self._stops = False

    def request_pause(self, reason: str, number: int = 0) -> None:
        """Request to switch outputs off; with a signal `number` the process is then suspended."""
        if not self._reason:
            self._reason, self._number = reason, number
            self._pauses, self._stops = True, bool(number)

    def await_off(self, timeout_s: float) -> bool:
        """Wait, in another thread, until the program has switched its outputs off."""
        return self._safe.wait(timeout_s)

    def pause(self) -> None:
        """Report that outputs are off; suspend the process if Ctrl-Z requested that.

        Returns when the process continues. A pause is then done; an end that was requested
        meanwhile stays requested.
        """
        self._safe.set()
        if self._stops:
            self._stop()
        if self._pauses:
            self._reason, self._number = "", 0
            self._pauses = self._stops = False
        # a sleep of the computer while the process was suspended is not a request
        self._slept_ns = self._asleep()
        self._safe.clear()

    def finish(self) -> None:
        """Report that outputs are off and the record is closed; suspend as `pause` does."""
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
        # the default action of SIGTSTP suspends the process; the call returns after SIGCONT
        if sys.platform != "win32":
            before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, before)

    def _check_for_sleep(self) -> None:
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
    """Receive requests, in the main thread, until the end of the block.

    Enter it before the first output is opened and leave it when all are off: a process that
    Ctrl-Z suspends is suspended at the end. Inside another `termination` it is the same one.
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
                # Python's tracker frees shared memory that the program leaves. With its signals
                # unblocked, a closed terminal would end it together with the program.
                with terminal_signals_held():
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
    # a program in the background would be suspended when it writes to its terminal
    handle("SIGTTOU", signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _system_events(request: Termination) -> Iterator[None]:
    """Receive the events that Windows has instead of signals."""
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
    """Ignore, in a child process, requests to the whole program to end: the parent acts.

    A child ends when its parent requests that, or dies.
    """
    for name in _OF_THE_TERMINAL:
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)
    if sys.platform == "win32":
        from deeplabstream.engine.processes.windows_events import outlive_console

        outlive_console()


@contextmanager
def terminal_signals_held() -> Iterator[None]:
    """Block the terminal's signals; a process that is started in the block inherits that.

    So it is safe from its first instruction on. On Windows this holds for Ctrl-C only, and
    a Ctrl-C during the block is lost.
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
