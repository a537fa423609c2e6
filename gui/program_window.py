"""One of our programs running in a process of its own, its words in a window."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PyQt5.QtCore import QProcess, QProcessEnvironment, Qt, pyqtSignal
from PyQt5.QtGui import QCloseEvent, QTextCursor
from PyQt5.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

ROOT = Path(__file__).resolve().parents[1]


class ProgramWindow(QDialog):
    """Shows what a program under `utils/` says until it ends; closing stops it."""

    ended = pyqtSignal(int)
    """The program has ended: its exit code."""

    def __init__(
        self, title: str, program: str, arguments: Sequence[str], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"{title} – DeepLabStream")
        self.page = QPlainTextEdit()
        self.page.setReadOnly(True)
        self.page.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.state = QLabel("running …")
        self.state.setObjectName("caption")
        self.stop = QPushButton("Stop")
        self.stop.clicked.connect(self._close)
        self._foot = foot = QHBoxLayout()
        foot.addWidget(self.state, 1)
        foot.addWidget(self.stop)
        column = QVBoxLayout(self)
        column.addWidget(self.page, 1)
        column.addLayout(foot)
        self.resize(860, 460)
        self.process = QProcess(self)
        self.process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self.process.readyReadStandardOutput.connect(self._read)
        self.process.finished.connect(self._ended)
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONUNBUFFERED", "1")
        environment.insert("PYTHONIOENCODING", "utf-8")
        self.process.setProcessEnvironment(environment)
        script = str(ROOT / "utils" / program)
        self.process.start(sys.executable, [script, *arguments])

    def _close(self) -> None:
        self.close()

    def _read(self) -> None:
        text = bytes(self.process.readAllStandardOutput()).decode("utf-8", "replace")
        for part in text.splitlines(keepends=True):
            self._show(part)

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

    def _ended(self, code: int, _status: QProcess.ExitStatus) -> None:
        self._read()
        self.state.setText("done" if code == 0 else f"ended with code {code}")
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
        """Ask the program to end, then make it."""
        if self.process.state() != QProcess.ProcessState.NotRunning:
            self.process.finished.disconnect()
            self.process.terminate()
            if not self.process.waitForFinished(2000):
                self.process.kill()
                self.process.waitForFinished(2000)
        super().closeEvent(event)
