"""A small process that switches the outputs off when the engine dies or hangs."""

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from core.clock import SystemClock
from core.errors import DeviceError, blaming
from core.pipe import Connection, speaks
from core.record import Edge
from engine.child import tell
from engine.messages import Complaint, GuardActs
from outputs.output import Output

HANG_S = 1.0
"""An engine that has said nothing for so long hangs."""
BEAT_EVERY_S = 0.1
"""The engine says no more often that it is alive."""
OPENING_S = 2.0
"""How long the guard tries to open an output: its port may be busy for a moment."""
ANSWER_S = 15.0
"""How long it waits for an output that neither opens nor fails."""

_BEAT, _PAUSE, _GOODBYE = b"b", b"p", b"g"


class Heartbeat:
    """The engine's side: say at least every `HANG_S / 2` that it goes on."""

    def __init__(self, guard: Connection) -> None:
        self._guard = guard
        self._next_ns = 0
        if sys.platform != "win32":  # a guard that hangs must not hold the engine up
            os.set_blocking(guard.fileno(), False)

    def beat(self, now_ns: int) -> None:
        """Say that the engine goes on; from the first time on, silence is judged."""
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + round(BEAT_EVERY_S * 1e9)
            self._say(_BEAT)

    def pause(self) -> None:
        """Announce something slow: until the next `beat`, silence is not judged."""
        self._next_ns = 0
        self._say(_PAUSE)

    def goodbye(self) -> None:
        """Say that the outputs are off and closed: the guard is needed no more."""
        self._say(_GOODBYE)

    def _say(self, word: bytes) -> None:
        try:
            self._guard.send_bytes(word)
        except OSError:
            return  # whoever started the guard notices that it is gone


def guard_main(
    outputs: Mapping[str, Output],
    heart: Connection,
    engine_pid: int,
    reports: Connection,
) -> None:
    """Wait until the engine says goodbye; switch off in its place if it does not.

    What was done goes to `reports`: an `Edge` for each output that was switched off, a
    `Complaint` for what happened and for each output that may still be on.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # it ends when the engine has ended
        signal.signal(number, signal.SIG_IGN)
    _preload(outputs)
    what = _watch(heart)
    if not what:
        return
    _kill(engine_pid)
    _wait_for_end(heart)
    tell(reports, GuardActs(f"The engine {what}: the guard switches the outputs off"))
    for edge_or_complaint in _switch_off(outputs):
        tell(reports, edge_or_complaint)


def _preload(outputs: Mapping[str, Output]) -> None:
    for package in {name for output in outputs.values() for name in output.packages}:
        with suppress(Exception):  # what is missing or broken is told when it is opened
            importlib.import_module(package)


def _watch(heart: Connection, hang_s: float = HANG_S) -> str:
    """Return what happened to the engine; empty: it said goodbye."""
    patience_s: float | None = None
    while True:
        began_s = time.perf_counter()
        if not speaks(heart, patience_s):
            if time.perf_counter() - began_s > 2 * hang_s + 1:
                continue  # the whole computer slept
            return f"did not answer for {hang_s:g} s"
        try:
            word = heart.recv_bytes()
        except (EOFError, OSError):
            return "ended unexpectedly"
        if word == _GOODBYE:
            return ""
        patience_s = hang_s if word == _BEAT else None


def _kill(pid: int) -> None:
    try:
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    except OSError:
        return  # it is gone already


def _wait_for_end(heart: Connection) -> None:
    try:
        while speaks(heart, OPENING_S):
            heart.recv_bytes()
    except (EOFError, OSError):
        return


def _switch_off(outputs: Mapping[str, Output]) -> list[Edge | Complaint]:
    """Open every output anew, all at once, and write 0."""
    found: dict[str, Edge | Complaint] = {}
    threads = []
    for name, output in outputs.items():
        if output.reopens:
            silence = f"[Output {name}] does not answer; it may still be on"
            found[name] = Complaint(silence)
            thread = threading.Thread(
                target=lambda name=name, output=output: found.update(
                    {name: _switch_one_off(name, output)}
                ),
                daemon=True,
            )
            thread.start()
            threads.append(thread)
    give_up_s = time.perf_counter() + ANSWER_S
    for thread in threads:
        thread.join(max(0.0, give_up_s - time.perf_counter()))
    return list(found.values())


def _switch_one_off(name: str, output: Output) -> Edge | Complaint:
    clock = SystemClock()
    asked_ns = clock.now_ns()
    while True:
        try:
            with blaming(f"Output {name}"), output.opened() as write:
                write(0.0)
                return Edge(name, 0.0, "guard", asked_ns, clock.now_ns())
        except DeviceError as error:
            if clock.now_ns() - asked_ns > OPENING_S * 1e9:
                return Complaint(f"{error}; it may still be on")
            time.sleep(0.02)
