"""Program window: runs a program of `utils/` and shows its output."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QCloseEvent
from PyQt5.QtWidgets import QDialog, QVBoxLayout, QWidget

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.gui.dialogs.questions import show_message, show_question
from deeplabstream.gui.programs import ProgramForm
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.program_form import FORM_WIDTH, ProgramPanel
from deeplabstream.gui.widgets.program_view import CommandLine, ProgramView, offer
from deeplabstream.recording.run_catalogue import list_runs
from deeplabstream.settings.sections import Settings

_LONG_S = 10.0
"""Running time after which closing the window needs a confirmation."""
_FORM_SIZE = (960, 640)  # px
_STOP, _WAIT = "Stop it", "Continue"


class _Window(QDialog):
    """A window with a view of a program; closing it stops the program."""

    def __init__(self, title: str, view: ProgramView, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"{title} – DeepLabStream")
        self.title, self.view = title, view
        self.stopping = False
        """Whether the user has pressed Stop: closing needs no confirmation."""

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """End the program; one that runs for a while only after a confirmation."""
        program = self.view.program
        long_s = (SystemClock().now_ns() - self.view.started_ns) / 1e9
        if event is not None and program.running and long_s > _LONG_S:
            question = f"{self.title} is still running. Stop it?"
            if (
                not self.stopping
                and show_question(self, question, _STOP, _WAIT, until=self.view.ended)
                != _STOP
            ):
                event.ignore()
                return
        program.stop()
        super().closeEvent(event)


class FormWindow(_Window):
    """The form of a program, with some of its fields filled in, and its output."""

    def __init__(
        self,
        program: ProgramForm,
        values: Mapping[str, Sequence[str]],
        models: Path,
        parent: QWidget,
        width: int = FORM_WIDTH,
    ) -> None:
        self.panel = ProgramPanel(program, models, width)
        super().__init__(program.title, self.panel.view, parent)
        self.panel.form.show_values(values)
        column = QVBoxLayout(self)
        column.addWidget(self.panel)
        self.resize(*_FORM_SIZE)


class ProgramWindow(_Window):
    """Output of a program in `utils/` while it runs.

    `outcomes` describes exit codes; others are shown as failures.
    """

    ended = pyqtSignal(int)
    """The program has ended: its exit code."""

    def __init__(
        self,
        title: str,
        program: str,
        arguments: Sequence[str],
        parent: QWidget,
        outcomes: Mapping[int, str] | None = None,
    ) -> None:
        super().__init__(title, ProgramView(), parent)
        self.page, self.state, self.bar = self.view.page, self.view.state, self.view.bar
        self.program, self.stop = self.view.program, self.view.stop
        self.stop.clicked.disconnect()
        self.stop.clicked.connect(self._close)
        self.command = CommandLine()
        self.command.show_command(program, arguments)
        column = QVBoxLayout(self)
        column.addWidget(self.view, 1)
        column.addWidget(self.command)
        self.resize(860, 460)
        self.view.started.connect(lambda: self.stop.setText("Stop"))
        self.view.ended.connect(self._ended)
        self.view.start(title, program, arguments, outcomes)

    def _close(self) -> None:
        self.stopping = True
        self.close()

    def _ended(self, code: int) -> None:
        self.stop.setText("Close")
        self.stop.show()
        self.ended.emit(code)

    def offer(self, text: str, do: Callable[[], object]) -> None:
        """Add a button that calls `do` and closes the window."""

        def act() -> None:
            self.close()
            do()

        offer(self.view, text, act)


def runs_of(settings: Settings | None, most: int) -> list[Path]:
    """Return at most `most` run folders, newest first."""
    if settings is None:
        return []
    return [run.path for run in list_runs(settings.output_directory, most)]


def settings_as_shown(
    document: Document, parent: QWidget, experiment: str = ""
) -> list[str]:
    """Return the arguments with the settings as shown in the window, saved or not.

    `experiment` replaces the experiment of the settings. An empty list: the file can't be
    written, and a message was shown.
    """
    try:
        return ["--settings", str(document.file_as_shown(experiment))]
    except DeviceError as error:
        show_message(parent, str(error))
        return []


def rerun_decisions(document: Document, run: Path, parent: QWidget) -> None:
    """Compare a run's decisions with those of the settings in the window, saved or not."""
    if settings := settings_as_shown(document, parent):
        arguments = ["--run", str(run), *settings]
        outcomes = {1: "Decisions differ: see the list above."}
        ProgramWindow(
            "Re-run decisions", "VideoAnalyzer.py", arguments, parent, outcomes
        ).show()
