"""The real window, whose actions are measured: run as a program, it prints one JSON line each.

    python -m tests.gui.watched_window settings.ini labels run

The run `audited` beside the run has videos and the sample of an audit.

An action is one use of the window by a person. Measured is the CPU time of Qt's thread, so
that other programs of the computer do not count, in its longest stretch without a look at
new events; and whether a busy sign was painted in the first part of that stretch.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from PyQt5.QtCore import QAbstractEventDispatcher, QEvent, QObject, QTimer
from PyQt5.QtWidgets import QApplication

from deeplabstream.gui.application import application
from deeplabstream.gui.widgets.busy_sign import BusySign

if TYPE_CHECKING:
    from deeplabstream.engine.session.session import RigSession

LIMIT_S = 0.3
"""CPU time after which a person waits for a sign."""
WINDOW = "deeplabstream.gui.main_window"
_SETTLED = 4
"""Ticks without work after which the next action begins."""
Step: TypeAlias = tuple[str, Callable[[], object], Callable[[], bool]]


class Watch(QObject):
    """Measures the longest stretch of work of Qt's thread since `begin`."""

    def __init__(self) -> None:
        super().__init__()
        self.since = self.signed = time.thread_time()
        self.longest, self.is_signed = 0.0, True
        self.first_sign: dict[str, object] = {"action": "start", "sign": False}
        """Whether a sign was painted before the modules of the window were imported."""
        dispatcher = QAbstractEventDispatcher.instance()
        assert dispatcher is not None
        # One of the two comes before an event is handled, the other after; which one
        # depends on the platform.
        dispatcher.aboutToBlock.connect(self.end_stretch)
        dispatcher.awake.connect(self.end_stretch)
        application().installEventFilter(self)

    def begin(self) -> None:
        """Begin an action."""
        self.longest, self.is_signed = 0.0, True
        self.since = time.thread_time()

    def end_stretch(self) -> None:
        """End a stretch of work, and begin another."""
        now = time.thread_time()
        if now - self.since > self.longest:
            self.longest = now - self.since
            self.is_signed = self.since <= self.signed <= self.since + LIMIT_S
        self.since = now

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Note when a busy sign is painted."""
        paints = event is not None and event.type() == QEvent.Type.Paint
        if paints and isinstance(watched, BusySign):
            self.signed = time.thread_time()
            if WINDOW not in sys.modules:
                self.first_sign["sign"] = True
        return False


def actions(labels: Path, run: Path) -> Iterator[Step]:
    """Yield name and action, and whether the action has ended."""
    from deeplabstream.engine.session.session_state import Action, Phase
    from deeplabstream.gui.dialogs.dialog_input import dialog_in_front
    from deeplabstream.gui.main_window import MainWindow
    from deeplabstream.gui.pages.network_page import NetworkPage
    from deeplabstream.gui.pages.results_page import ResultsPage
    from deeplabstream.gui.pages.runs_page import RunsPage

    def at_once() -> bool:
        return True

    windows = QApplication.topLevelWidgets()
    (window,) = (found for found in windows if isinstance(found, MainWindow))
    session = window.bridge.session
    for name in window.navigation.pages:
        yield f"page {name}", partial(window.show_page, name), at_once

    network, runs, results = map(window.page, ("Network", "Runs", "Results"))
    assert isinstance(network, NetworkPage)
    assert isinstance(runs, RunsPage)
    assert isinstance(results, ResultsPage)
    yield "open labels", lambda: network.open(labels), at_once
    for name, button in network.tabs.items():
        yield f"tab {name}", button.click, at_once
    yield "open run", lambda: window.open_run(run), lambda: runs.view.review is not None
    audited = run.with_name("audited")
    yield (
        "open the audited run",
        lambda: window.open_run(audited),
        lambda: runs.view.review is not None,
    )
    yield "audit", runs.show_audit, lambda: runs.audit.shown
    yield "overlay", runs.audit.overlay.click, at_once
    while runs.audit.clip is not None:
        yield (
            "verdict",
            partial(runs.audit.give, "right"),
            lambda: runs.audit.shown or runs.audit.figures.isVisible(),
        )
    yield "leave the audit", runs.cancel, at_once
    yield (
        "open results",
        lambda: window.open_run(run, "Results"),
        lambda: results.measured is not None,
    )
    for name in ("Measures", "Plots", "Regions", "Correct", "Table", "Groups"):
        yield f"results, {name}", partial(results.show_tab, name), at_once

    menu = window.menu.actions
    yield (
        "new rig",
        menu["New rig"].trigger,
        lambda: dialog_in_front() is not None,
    )
    wizard = dialog_in_front()
    assert wizard is not None
    yield "close the wizard", wizard.reject, lambda: dialog_in_front() is None
    for name in ("Documentation", "Keyboard shortcuts"):
        yield name, menu[name].trigger, at_once
    other = window.document.path.with_name("other.ini")
    other.write_text(window.document.text, "utf-8")
    yield "open rig", lambda: window.menu.open_file(other), at_once

    window.show_page("Live")
    press = window.live.controls.buttons
    yield (
        "start stream",
        press[Action.START_STREAM].click,
        lambda: session.state.phase is Phase.STREAMING and session.state.network_ready,
    )
    for begin, of in (
        (Action.START_ANALYSIS, "analysing"),
        (Action.START_EXPERIMENT, "experimenting"),
    ):
        yield begin.value, press[begin].click, partial(_is, session, of, True)
    for end, of in (
        (Action.STOP_EXPERIMENT, "experimenting"),
        (Action.STOP_ANALYSIS, "analysing"),
    ):
        yield end.value, press[end].click, partial(_is, session, of, False)
    yield (
        "stop stream",
        press[Action.STOP_STREAM].click,
        lambda: session.state.phase is Phase.IDLE,
    )
    QTimer.singleShot(0, window.end)


def write(values: Mapping[str, object]) -> None:
    """Write a line for the test."""
    sys.stdout.write(f"{json.dumps(values)}\n")


def _is(session: "RigSession", what: str, wanted: bool) -> bool:
    return getattr(session.state, what) is wanted


class Person(QObject):
    """Does one action after the other, each when the one before has ended."""

    def __init__(self, watch: Watch, labels: Path, run: Path) -> None:
        super().__init__()
        self.watch = watch
        self._steps: Iterator[Step] | None = None
        self._labels, self._run = labels, run
        self._name, self._quiet = "", 0
        self._ended: Callable[[], bool] = lambda: True
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(20)

    def _look(self) -> None:
        if self._steps is None:
            if WINDOW not in sys.modules:
                return
            write({**self.watch.first_sign, "cpu_s": LIMIT_S})
            self._steps = actions(self._labels, self._run)
        self._quiet = self._quiet + 1 if self._ended() else 0
        if self._quiet < _SETTLED:
            return
        self._quiet = 0
        if self._name:
            self._print()
        step = next(self._steps, None)
        if step is None:
            self._timer.stop()
            return
        self._name, action, self._ended = step
        self.watch.begin()
        QTimer.singleShot(0, action)  # a dialog returns late: not in this timer's event

    def _print(self) -> None:
        watch = self.watch
        values = {"action": self._name, "sign": watch.is_signed}
        write({**values, "cpu_s": watch.longest})


def main(settings: Path, labels: Path, run: Path) -> int:
    """Show the window, and use it; return its exit code."""
    from deeplabstream.gui.app_program import run_window

    application()
    watch = Watch()
    person = Person(watch, labels, run)
    code = run_window(settings, None, ())
    person.deleteLater()
    return code


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
