"""Program process: one of our programs, running in a process of its own."""

import sys
from collections.abc import Sequence

from PyQt5.QtCore import QObject, QProcess, QProcessEnvironment, pyqtSignal

from deeplabstream.core.paths import ROOT
from deeplabstream.core.progress import VARIABLE

_PATIENCE_MS = 2000


class ProgramProcess(QObject):
    """Starts a program under `utils/` and tells what it says."""

    said = pyqtSignal(str)
    """Some of its words, lines whole or not, as they come."""
    ended = pyqtSignal(int, bool)
    """It has ended: its exit code, and whether it was killed."""

    def __init__(self, parent: QObject, *, progress: bool = False) -> None:
        """With `progress`, lines of progress are among what it says."""
        super().__init__(parent)
        self.process = QProcess(self)
        self.process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self.process.readyReadStandardOutput.connect(self._read)
        self.process.finished.connect(self._ended)
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONUNBUFFERED", "1")
        environment.insert("PYTHONIOENCODING", "utf-8")
        if progress:
            environment.insert(VARIABLE, "1")
        self.process.setProcessEnvironment(environment)

    def start(self, program: str, arguments: Sequence[str]) -> None:
        """Run `utils/PROGRAM` with these words."""
        script = str(ROOT / "utils" / program)
        self.process.start(sys.executable, [script, *arguments])

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.state() != QProcess.ProcessState.NotRunning

    def stop(self) -> None:
        """Ask it to end, then make it; nothing is told of that."""
        if self.running:
            self.process.finished.disconnect(self._ended)
            if sys.platform == "win32":  # asking would close windows: it has none
                self.process.kill()
            else:
                self.process.terminate()
            if not self.process.waitForFinished(_PATIENCE_MS):
                self.process.kill()
                self.process.waitForFinished(_PATIENCE_MS)
            self.process.finished.connect(self._ended)

    def _read(self) -> None:
        text = bytes(self.process.readAllStandardOutput()).decode("utf-8", "replace")
        if text:
            self.said.emit(text)

    def _ended(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        self.ended.emit(code, status == QProcess.ExitStatus.CrashExit)
