"""Program process: one of our programs, running in a process of its own."""

import codecs
import sys
from collections.abc import Sequence
from pathlib import Path

from PyQt5.QtCore import (
    QObject,
    QProcess,
    QProcessEnvironment,
    QTimer,
    pyqtSignal,
)

from deeplabstream.files.paths import INSTALLED, ROOT
from deeplabstream.gui.process_marks import VARIABLE as MARKS
from deeplabstream.gui.process_marks import await_end, new_mark, with_own_marks
from deeplabstream.startup.arguments import quoted
from deeplabstream.startup.program import CANT
from deeplabstream.startup.progress import VARIABLE

_PATIENCE_MS = 2000
"""How long to wait for what was asked to end."""
_SWITCHING_OFF_MS = 10_000
"""The same for processes that may hold outputs: the second guard acts after the first."""
_KILLED_MS = 10_000
"""How long to wait for what was killed; only one that waits for a driver takes long."""
_Decoder = codecs.getincrementaldecoder("utf-8")


def command_line(program: str, arguments: Sequence[str]) -> str:
    """Return the command that runs `utils/PROGRAM`; in a checkout, from its folder."""
    script, python = ROOT / "utils" / program, Path(sys.executable)
    if not INSTALLED:
        script = script.relative_to(ROOT)
        if python.is_relative_to(ROOT):
            python = python.relative_to(ROOT)
    return " ".join(map(quoted, (python, script, *arguments)))


class ProgramProcess(QObject):
    """Starts a program under `utils/` and emits its output."""

    said = pyqtSignal(str)
    """Some of its output, lines whole or not, as it comes."""
    ended = pyqtSignal(int, bool)
    """It has ended: its exit code, and whether it was killed."""

    def __init__(
        self, parent: QObject, *, progress: bool = False, errors_apart: bool = False
    ) -> None:
        """Start nothing yet.

        With `progress`, lines of progress are among its output; with `errors_apart`, errors
        and warnings are not: `errors` returns them.
        """
        super().__init__(parent)
        self._decoder = _Decoder("replace")
        self.process = QProcess(self)
        if not errors_apart:
            self.process.setProcessChannelMode(
                QProcess.ProcessChannelMode.MergedChannels
            )
        self.process.readyReadStandardOutput.connect(self._read)
        self.process.finished.connect(self._ended)
        self.process.errorOccurred.connect(self._take_error)
        self.switches_outputs = False
        """Whether the program switches outputs of the rig; its guards switch them off."""
        self._mark = new_mark()
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert(MARKS, with_own_marks(self._mark))
        environment.insert("PYTHONUNBUFFERED", "1")
        environment.insert("PYTHONIOENCODING", "utf-8")
        if progress:
            environment.insert(VARIABLE, "1")
        self.process.setProcessEnvironment(environment)

    def start(self, program: str, arguments: Sequence[str]) -> None:
        """Run `utils/PROGRAM` with these words."""
        script = str(ROOT / "utils" / program)
        self._decoder.reset()
        self.process.start(sys.executable, [script, *arguments])

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.state() != QProcess.ProcessState.NotRunning

    def errors(self) -> str:
        """Return its errors and warnings since the last call, with `errors_apart`."""
        return bytes(self.process.readAllStandardError()).decode("utf-8", "replace")

    def stop(self) -> None:
        """Ask it to end, then end it and all processes that it started."""
        if not self.running:
            return
        self.process.finished.disconnect(self._ended)
        self.process.waitForStarted(_KILLED_MS)  # before that, asking has no effect
        if sys.platform == "win32":  # asking would close windows: it has none
            self.process.kill()
        else:
            self.process.terminate()
        if not self.process.waitForFinished(_PATIENCE_MS):
            self.process.kill()
            self.process.waitForFinished(_KILLED_MS)
        # those that hold outputs switch them off once the program is gone
        patience_ms = _SWITCHING_OFF_MS if self.switches_outputs else _PATIENCE_MS
        if not await_end(self._mark, patience_ms / 1000):
            await_end(self._mark, _KILLED_MS / 1000, kill=True)
        self.process.finished.connect(self._ended)

    def _read(self) -> None:
        """Emit what has come; a letter of which only some bytes have come waits."""
        text = self._decoder.decode(bytes(self.process.readAllStandardOutput()))
        if text:
            self.said.emit(text)

    def _take_error(self, error: QProcess.ProcessError) -> None:
        """Tell of a program that can't be started, once `start` has returned."""
        if error == QProcess.ProcessError.FailedToStart:
            QTimer.singleShot(0, self._end_unstarted)

    def _end_unstarted(self) -> None:
        reason = self.process.errorString()
        self.said.emit(f"{self.process.program()} can't be started: {reason}\n")
        self.ended.emit(CANT, False)

    def _ended(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        self.ended.emit(code, status == QProcess.ExitStatus.CrashExit)
