"""Guard process: switches the outputs off when the engine has ended or hangs."""

import importlib
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Semaphore
from typing import Protocol

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeepLabStreamError, error_context
from deeplabstream.core.journal_entries import LAST_NOTE, Edge, Note
from deeplabstream.engine.processes.child_process import send_message
from deeplabstream.engine.processes.real_time import GUARD, RealTime
from deeplabstream.engine.processes.termination import leave_to_parent
from deeplabstream.engine.session.messages import (
    GuardRemark,
    GuardReport,
    GuardTookOver,
    ProblemReport,
)
from deeplabstream.ipc.forked_children import close_in_forked_children
from deeplabstream.ipc.journal import Journal, JournalSpec, JournalWriter
from deeplabstream.ipc.pipe import Connection, has_message
from deeplabstream.plugins.output import Output, taking_over
from deeplabstream.startup.standard_streams import outlive_full_disk, outlive_readers

HANG_S = 1.0
"""An engine without a heartbeat for this long hangs."""
HEARTBEAT_EVERY_S = 0.1
"""Shortest interval between two heartbeats."""
OPENING_S = 2.0
"""After this time an output that can't be opened is reported; its port may be busy before."""
GUARDS_S = 60.0
"""How long an engine waits for its guards before it opens outputs."""
RETRY_S = 0.5
"""Longest pause between two attempts to open an output."""
ANSWER_S = 15.0
"""How long a guard tries to switch an output off; the main process continues to try."""
SIGNALS_S = 0.1
"""Interval of a guard's waits: Python handles signals only between two of them."""

_HEARTBEAT, _PAUSE, _GOODBYE = b"b", b"p", b"g"


class Heartbeat:
    """Heartbeat of the engine to its guards: no more often than `HEARTBEAT_EVERY_S`.

    The guards count the time of one frame and up to `HEARTBEAT_EVERY_S` more: an engine whose
    network needs 0.9 s for a frame seems to hang. See `HANG_S`.
    """

    def __init__(self, *guards: Connection, journal: Journal | None = None) -> None:
        """Store the pipes to the guards, and the journal, where the main process reads it."""
        self._guards, self._journal = guards, journal
        self._next_ns = 0
        close_in_forked_children(*guards)
        # a guard that hangs must not block the engine
        if sys.platform != "win32":
            for guard in guards:
                os.set_blocking(guard.fileno(), False)

    def send(self, now_ns: int) -> None:
        """Send a heartbeat if one is due; guards check for silence from the first one on."""
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + round(HEARTBEAT_EVERY_S * 1e9)
            self._send(_HEARTBEAT, now_ns)

    def pause(self) -> None:
        """Announce slow work: guards ignore silence until the next `send`."""
        self._next_ns = 0
        self._send(_PAUSE)

    def goodbye(self) -> None:
        """End the guards: the outputs are off and closed."""
        self._send(_GOODBYE)

    def _send(self, signal: bytes, now_ns: int = 0) -> None:
        if self._journal is not None:
            self._journal.heartbeat_ns = now_ns
        for guard in self._guards:
            # The session notices a guard that has ended. A guard that is suspended reads
            # nothing: heartbeats are left out then, so that a goodbye still has room.
            with suppress(OSError):
                if signal != _HEARTBEAT or _has_room(guard):
                    guard.send_bytes(signal)


def _has_room(pipe: Connection) -> bool:
    """Return whether a heartbeat leaves room for later signals to a suspended guard.

    A pipe reports that it can be written while a whole page is free.
    """
    if sys.platform == "win32":
        return True
    poller = select.poll()
    poller.register(pipe.fileno(), select.POLLOUT)
    return bool(poller.poll(0))


@dataclass(frozen=True)
class GuardLinks:
    """Semaphores, journal and pipe that connect a guard with the other processes."""

    ready: Semaphore
    """Released when the guard is ready."""
    journal: JournalSpec | None = None
    """Written by the process that takes over from an engine that has ended."""
    listeners: tuple[Semaphore, ...] = ()
    """Released for every journal entry."""
    second: Connection | None = None
    """Pipe from the first guard to the second one."""
    real_time: bool = False
    """Whether the guards get real-time priority, above the engine's."""


def guard_main(
    outputs: Mapping[str, Output],
    heart: Connection,
    engine_pid: int,
    reports: Connection,
    links: GuardLinks | None = None,
) -> None:
    """Wait for the goodbye of the engine; switch the outputs off if it ends or hangs first.

    ::

        no heartbeat yet ── first heartbeat ──► watching ── pause ──► paused
               │                                 │   ▲                  │
               │                                 │   └── heartbeat ─────┤
               │             HANG_S of silence   │                      │
               └── the engine ends ──────────────┼──────────────────────┤ the engine ends
                                                 ▼                      ▼
                             kill the engine ──► write 0 to all outputs ──► end

        goodbye, in any state ──► end

    In `paused` only the end of the engine counts, not its silence. Each write is an `Edge` in
    the journal, or to `reports` where there is none; `reports` also get the reason, and each
    output that may still be on.
    """
    second = Heartbeat(links.second) if links and links.second else Heartbeat()
    kill = killer(engine_pid)
    real_time = settle_guard(outputs, links, reports)
    what = watch(heart)
    if not what:
        real_time.end()
        return

    # Opening outputs takes longer than a heartbeat: the second guard must not act too.
    second.pause()
    # A hanging engine may continue and switch an output on again, and it holds the
    # ports.
    kill()
    wait_for_end(heart)

    report = Report(reports, links)
    switch_off(outputs, f"The engine {what}", "guard", report, real_time.raise_threads)
    second.goodbye()
    real_time.end()


