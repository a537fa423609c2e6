"""Program window: runs one of our programs and shows its output."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QCloseEvent, QTextCursor
from PyQt5.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.progress import MARK, parse_progress
from deeplabstream.gui.dialogs.questions import ask
from deeplabstream.gui.program_process import ProgramProcess
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.training_progress import in_words
from deeplabstream.gui.widgets.buttons import StopButton
from deeplabstream.recording.run_list import list_runs
from deeplabstream.settings.sections import Settings

_SOON_S, _LONG_S = 1.0, 10.0
"""Seconds after which the remaining time is told, and after which closing asks."""
_STOP, _WAIT = "Stop it", "Continue"


class ProgramWindow(QDialog):
    """Output of a program in `utils/` while it runs; closing the window stops it.

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
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.title = title
        self._outcomes = outcomes or {}
        self.setWindowTitle(f"{title} – DeepLabStream")
        self.page = QPlainTextEdit()
        self.page.setReadOnly(True)
        self.page.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.state = QLabel("running …")
        self.state.setObjectName("caption")
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setFixedSize(200, 10)
        self._said = ""
        """A line of progress that has no end yet."""
        self._began: tuple[str, int, float] | None = None
        """What is being done, from which count on, since when (s)."""
        self.stop = StopButton("Stop")
        self.stop.clicked.connect(self._close)
        self._stopping = False
        """Whether the user has pressed Stop, and is not asked again."""
        self._started_ns = SystemClock().now_ns()
        self._foot = foot = QHBoxLayout()
        foot.addWidget(self.bar)
        foot.addWidget(self.state, 1)
        foot.addWidget(self.stop)
        column = QVBoxLayout(self)
        column.addWidget(self.page, 1)
        column.addLayout(foot)
        self.resize(860, 460)
        self.program = ProgramProcess(self, progress=True)
        self.program.said.connect(self._read)
        self.program.ended.connect(self._ended)
        self.program.start(program, arguments)

    def _close(self) -> None:
        self._stopping = True
        self.close()

    def _read(self, text: str) -> None:
        for part in (self._said + text).splitlines(keepends=True):
            self._said = ""
            if MARK[0] in part and not part.endswith("\n"):
                self._said = part
            elif found := parse_progress(part):
                self._show_progress(*found)
            else:
                self._show(part)

    def _show_progress(self, done: int, total: int, what: str) -> None:
        """Show how much is done, and how long the rest will take."""
        self.bar.setRange(0, total if total > 1 else 0)
        self.bar.setValue(done)
        now_s = SystemClock().now_ns() / 1e9
        if self._began is None or self._began[0] != what or done < self._began[1]:
            self._began = what, done, now_s
        _, first, since_s = self._began
        words = f"{what}: {done} of {total}" if total > 1 else f"{what} …"
        if done > first and total > done and now_s - since_s > _SOON_S:
            left_s = (now_s - since_s) / (done - first) * (total - done)
            words += f", {in_words(left_s)} left"
        self.state.setText(words)

    def _show(self, part: str) -> None:
        """Add to the page; a line that ends with a return is replaced by the next."""
        cursor = self.page.textCursor()
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if self.page.property("replaced"):
            cursor.select(QTextCursor.SelectionType.LineUnderCursor)
            cursor.removeSelectedText()
        self.page.setProperty("replaced", part.endswith("\r"))
        cursor.insertText(part.removesuffix("\r"))
        self.page.setTextCursor(cursor)

    def _ended(self, code: int, killed: bool) -> None:
        if killed:
            words = "ended by another program"
        else:
            words = self._outcomes.get(code, f"failed with exit code {code}")
        self.bar.hide()
        self.state.setText(words if code or killed else "done")
        self.stop.setText("Close")
        self.ended.emit(code)

    def offer(self, text: str, do: Callable[[], object]) -> None:
        """Add a button that does something with what the program made, and closes."""

        def act(_checked: bool = False) -> None:
            self.close()
            do()

        button = QPushButton(text)
        button.setProperty("starts", True)
        button.clicked.connect(act)
        self._foot.insertWidget(1, button)

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """Ask the program to end, then make it; after some work, first ask the user."""
        long_s = (SystemClock().now_ns() - self._started_ns) / 1e9
        if event is not None and self.program.running and long_s > _LONG_S:
            question = f"{self.title} is still running. Stop it?"
            if not self._stopping and ask(self, question, _STOP, _WAIT) != _STOP:
                event.ignore()
                return
        self.program.stop()
        super().closeEvent(event)


def runs_of(settings: Settings | None, most: int) -> list[Path]:
    """Return the newest run folders, the newest first."""
    if settings is None:
        return []
    return [run.path for run in list_runs(settings.output_directory, most)]


def rerun_decisions(document: Document, run: Path, parent: QWidget) -> ProgramWindow:
    """Compare a run's decisions with those of the settings in the window, saved or not."""
    settings = str(document.file_as_shown())
    arguments = ["--run", str(run), "--settings", settings]
    outcomes = {1: "Decisions differ: see the list above."}
    window = ProgramWindow(
        "Re-run decisions", "VideoAnalyzer.py", arguments, parent, outcomes
    )
    window.show()
    return window
