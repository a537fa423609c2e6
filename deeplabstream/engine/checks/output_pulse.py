"""Output test: one short pulse of one output, in a process that two guards watch."""

import multiprocessing
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Semaphore
from typing import Self

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.command import OutputName, Pulse
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Acknowledged, Edge, Note
from deeplabstream.engine.output_bank import OutputBank, opened
from deeplabstream.engine.processes.child_process import (
    report_errors,
    send_message,
    set_up_child,
)
from deeplabstream.engine.processes.guard import (
    GuardLinks,
    Heartbeat,
    guard_main,
    guards_missing,
)
from deeplabstream.engine.processes.second_guard import names_of, second_guard_main
from deeplabstream.engine.processes.termination import terminal_signals_held
from deeplabstream.engine.pulse_timer import PulseTimer
from deeplabstream.engine.session.messages import (
    ProblemReport,
    ProcessFailed,
    SharedResources,
    Stop,
    UnknownMessage,
)
from deeplabstream.ipc.forked_children import close_in_forked_children
from deeplabstream.ipc.pipe import Connection, has_message, opened_pipe
from deeplabstream.ipc.semaphore import opened_semaphore
from deeplabstream.plugins.output import Output

PULSE_S = 0.2
LONGEST_S = 5.0
"""Longest pulse of a test."""
_HEARTBEAT_S = 0.02
_GIVE_UP_S = 2.0
"""Time after which an output that can't be switched off is left to the guard."""

OutputTestEvent = (
    Edge | Acknowledged | Note | ProblemReport | ProcessFailed | UnknownMessage
)


class OutputTestProcess:
    """A test of one output in separate processes; only `rest` and `__exit__` wait.

    Only this output is opened, and no rig may be using it. If the test ends early, its
    process or the guard switches the output off.
    """

    def __init__(
        self, name: str, output: Output, seconds: float = PULSE_S, level: float = 1.0
    ) -> None:
        if not 0 < level <= 1:
            raise ValueError(f"a level must be above 0 and at most 1, not {level:g}")
        if not 0 < seconds <= LONGEST_S:
            raise ValueError(
                f"a test must last more than 0 and at most {LONGEST_S:g} s"
            )
        self.name = name
        self.seconds = min(seconds, output.max_on_s)
        self.failed = False
        """Whether an error was reported."""
        self._output = output
        self._level = level
        self._pipes: list[Connection] = []
        """Pipes of tester, guard and second guard that are still open."""
        self._processes: list[BaseProcess] = []

    def __enter__(self) -> Self:
        heart, heart_in = opened_pipe(duplex=False)
        second_heart, second_in = opened_pipe(duplex=False)
        guarded = opened_semaphore()

        outputs = {self.name: self._output}
        pulse = Pulse(OutputName(self.name), self.seconds, self._level)
        hearts = heart_in, second_in
        tester = self._start(
            "output test", _test, (pulse, self._output, hearts, guarded)
        )
        # The tester first: the guards need its process number, to kill it when it hangs. It
        # opens the output only when both guards are ready.
        links = GuardLinks(guarded, second=second_in)
        guard = self._start("guard", guard_main, (outputs, heart, tester.pid), links)
        watched = outputs, second_heart, (tester.pid, guard.pid), None
        self._start(
            "second guard", second_guard_main, watched, replace(links, second=None)
        )

        # Only the children may hold the heartbeat pipes: a guard notices the end of a process
        # by the end of its pipe.
        for end in (heart, heart_in, second_heart, second_in):
            end.close()

        self._stop, _, self._second = self._pipes
        self._ends = [*self._pipes]
        self._guarded = guarded
        send_message(self._second, SharedResources(semaphores=names_of(guarded)))
        return self

    def _start(
        self,
        name: str,
        body: Callable[..., object],
        before: tuple[object, ...],
        *after: object,
    ) -> BaseProcess:
        """Spawn a process that runs `body(*before, its end of a pipe, *after)`."""
        ours, theirs = opened_pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=body, args=(*before, theirs, *after), name=name
        )
        with terminal_signals_held():
            process.start()
        theirs.close()
        close_in_forked_children(ours)
        self._pipes.append(ours)
        self._processes.append(process)
        return process

    def __exit__(self, *_: object) -> None:
        """End the test, and wait until the output is off."""
        self.stop()
        while not self.over:
            self.rest(1.0)
            self.poll()
        for process in self._processes:
            process.join()
            process.close()
        for pipe in self._ends:
            pipe.close()

    @property
    def over(self) -> bool:
        """Whether the test has ended and all its messages have been read."""
        return not self._pipes

    def poll(self) -> Sequence[OutputTestEvent]:
        """Return the events since the last call."""
        events: list[OutputTestEvent] = []
        for pipe in [*self._pipes]:
            try:
                while has_message(pipe):
                    events.append(pipe.recv())
            except (EOFError, OSError):
                self._pipes.remove(pipe)

        # Tester and guard have ended. The second guard detects that by itself, and
        # writes 0 if they did not; `Stop` only ends it afterwards.
        if self._pipes == [self._second]:
            send_message(self._second, Stop())

        self.failed |= any(
            isinstance(event, ProblemReport | ProcessFailed)
            or (isinstance(event, Note) and event.kind == "error")
            for event in events
        )
        return events

    def stop(self) -> None:
        """Switch the output off now."""
        send_message(self._stop, Stop())

    def rest(self, seconds: float) -> None:
        """Wait for a message, for `seconds` at most."""
        wait(self._pipes, timeout=seconds)


def _test(
    pulse: Pulse,
    output: Output,
    hearts: tuple[Connection, ...],
    guarded: Semaphore,
    pipe: Connection,
) -> None:
    """Body of the test process: open the output, pulse it, close it."""
    stopped: list[bool] = []
    set_up_child(orphaned=lambda: stopped.append(True))
    heartbeat, clock = Heartbeat(*hearts), SystemClock()
    bank: OutputBank | None = None
    with report_errors(pipe), ExitStack() as stack:
        if guards_missing(
            guarded, len(hearts), lambda: bool(stopped) or has_message(pipe)
        ):
            if not (stopped or has_message(pipe)):
                raise DeviceError(
                    "the guards did not start, so the output stays closed"
                )
            heartbeat.goodbye()
            return

        give_up_ns = clock.now_ns() + round((pulse.seconds + _GIVE_UP_S) * 1e9)
        bank = stack.enter_context(
            opened(
                {pulse.output: output}, clock, lambda entry: send_message(pipe, entry)
            )
        )
        stack.enter_context(PulseTimer(bank, clock))

        if not (stopped or has_message(pipe)):
            bank.apply([pulse], clock.now_ns(), "test")
        while bank.levels[pulse.output] > 0 and clock.now_ns() < give_up_ns:
            heartbeat.send(clock.now_ns())
            bank.heartbeat(clock.now_ns())
            if stopped or has_message(pipe, _HEARTBEAT_S):
                break

    # Without a goodbye the guards open the output again and write 0.
    if bank is None or not bank.left_on:
        heartbeat.goodbye()
