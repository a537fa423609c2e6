"""An engine that does nothing but switch its outputs on, and its guard."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import pytest

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.command import OutputName, on
from deeplabstream.core.journal_entries import Edge
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.processes import guard
from deeplabstream.engine.processes.guard import Heartbeat
from deeplabstream.engine.session.messages import ProblemReport
from deeplabstream.plugins.output import Output
from tests.engine.patient_guards import PATIENCE_S, patient_guard
from tests.outputs.patient_writers import use_patient_writers

FREEZE = "freeze"


def tireless_guard(*arguments: Any) -> None:
    """A patient guard that also waits long for outputs to open."""
    guard.OPENING_S = guard.ANSWER_S = PATIENCE_S
    patient_guard(*arguments)


def pretend_engine(
    outputs: dict[str, Output], heart: Connection, told: Connection
) -> None:
    """Switch everything on, say so, and beat until told to stop or to freeze."""
    clock, heartbeat = SystemClock(), Heartbeat(heart)
    use_patient_writers(pytest.MonkeyPatch())
    with opened(outputs, clock, lambda entry: None) as bank:
        bank.apply([on(OutputName(name)) for name in outputs], clock.now_ns())
        told.send("on")  # a guard judges silence from the first beat on
        heartbeat.send(clock.now_ns())
        while not told.poll(0.1):
            heartbeat.send(clock.now_ns())
        if told.recv() == FREEZE:
            os.kill(os.getpid(), signal.SIGSTOP)
    heartbeat.goodbye()


class Rig:
    """A pretended engine and its guard, by default one that waits long for the engine."""

    def __init__(
        self,
        outputs: dict[str, Output],
        guard_body: Callable[..., None] = patient_guard,
    ) -> None:
        spawn = multiprocessing.get_context("spawn")
        heart_out, heart_in = spawn.Pipe(duplex=False)
        self.reports, reports = spawn.Pipe()
        self.engine_pipe, told = spawn.Pipe()
        self.engine = spawn.Process(
            target=pretend_engine, args=(outputs, heart_in, told)
        )
        self.engine.start()
        heart_in.close()
        told.close()
        watched = outputs, heart_out, self.engine.pid, reports
        self.guard = spawn.Process(target=guard_body, args=watched)
        self.guard.start()
        heart_out.close()
        reports.close()
        assert self.engine_pipe.recv() == "on"

    def freeze(self) -> None:
        """Stop the engine, between two beats; its guard may have ended it already."""
        with contextlib.suppress(OSError):
            self.engine_pipe.send(FREEZE)

    def told(self) -> list[Edge | ProblemReport]:
        """Return all that the guard told; wait for its end."""
        told = []
        with contextlib.suppress(EOFError):
            while True:
                told.append(self.reports.recv())
        self.guard.join()
        return told

    def close(self) -> None:
        for process in (self.engine, self.guard):
            process.kill()
            process.join()
            process.close()
        self.reports.close()
        self.engine_pipe.close()
