"""Box process: a box as its rack sees it, a program of its own that is started and stopped."""

import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from deeplabstream.core.clock import Clock
from deeplabstream.rack.box_input import STOP, mark_line
from deeplabstream.rack.box_status import (
    EARLIER,
    ENDED,
    PRINTED,
    SILENCE_NS,
    SILENT,
    STARTING,
    STOPPED,
    BoxStatus,
    StatusReader,
    box_folder,
    note_over,
    read_status,
    status_file,
)
from deeplabstream.rack.program_start import start_program

HANG_NS = 30_000_000_000
"""A box whose report is older hangs and is killed; its guards switch its outputs off."""
START_NS = 120_000_000_000
"""The same for a box that has not reported since its start."""
_ASKED = range(129, 193)
"""Exit codes of a program that a signal has asked to end; Windows' codes of a crash are
larger."""


class BoxProcess:
    """The process of a box, in a process session of its own.

    A signal to the rack or its terminal does not reach it: the rack stops it. It also ends
    when the rack is killed, as its standard input ends.
    """

    def __init__(self, rack: Path, name: str, command: Sequence[str], clock: Clock):
        """Start the box; OSError: it can't be started."""
        self.name = name
        file = status_file(rack, name)
        self._report = StatusReader(file, clock)
        self.stopping = False
        """Whether it was asked to end."""
        self._clock = clock
        self._read_ns = self._resumed_ns = clock.now_ns()
        self._processes: dict[int, psutil.Process] = {}
        self.exit_code: int | None = None
        """Exit code; None: it ran at the last reading; negative: the signal that killed it."""
        self.ended_ns = 0
        """Time at which its end was noticed."""
        self.hung_s = 0.0
        """Time without an answer for which it was killed; 0: it was not."""
        self.printed = box_folder(rack, name) / PRINTED
        self.printed.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            self.printed.replace(self.printed.with_name(EARLIER))
        with self.printed.open("w+b") as output:  # the box bounds it, and so reads it
            self._process = start_program(command, output, subprocess.STDOUT)

    @property
    def status(self) -> BoxStatus | None:
        """Last report; None: there is none yet."""
        return self._report.status

    @property
    def failed(self) -> bool:
        """Whether it has ended with an error."""
        return self.exit_code not in (None, 0)

    def stop(self) -> None:
        """Ask the box to switch its outputs off, close its record and end."""
        self.stopping = True
        line = self._process.stdin
        if line is not None and not line.closed:
            with suppress(OSError):  # it has already ended
                line.write(STOP + b"\n")
            self._close_input()

    def mark(self, text: str) -> None:
        """Let the box add a text to its record; OSError: it does not read its input."""
        line = self._process.stdin
        if line is None or line.closed:
            raise BrokenPipeError("its input is closed")
        line.write(mark_line(text) + b"\n")

    @property
    def unexpected(self) -> bool:
        """Whether it has ended without being asked to and before its experiment was over."""
        if self.stopping or self.exit_code in (None, 0):
            return False
        # one that a signal has asked to end has closed its record
        finished = self.status is not None and self.status.finished
        return not (finished or self.exit_code in _ASKED)

    @property
    def left(self) -> list[str]:
        """Names of its processes that run although it has ended, such as its guards."""
        names = {pid: name for name, pid in self._reported().items()}
        return [names.get(pid, "?") for pid, it in self._processes.items() if runs(it)]

    def left_of(self, names: Collection[str] = ()) -> list[psutil.Process]:
        """Return its processes with these names that run; no names: any."""
        numbers = {pid for name, pid in self._reported().items() if name in names}
        return [
            it
            for pid, it in [*self._processes.items()]
            if (pid in numbers or not names) and runs(it)
        ]

    def _close_input(self) -> None:
        if (line := self._process.stdin) is not None:
            with suppress(OSError):
                line.close()

    def kill_left(self) -> None:
        """Kill its processes that run although it has ended."""
        for process in self._processes.values():
            if runs(process):
                with suppress(psutil.Error):
                    process.kill()

    def kill(self) -> None:
        """Kill all its processes, also those that go on without it."""
        self._process.kill()
        self.kill_left()

    def read(self) -> None:
        """Read whether it still runs, and its newest report; kill it if it hangs."""
        if self.exit_code is None:
            self.exit_code = self._process.poll()
            if self.exit_code is not None:
                self.ended_ns = self._clock.now_ns()
                self._close_input()
        before = self.status
        self._report.read()
        if self.status is not before:
            self._know_processes()

        self._kill_if_silent()

    def _kill_if_silent(self) -> None:
        """Kill it if it has not reported for its limit, not counting a suspended rack."""
        now_ns = self._clock.now_ns()
        if now_ns - self._read_ns >= SILENCE_NS:
            self._resumed_ns = now_ns
        self._read_ns = now_ns

        limit_ns = HANG_NS if self.status else START_NS
        since_ns = max(self._report.changed_ns, self._resumed_ns)
        running = self.exit_code is None and not self.hung_s
        if running and now_ns - since_ns >= limit_ns:
            self.hung_s = limit_ns / 1e9
            self._process.kill()

    def _reported(self) -> Mapping[str, int]:
        return self.status.processes if self.status else {}

    def _know_processes(self) -> None:
        """Store the new processes of a report; another may get a number after their end."""
        for pid in self._reported().values():
            if pid not in self._processes:
                with suppress(psutil.Error):
                    self._processes[pid] = psutil.Process(pid)

    @property
    def end(self) -> str:
        """How it has ended, after "the box"."""
        return f"was {self.state}" if self.state.startswith("killed") else self.state

    @property
    def state(self) -> str:
        """What it does, or how it has ended."""
        if self.exit_code is not None:
            if self.hung_s:
                return f"killed after {self.hung_s:.0f} s without an answer"
            return _ended(self.exit_code)
        if self._report.silent:
            return SILENT
        if self.stopping:
            return "stopping"
        return self.status.state if self.status else STARTING


def _ended(code: int) -> str:
    if code == 0:
        return ENDED
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"failed, exit code {code}"


def runs(process: psutil.Process) -> bool:
    """Return whether a process runs; one that waits to be read by its parent has ended."""
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def end_box(rack: Path, name: str) -> bool:
    """Ask a box to end without its rack, which does not answer; False: it was not found.

    On Windows it is killed; its guards then switch its outputs off.
    """
    status = read_status(status_file(rack, name))
    number = status.processes.get("session") if status and not status.ended else None
    if number is None:
        return False
    with suppress(psutil.Error):
        process = psutil.Process(number)
        # another program may have got the number of one that was killed
        if any(Path(word).name == rack.name for word in process.cmdline()):
            note_over(rack, name, STOPPED)
            process.terminate()
            return True
    return False
