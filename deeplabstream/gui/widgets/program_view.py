"""Program view: runs a program of `utils/` and shows its output, progress and results."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PyQt5.QtCore import QUrl, pyqtSignal
from PyQt5.QtGui import QDesktopServices, QFontDatabase, QTextCursor, QTextOption
from PyQt5.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.clock import SystemClock
from deeplabstream.gui.dialogs.questions import CANCEL, REPLACE, show_question
from deeplabstream.gui.program_process import ProgramProcess, command_line
from deeplabstream.gui.theme import repolish
from deeplabstream.gui.widgets.stop_button import StopButton
from deeplabstream.startup.program import CANT
from deeplabstream.startup.progress import (
    MARK,
    RemainingTime,
    format_duration,
    parse_overall,
    parse_progress,
)

_OVERWRITE = "--overwrite"
_TRACEBACK = "Traceback (most recent call last)"
_COMMAND_HEIGHT = 50  # px


class CommandLine(QWidget):
    """The equivalent command line, with a button to copy it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("clear")
        self.line = QPlainTextEdit()
        self.line.setReadOnly(True)
        self.line.setFixedHeight(_COMMAND_HEIGHT)
        self.line.setToolTip("equivalent command for a terminal")
        self.line.setWordWrapMode(QTextOption.WrapMode.WrapAnywhere)
        self.copy = QPushButton("Copy")
        self.copy.setObjectName("tile")
        self.copy.setToolTip("copies the command to the clipboard")
        self.copy.clicked.connect(self._copy)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(self.copy)

    def show_command(self, program: str, arguments: Sequence[str]) -> None:
        """Show the command line of a program."""
        text = command_line(program, arguments)
        if text != self.line.toPlainText():
            self.line.setPlainText(text)

    def _copy(self) -> None:
        if (board := QApplication.clipboard()) is not None:
            board.setText(self.line.toPlainText())


