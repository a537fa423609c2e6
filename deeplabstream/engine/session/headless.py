"""Headless run: runs a rig without a window for some time, and returns a summary."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from math import inf

from deeplabstream.core.clock import Clock, SystemClock
from deeplabstream.core.command import Mark
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Edge, Note, Step
from deeplabstream.engine.processes.real_time import IdleCollection
from deeplabstream.engine.processes.termination import Termination
from deeplabstream.engine.session.request_queue import RequestQueue, carried_out
from deeplabstream.engine.session.run_summary import Summary
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import (
    Action,
    Failed,
    News,
    Phase,
    SessionState,
    StateChanged,
    last_line,
)
from deeplabstream.startup.standard_streams import outlive_full_disk

_TICK_S = 0.05
_START_UP_S = 60.0
_SHUT_DOWN_S = 10.0


def run_headless(
    session: RigSession,
    agenda: RequestQueue,
    seconds: float,
    report: Callable[[str], object],
    *,
    stopped: Callable[[], bool] = lambda: False,
    termination: Termination | None = None,
    clock: Clock | None = None,
    rest: Callable[[float], object] = time.sleep,
) -> Summary:
    """Carry out `agenda`, run for `seconds`, stop the stream, and return a summary.

    It ends early when an experiment of `agenda`, an experiment or recording that a remote
    has started, or the stream ends; on a failure; when `stopped` returns True; or on a
    request of `termination`, Ctrl-Z included: without a window the experiment could not be
    started again. Time in which the session is armed does not count. `report` gets one
    sentence at a time. The caller closes the session.
    """

    def to_stop() -> bool:
        over = agenda.experiments and session.state.experiment_over
        over = over or session.state.remote_over
        return over or stopped() or (termination is not None and termination.requested)

    outlive_full_disk()
    run = _Run(session, report, Summary())
    clock = clock or SystemClock()
    start_ns = clock.now_ns()
    limit_s = max(_START_UP_S, seconds)
    try:
        for news in carried_out(agenda, session, limit_s, clock=clock, rest=rest):
            run.add(news)
            if run.over or to_stop():
                break
    except DeviceError as error:
        run.fail(str(error))
    if agenda.done and session.state.phase is Phase.STREAMING:
        start_ns = clock.now_ns()
        limit = f"it will be stopped in {seconds:g} s"
        if seconds == inf:
            limit = "it ends with the experiment" if agenda.experiments else ""
        report("; ".join(filter(None, ("Everything runs", limit))) + ".")
        with closing(IdleCollection()) as garbage:
            while not (
                to_stop() or run.over or clock.now_ns() - start_ns >= 1e9 * seconds
            ):
                rest(_TICK_S)
                run.poll()
                garbage.idle(time.perf_counter_ns())
                if session.state.armed:
                    start_ns = clock.now_ns()
    run.poll()
    run_s = (clock.now_ns() - start_ns) / 1e9
    agenda.drop()
    if termination is not None and termination.requested:
        session.note(
            "termination", f"{termination.reason}: everything is being stopped"
        )
    if Action.STOP_STREAM in session.state.allowed:
        session.do(Action.STOP_STREAM)
    last_ns = clock.now_ns() + round(1e9 * _SHUT_DOWN_S)
    # The limit does not apply while the session stops: stopping ends by itself, and a
    # recorder on a slow disk needs longer.
    while session.state.phase is not Phase.IDLE:
        if session.state.phase is not Phase.STOPPING and clock.now_ns() >= last_ns:
            break
        run.poll()
        rest(_TICK_S)
    run.poll()
    return replace(run.summary, seconds=run_s, started=run.streamed)


@dataclass
class _Run:
    session: RigSession
    report: Callable[[str], object]
    summary: Summary
    over: bool = False
    streamed: bool = False
    """The cameras have delivered frames."""
    _began: bool = False
    _activity: str = ""
    _levels: dict[str, float] = field(default_factory=dict)

    def poll(self) -> None:
        self.add(self.session.poll())

    def add(self, entries: Sequence[News]) -> None:
        for news in entries:
            self._add(news)
        self.summary = self.summary.with_state(self.session.state)

    def fail(self, text: str, *, grave: bool = True) -> None:
        self.over = self.over or grave
        # a failed output fails again when it is switched off: it is reported once
        if text in self.summary.failures:
            return
        self.report(f"Problem: {text}")
        self.summary = self.summary.with_failure(text)

    def _add(self, news: News) -> None:
        self.summary.add(news)
        if isinstance(news, Step):
            for command in news.commands:
                if isinstance(command, Mark):
                    self.report(f"experiment: {command.text}")
        if isinstance(news, Failed):
            self.fail(news.text, grave=news.grave)
        elif isinstance(news, Note):
            text = last_line(news.text) if news.is_alarm else news.text
            self.report(f"{news.kind}: {text}")
        elif isinstance(news, Edge):
            if self._levels.get(news.output, 0.0) != news.level:
                self.report(
                    f"output {news.output}: {_level(news.level)} ({news.cause})"
                )
            self._levels[news.output] = news.level
        elif isinstance(news, StateChanged):
            phase = news.state.phase
            self.streamed = self.streamed or phase is Phase.STREAMING
            if (activity := activity_of(news.state)) != self._activity:
                self.report(activity)
            self._activity = activity
            self.over = self.over or (self._began and phase is Phase.IDLE)
            self._began = self._began or phase is not Phase.IDLE


def _level(level: float) -> str:
    return {0.0: "off", 1.0: "on"}.get(level, f"at {level:.0%}")


def activity_of(status: SessionState) -> str:
    """Return the phase and the present activities: `streaming, analysing, recording`."""
    activities = [
        activity
        for activity, active in (
            ("analysing", status.analysing),
            ("armed", status.armed),
            ("experiment running", status.experimenting),
            ("experiment starting", status.experiment_starting),
            ("recording", status.recording),
            ("recording starting", status.recording_starting),
        )
        if active
    ]
    return ", ".join([status.phase.value, *activities])