class Reporting(Protocol):
    """Receiver of the reports of a process that takes over from the engine."""

    def send(self, message: GuardReport) -> None:
        """Send a report to the main process."""

    def write(self, entry: Edge | Note) -> None:
        """Write an entry into the journal."""


class Report:
    """A guard's reports: messages through its pipe, entries into the journal."""

    def __init__(self, pipe: Connection, links: GuardLinks | None) -> None:
        self._pipe = pipe
        self._listeners = links.listeners if links else ()
        spec = links.journal if links else None
        self._journal = JournalWriter(Journal(spec)) if spec else None

    def send(self, message: GuardReport) -> None:
        """Send a report to the main process."""
        send_message(self._pipe, message)

    def write(self, entry: Edge | Note) -> None:
        """Write an entry into the journal; an `Edge` is sent where there is none."""
        if self._journal is not None:
            # an error while recording must not keep an output on
            with suppress(Exception):
                self._journal.write(entry)
            for listener in self._listeners:
                listener.release()
        elif isinstance(entry, Edge):
            self.send(entry)


def guards_missing(
    ready: Semaphore, guards: int, given_up: Callable[[], bool] = lambda: False
) -> int:
    """Wait until `guards` guards are ready; return how many are not.

    No output is opened before all are ready.
    """
    clock = SystemClock()
    give_up_ns = clock.now_ns() + round(GUARDS_S * 1e9)
    while guards and not given_up() and clock.now_ns() < give_up_ns:
        guards -= ready.acquire(timeout=0.05)
    return guards


def settle_guard(
    outputs: Mapping[str, Output], links: GuardLinks | None, reports: Connection
) -> RealTime:
    """Ignore signals, import the packages of the outputs, and report that the guard is ready.

    Its priority is above the engine's: one that computes without pause on the only core
    would keep the guard from noticing it. `reports` get a `GuardRemark` if it is not.
    """
    leave_to_parent()
    outlive_readers()  # printing must not fail when stdout has been closed
    outlive_full_disk()

    # A signal to all processes of the program must not end the one that switches the
    # outputs off.
    for name in ("SIGTERM", "SIGBREAK"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)

    _preload(outputs)
    real_time = RealTime(GUARD, links is not None and links.real_time)
    if not real_time.granted:
        name = multiprocessing.current_process().name
        send_message(reports, GuardRemark(f"{name}: {real_time.remark}"))

    # last: from here on the engine may open outputs
    if links is not None:
        links.ready.release()
    return real_time


def switch_off(
    outputs: Mapping[str, Output],
    what: str,
    process: str,
    report: Reporting,
    started: Callable[[], object] = lambda: None,
) -> None:
    """Open every output again, write 0 and record it, instead of the engine.

    `started` is called when the threads that do it have started, one for each output. The
    last entry is the note that the engine could not write: which outputs may still be on.
    """
    clock = SystemClock()
    # reported first: opening an output can take seconds, and a user may act sooner
    text = f"{what}: the {process} switches the outputs off"
    report.send(GuardTookOver(text))
    report.write(Note("guard", text, clock.now_ns()))

    left_on = []
    for name, result in _switch_off(outputs, process, report.send, started).items():
        if isinstance(result, Edge):
            report.write(result)
            if result.written_ns - result.requested_ns > OPENING_S * 1e9:
                text = f"[Output {name}] could be opened again and is off"
                report.write(Note("guard", text, clock.now_ns()))
        else:
            left_on.append(name)
            report.write(Note("error", result.text, clock.now_ns()))

    # outputs that are not opened again switch off without power or process, such as a
    # sound
    for name, output in outputs.items():
        if not output.reopens:
            text = f"[Output {name}] {output.own_end}"
            report.write(Note("guard", text, clock.now_ns()))

    report.write(Note(LAST_NOTE, last_entry_text(left_on, process), clock.now_ns()))


def last_entry_text(left_on: Collection[str], process: str = "engine") -> str:
    """Return the text of a journal's last entry: which outputs may still be on."""
    ended = "ended" if process == "engine" else f"ended; the {process} acted for it"
    names = ", ".join(f"[Output {name}]" for name in left_on)
    return f"{ended}; {names} may still be on" if names else f"{ended}; outputs are off"


