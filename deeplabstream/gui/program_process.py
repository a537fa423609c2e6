"""Program process: a program of `utils/` that runs in a separate process.

To end it with all its descendants, they are identified by marks in the environment.
"""

import codecs
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil
from PyQt5.QtCore import (
    QObject,
    QProcess,
    QProcessEnvironment,
    QTimer,
    pyqtSignal,
)

from deeplabstream.core.clock import SystemClock, rest
from deeplabstream.files.paths import INSTALLED, ROOT
from deeplabstream.startup.arguments import quoted
from deeplabstream.startup.program import CANT
from deeplabstream.startup.progress import VARIABLE as PROGRESS

MARKS = "DEEPLABSTREAM_MARKS"
"""Environment variable with the marks of a process, which its descendants inherit.

Parent numbers are not sufficient: on Linux an orphan gets another parent; a process may be
started after the children were listed; and psutil leaves out children that seem older than
their parent, as after the clock was set back.
"""
_POLL_S = 0.02
_PATIENCE_MS = 2000
"""Time that a process has to end after a request."""
_SWITCHING_OFF_MS = 10_000
"""The same for processes with open outputs: the second guard acts after the first."""
_KILLED_MS = 10_000
"""Time that a killed process has to end; one blocked in a driver takes long."""
_Decoder = codecs.getincrementaldecoder("utf-8")


def new_mark() -> str:
    """Return a new, unique mark."""
    return uuid4().hex


def with_own_marks(mark: str) -> str:
    """Return the value of `MARKS` with this mark and the marks of this process."""
    return f"{os.environ.get(MARKS, '')} {mark}".strip()


def await_end(mark: str, patience_s: float, *, kill: bool = False) -> bool:
    """Wait until all processes with this mark have ended; with `kill`, end them.

    False: after `patience_s` some are left.
    """
    clock, none_before = SystemClock(), False
    until_ns = clock.now_ns() + round(patience_s * 1e9)
    while True:
        marked, unknown, ended = _find(mark)
        none = not marked and not unknown
        if none and (none_before or not ended):
            return True
        none_before = none
        for process in marked if kill else ():
            with suppress(psutil.Error):  # it has ended by now
                process.kill()
        if clock.now_ns() > until_ns:
            return False
        rest(_POLL_S)


def _find(mark: str) -> tuple[list[psutil.Process], bool, bool]:
    """Return the marked processes, and whether others may exist or appear.

    Others may exist: a process is just executing another program, and its environment can't
    be read. Others may appear: a process ended after the processes were listed, and may have
    started one that only the next list contains.
    """
    marked, unknown, ended = [], False, False
    for pid in psutil.pids():
        try:
            process = psutil.Process(pid)
            environment = process.environ()
            if mark in environment.get(MARKS, "").split():
                marked.append(process)
            elif not environment and _is_being_replaced(process):
                unknown = True
        except psutil.NoSuchProcess:
            ended = True
        except (psutil.Error, OSError):  # a process of another account
            continue
    return marked, unknown, ended


def _is_being_replaced(process: psutil.Process) -> bool:
    """Return whether a process without environment is about to run another program (exec)."""
    if sys.platform != "linux" or process.cmdline():
        return False
    return bool(process.exe())  # processes of the kernel have none


def command_line(program: str, arguments: Sequence[str]) -> str:
    """Return the command that runs `utils/PROGRAM`; in a checkout, from its folder."""
    script, python = ROOT / "utils" / program, Path(sys.executable)
    if not INSTALLED:
        script = script.relative_to(ROOT)
        if python.is_relative_to(ROOT):
            python = python.relative_to(ROOT)
    return " ".join(map(quoted, (python, script, *arguments)))


class ProgramProcess(QObject):
    """Starts a program of `utils/` and emits its output."""

    output_received = pyqtSignal(str)
    """Part of the output, not necessarily whole lines."""
    ended = pyqtSignal(int, bool)
    """The program has ended: exit code, and whether it was killed."""

    def __init__(
        self, parent: QObject, *, progress: bool = False, errors_apart: bool = False
    ) -> None:
        """With `progress`, the output contains progress lines.

        With `errors_apart`, it contains no errors and warnings: `errors` returns them.
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
            environment.insert(PROGRESS, "1")
        self.process.setProcessEnvironment(environment)

    def start(self, program: str, arguments: Sequence[str]) -> None:
        """Run `utils/PROGRAM` with these arguments."""
        script = str(ROOT / "utils" / program)
        self._decoder.reset()
        self.process.start(sys.executable, [script, *arguments])

    @property
    def running(self) -> bool:
        """Whether the program has not ended."""
        return self.process.state() != QProcess.ProcessState.NotRunning

    @property
    def number(self) -> int:
        """Number of the process; 0: it does not run."""
        return int(self.process.processId())

    def errors(self) -> str:
        """Return errors and warnings since the last call, with `errors_apart`."""
        return bytes(self.process.readAllStandardError()).decode("utf-8", "replace")

    def stop(self) -> None:
        """Request the end, then kill the program and all processes that it started."""
        if not self.running:
            return

        # An end by request is reported by the caller, not by `ended`.
        self.process.finished.disconnect(self._ended)
        # a request before the start has no effect
        self.process.waitForStarted(_KILLED_MS)
        # a request only closes windows, and the program has none
        if sys.platform == "win32":
            self.process.kill()
        else:
            self.process.terminate()
        if not self.process.waitForFinished(_PATIENCE_MS):
            self.process.kill()
            self.process.waitForFinished(_KILLED_MS)

        # Guards and device processes switch outputs off after the program has ended, so
        # they get time before they are killed.
        patience_ms = _SWITCHING_OFF_MS if self.switches_outputs else _PATIENCE_MS
        if not await_end(self._mark, patience_ms / 1000):
            await_end(self._mark, _KILLED_MS / 1000, kill=True)

        self.process.finished.connect(self._ended)

    def _read(self) -> None:
        """Emit the received output; the first bytes of an incomplete character are kept."""
        text = self._decoder.decode(bytes(self.process.readAllStandardOutput()))
        if text:
            self.output_received.emit(text)

    def _take_error(self, error: QProcess.ProcessError) -> None:
        """Report a program that can't be started, after `start` has returned."""
        if error == QProcess.ProcessError.FailedToStart:
            QTimer.singleShot(0, self._end_unstarted)

    def _end_unstarted(self) -> None:
        reason = self.process.errorString()
        self.output_received.emit(
            f"{self.process.program()} can't be started: {reason}\n"
        )
        self.ended.emit(CANT, False)

    def _ended(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        self.ended.emit(code, status == QProcess.ExitStatus.CrashExit)