class ProgramView(QWidget):
    """Output of a program in `utils/`, with buttons to stop it and to show its results.

    A program that refuses to replace files can be run again with `--overwrite`.
    """

    started = pyqtSignal()
    """A program was started, possibly again with `--overwrite`."""
    ended = pyqtSignal(int)
    """The program has ended without `cancel`: its exit code."""
    stopped = pyqtSignal()
    """The program was ended by `cancel`."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("clear")
        self.title = ""
        self.page = QPlainTextEdit()
        self.page.setReadOnly(True)
        self.page.setFont(QFontDatabase.systemFont(QFontDatabase.FixedFont))
        self.page.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.state = QLabel()
        self.state.setObjectName("caption")
        self.state.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedSize(200, 10)
        self.stop = StopButton("Stop")
        self.replace = QPushButton("Replace …")
        self.open, self.show_folder = QPushButton("Open"), QPushButton("Show folder")
        self.foot = QHBoxLayout()
        self.foot.addWidget(self.bar)
        self.foot.addWidget(self.state, 1)
        for button in (self.replace, self.open, self.show_folder, self.stop):
            self.foot.addWidget(button)
        self.bar.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.page, 1)
        column.addLayout(self.foot)
        self.program = ProgramProcess(self, progress=True)
        self.program.output_received.connect(self._read)
        self.program.ended.connect(self._ended)
        self.stop.clicked.connect(lambda: self.cancel())
        self.replace.clicked.connect(self._replace)
        self.open.clicked.connect(lambda: _open(self._page_file))
        self.show_folder.clicked.connect(lambda: _open(self._folder))
        self.cancelled = "Stopped."
        """Message shown after Stop."""
        self._command: tuple[str, tuple[str, ...]] = ("", ())
        self._outcomes: Mapping[int, str] = {}
        self._page_file: Path | None = None
        self._folder: Path | None = None
        self._unfinished = ""
        """Incomplete progress line, or a carriage return."""
        self._doing = ""
        """Description of the current step."""
        self._left, self._all_left = RemainingTime(), RemainingTime()
        self._share: float | None = None
        """Share of the whole work that is done, for several videos."""
        self.started_ns = 0
        self._show_buttons(done=False)

    def start(
        self,
        title: str,
        program: str,
        arguments: Sequence[str],
        outcomes: Mapping[int, str] | None = None,
    ) -> None:
        """Run a program; `outcomes` describes exit codes, others are failures."""
        self.title, self._outcomes = title, outcomes or {}
        self._command = program, tuple(arguments)
        self._unfinished, self._doing, self._share = "", "", None
        self._all_left = RemainingTime()
        self.started_ns = SystemClock().now_ns()
        self.page.clear()
        self.page.setProperty("replaced", False)
        self.bar.setRange(0, 0)
        self.bar.show()
        self._show_message("running …")
        self.program.start(program, arguments)
        self._show_buttons(done=False)
        self.started.emit()

    def show_results(self, folder: Path | None, page: Path | None = None) -> None:
        """Set the folder and the file that can be opened after the program has ended."""
        self._folder, self._page_file = folder, page

    def cancel(self) -> None:
        """End the program and all processes that it started."""
        if self.running:
            self.program.stop()
            self.bar.hide()
            self._show_message(self.cancelled)
            self._show_buttons(done=False)
            self.stopped.emit()

    @property
    def running(self) -> bool:
        """Whether the program has not ended."""
        return self.program.running

    def _show_buttons(self, *, done: bool) -> None:
        self.stop.setVisible(self.running)
        self.replace.hide()
        self.open.setVisible(done and _exists(self._page_file))
        self.show_folder.setVisible(done and _exists(self._folder))

    def _show_message(self, text: str, *, problem: bool = False) -> None:
        name = "problem" if problem else "caption"
        if self.state.objectName() != name:
            self.state.setObjectName(name)
            repolish(self.state)
        self.state.setText(text)

    def _read(self, text: str) -> None:
        text = self._unfinished + text
        shown = text.removesuffix("\r")  # possibly the first half of a Windows line end
        self._unfinished = text[len(shown) :]
        for part in shown.splitlines(keepends=True):
            if MARK[0] in part and not part.endswith("\n"):
                self._unfinished = part + self._unfinished
            elif (share := parse_overall(part)) is not None:
                self._share = share
            elif found := parse_progress(part):
                self.show_progress(*found)
            else:
                self._show(part)

    def show_progress(self, done: int, total: int, what: str) -> None:
        """Show progress and remaining time."""
        self.bar.setRange(0, total if total > 1 else 0)
        self.bar.setValue(done)
        now_s = SystemClock().now_ns() / 1e9
        if self._doing != what:
            self._doing, self._left = what, RemainingTime()
        text = f"{what}: {done} of {total}" if total > 1 else f"{what} …"
        if left_s := self._left.after(done, total, now_s):
            text += f", {format_duration(left_s)} left"
        if self._share is not None:
            text += f"; {self._share:.0%} of all"
            if left_s := self._all_left.after(self._share, 1.0, now_s):
                text += f", {format_duration(left_s)} left"
        self._show_message(text)

    def _show(self, part: str) -> None:
        """Add to the output; the next line replaces one that ends with a carriage return."""
        cursor = self.page.textCursor()
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if self.page.property("replaced"):
            cursor.select(QTextCursor.SelectionType.LineUnderCursor)
            cursor.removeSelectedText()
        self.page.setProperty("replaced", part.endswith("\r"))
        cursor.insertText(part.removesuffix("\r"))
        self.page.setTextCursor(cursor)

    def _ended(self, code: int, killed: bool) -> None:
        self.bar.hide()
        self._show_buttons(done=not code and not killed)
        if killed:
            self._show_message("ended by another program", problem=True)
        elif code:
            self._show_message(self._sentence(code), problem=True)
            refused = code == CANT and _OVERWRITE in self._last_line()
            self.replace.setVisible(refused and _OVERWRITE not in self._command[1])
        else:
            self._show_message("done")
        self.ended.emit(code)

    def _sentence(self, code: int) -> str:
        if (
            _TRACEBACK in self.page.toPlainText()
        ):  # Python's exit code 1 may also be an outcome
            return f"failed because of a bug: {self._last_line()}"
        if text := self._outcomes.get(code):
            return text
        last = self._last_line()
        return last if code == CANT and last else f"failed with exit code {code}"

    def _last_line(self) -> str:
        lines = self.page.toPlainText().strip().splitlines()
        return lines[-1].strip() if lines else ""

    def _replace(self) -> None:
        """Run the program again with `--overwrite`, after a confirmation."""
        if show_question(self, self._last_line(), REPLACE, CANCEL) == REPLACE:
            program, arguments = self._command
            self.start(self.title, program, [*arguments, _OVERWRITE], self._outcomes)


def offer(view: ProgramView, text: str, do: Callable[[], Any]) -> QPushButton:
    """Add a button below the output of a view."""
    button = QPushButton(text)
    button.setProperty("starts", True)
    button.clicked.connect(lambda: do())
    view.foot.insertWidget(1, button)
    return button


def _exists(path: Path | None) -> bool:
    return path is not None and path.exists()


def _open(path: Path | None) -> None:
    """Open a folder or file with the desktop's program."""
    if path is not None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