def _preload(outputs: Mapping[str, Output]) -> None:
    # An import can take seconds, which must not pass while an output is on.
    for package in {name for output in outputs.values() for name in output.packages}:
        with suppress(Exception):  # opening the output reports what is missing
            importlib.import_module(package)


def watch(heart: Connection, hang_s: float = HANG_S) -> str:
    """Wait; return how the engine ended or that it hangs. Empty: it sent a goodbye."""
    # None: wait without limit, before the first heartbeat and in a pause
    patience_s: float | None = None
    while True:
        began_s = time.perf_counter()
        if not has_message(heart, patience_s):
            # A wait that took much longer than its limit: the computer was suspended, and the
            # engine could not send either.
            if time.perf_counter() - began_s > 2 * hang_s + 1:
                continue
            return f"did not answer for {hang_s:g} s"
        try:
            received = heart.recv_bytes()
        except (EOFError, OSError):
            return "ended unexpectedly"
        if received == _GOODBYE:
            return ""
        patience_s = hang_s if received == _HEARTBEAT else None


def killer(pid: int) -> Callable[[], None]:
    """Return a function that kills a process; on Linux, never a later one with its number."""
    stop = getattr(signal, "SIGKILL", signal.SIGTERM)
    end: Callable[[], None] = partial(os.kill, pid, stop)
    if sys.platform == "linux":
        # A process number is used again after its process has ended; a file descriptor of
        # the process is not. Signal 0 tests whether it still runs.
        try:
            process = os.pidfd_open(pid)
            signal.pidfd_send_signal(process, 0)
            end = partial(signal.pidfd_send_signal, process, stop)
        except ProcessLookupError:
            return lambda: None
        except OSError:
            pass  # an old kernel, or a container that forbids it

    def kill() -> None:
        with suppress(OSError):  # it has ended already
            end()

    return kill


def wait_for_end(heart: Connection) -> None:
    """Wait until no process holds the other end of the pipe."""
    # The system closes the pipe of a killed process when it releases its files: then its
    # serial ports are free as well.
    try:
        while has_message(heart, OPENING_S):
            heart.recv_bytes()
    except (EOFError, OSError):
        return


def _switch_off(
    outputs: Mapping[str, Output],
    process: str,
    report: Callable[[ProblemReport], object],
    started: Callable[[], object],
) -> dict[str, Edge | ProblemReport]:
    """Open all outputs again at the same time and write 0; try for `ANSWER_S`.

    An output that cannot be opened is reported after `OPENING_S`: a user may act sooner.
    """
    attempts = [
        SwitchOff(name, output, process)
        for name, output in outputs.items()
        if output.reopens
    ]
    started()

    # Joined in short waits, because Python handles signals only between them. Threads that
    # are still alive are left: they are daemons.
    reported = set[str]()
    began_s = time.perf_counter()
    while waiting := [attempt for attempt in attempts if attempt.is_alive()]:
        taken_s = time.perf_counter() - began_s
        if taken_s > ANSWER_S:
            break
        waiting[0].join(SIGNALS_S)
        for attempt in waiting if taken_s > OPENING_S else ():
            result = attempt.result
            if attempt.refused and isinstance(result, ProblemReport):
                if attempt.output_name not in reported:
                    report(result)
                reported.add(attempt.output_name)

    results = {attempt.output_name: attempt.result for attempt in attempts}
    for attempt in attempts:
        attempt.stop()
        result = attempt.result
        if isinstance(result, ProblemReport) and attempt.output_name not in reported:
            report(result)
    return results


class SwitchOff(threading.Thread):
    """Opens an output and writes 0, in place of an engine that has ended; tries until stopped.

    A thread for each output: one that hangs in its driver must not keep the others on.
    """

    def __init__(self, name: str, output: Output, process: str) -> None:
        super().__init__(name=f"switch off {name}", daemon=True)
        self.output_name = name
        self.refused = False
        """Whether an attempt has failed."""
        self.result: Edge | ProblemReport = ProblemReport(
            f"[Output {name}] does not answer; it may still be on"
        )
        self._output, self._process = output, process
        self._stopped = threading.Event()
        self.start()

    def stop(self) -> None:
        """Begin no other attempt."""
        self._stopped.set()

    def run(self) -> None:
        """Try again and again: a port may be taken, or plugged in again."""
        clock = SystemClock()
        requested_ns = clock.now_ns()
        pause_s = 0.02
        while True:
            try:
                self._write_zero()
            except DeepLabStreamError as error:
                self.result = ProblemReport(f"{error}; it may still be on")
                self.refused = True
            else:
                now_ns = clock.now_ns()
                self.result = Edge(
                    self.output_name, 0.0, self._process, requested_ns, now_ns
                )
                return
            if self._stopped.wait(pause_s):
                return
            pause_s = min(2 * pause_s, RETRY_S)

    def _write_zero(self) -> None:
        with (
            error_context(f"Output {self.output_name}"),
            taking_over(),
            self._output.opened() as write,
        ):
            write(0.0)
