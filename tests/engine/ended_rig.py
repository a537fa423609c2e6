"""A program of ours in a terminal of its own, with a laser on another one.

As a user starts it: the program leads the terminal's foreground group, so that what the
terminal sends (Ctrl-C, Ctrl-\\, Ctrl-Z, its being closed) reaches all processes.
"""

import contextlib
import os
import pty
import select
import signal
import sys
import tty
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import psutil

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = stand-in:0
[Camera arena]
KIND = SimulatedCamera
WIDTH = 160
HEIGHT = 120
RATE = 20
SHELTER = no
[Trigger anywhere]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 160 120
[Experiment]
EXP_NAME = always
RECORD_EXP = yes
PATIENCE_S = 60
LOST_MS = 60000
MAX_AGE_MS = 60000
[Experiment always]
KIND = Optogenetic
TRIGGER = anywhere
OUTPUT = laser
MIN_ON_S = 600
MAX_ON_S = 600
MAX_TOTAL_S = 600
[Output laser]
KIND = SerialLine
PORT = {port}
MAX_ON_S = 600
"""
HEARD = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP)
"""What a terminal's program hears, even if the tests run in the background or by nohup."""
WAIT_S = 150.0
"""A loaded computer takes its time to start five processes."""
SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    os.tcsetpgrp(0, os.getpgrp())
    if not os.WIFSTOPPED(status):
        break
    print("STOPPED", flush=True)
    sys.stdin.readline()
    os.tcsetpgrp(0, job)
    os.killpg(job, signal.SIGCONT)
print("ENDED", os.waitstatus_to_exitcode(status), flush=True)
"""
"""A shell with job control: starts a program, `fg` on Return when Ctrl-Z stopped it."""


class Laser:
    """The device's side of a serial line: the bytes that it got."""

    def __init__(self) -> None:
        self.ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self.ours, False)
        self.port = os.ttyname(self._theirs)
        self.heard = b""

    @property
    def on(self) -> bool:
        """Whether the last byte that came switched it on."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.ours, 1000):
                self.heard += data
        return self.heard.endswith(b"H")

    def close(self) -> None:
        os.close(self.ours)
        os.close(self._theirs)


class InTerminal:
    """A program that leads a session, in a terminal of its own."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.said = b""
        self.code: int | None = None
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            for number in HEARD:
                signal.signal(number, signal.SIG_DFL)
            os.chdir(folder)
            # A shell starts background jobs with these ignored; a terminal does not.
            for name in ("SIGINT", "SIGHUP", "SIGQUIT", "SIGTSTP"):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            os.execv(sys.executable, [sys.executable, *command])

    def family(self) -> list[psutil.Process]:
        """Return all its processes."""
        me = psutil.Process(self.pid)
        return [me, *me.children(recursive=True)]

    def type(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def close_terminal(self) -> None:
        os.close(self.terminal)
        self.terminal = -1

    def signal_all(self, number: int) -> None:
        """Signal the whole group, as the terminal does."""
        os.killpg(os.getpgid(self.pid), number)

    def listen(self, seconds: float = 0.02) -> None:
        """Read what it printed, or wait a little."""
        if self.terminal < 0:
            select.select([], [], [], seconds)
            return
        with contextlib.suppress(OSError):
            if select.select([self.terminal], [], [], seconds)[0]:
                self.said += os.read(self.terminal, 10_000)

    def listen_to_the_end(self) -> None:
        """Read all that it printed, until none of its processes has the terminal open.

        The last words of a program may be read only after its end.
        """
        with contextlib.suppress(OSError):  # EIO: nobody can write any more
            while select.select([self.terminal], [], [], WAIT_S)[0]:
                if not (said := os.read(self.terminal, 10_000)):
                    return
                self.said += said
            raise AssertionError("a process of the program has the terminal open")

    def ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def stopped(self) -> bool:
        """Whether the process is stopped, as by Ctrl-Z."""
        return psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

    def shared_memory(self) -> set[Path]:
        """Return the files of shared memory that its processes have mapped."""
        mapped: set[Path] = set()
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                mapped |= {Path(each.path) for each in process.memory_maps()}
        return {path for path in mapped if path.parent == Path("/dev/shm")}

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for a condition; fail with what was printed."""
        give_up_s = perf_counter() + WAIT_S
        while not condition():
            assert perf_counter() < give_up_s, (what, self.said.decode(), self.code)
            self.listen()

    def kill(self) -> None:
        if self.terminal >= 0:
            os.close(self.terminal)
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
