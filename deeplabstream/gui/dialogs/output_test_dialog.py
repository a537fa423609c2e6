"""Output test: short pulses of single outputs at a request of the user."""

from collections.abc import Callable
from contextlib import ExitStack

from PyQt5.QtCore import QObject, pyqtSignal

from deeplabstream.core.journal_entries import Acknowledged, Edge, Note
from deeplabstream.engine.checks.output_pulse import OutputTestProcess
from deeplabstream.plugins.output import Output


class OutputTest(QObject):
    """Runs at most one test at a time; `tick` polls it without blocking."""

    reported = pyqtSignal(str, str)
    """A message, and the name of its colour."""
    edged = pyqtSignal(object)
    """Edge: the output was written."""

    acknowledged = pyqtSignal(object)
    """Acknowledged: the output's device has answered."""

    def __init__(
        self, make: Callable[[str, Output], OutputTestProcess] = OutputTestProcess
    ) -> None:
        super().__init__()
        self._make = make
        self._test: OutputTestProcess | None = None
        self._stack = ExitStack()

    @property
    def running(self) -> bool:
        """Whether an output is being tested."""
        return self._test is not None

    def start(self, name: str, output: Output) -> None:
        """Pulse an output that no other process has open."""
        if self._test is None:
            self._test = self._make(name, output)
            self._stack.enter_context(self._test)
            self.reported.emit(f"Testing {name} …", "blue")

    def stop(self) -> None:
        """End the test early and switch the output off."""
        if self._test is not None:
            self._test.stop()

    def tick(self) -> None:
        """Report the events since the last tick."""
        test = self._test
        if test is None:
            return
        for report in test.poll():
            if isinstance(report, Edge):
                self.edged.emit(report)
            elif isinstance(report, Note):
                self.reported.emit(
                    report.text, "red" if report.kind == "error" else "blue"
                )
            elif isinstance(report, Acknowledged):
                self.acknowledged.emit(report)
            else:
                self.reported.emit(report.text, "red")
        if test.over:
            self._test = None
            self._stack.close()
            good = f"{test.name} was on for {test.seconds:g} s and is off again"
            bad = f"Test of {test.name} failed"
            self.reported.emit(
                bad if test.failed else good, "red" if test.failed else "blue"
            )

    def finish(self) -> None:
        """End the test, and wait until the output is off."""
        self._test = None
        self._stack.close()
