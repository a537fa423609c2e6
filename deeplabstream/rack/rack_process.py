"""Rack process: the program that runs a rack, as the window sees it that has started it."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from deeplabstream.core.errors import DeviceError
from deeplabstream.rack.box_status import EARLIER, PRINTED, rack_folder
from deeplabstream.rack.line_splitter import LineSplitter
from deeplabstream.rack.program_start import start_program

_LONGEST = 4096
"""Longest line in bytes that is shown whole."""
_READ = 65536
_NUMBER = "process.txt"
"""File with the number of the process that runs a rack."""


def note_process(rack: Path) -> None:
    """Write which process runs a rack, so that another program can end it."""
    file = rack_folder(rack) / _NUMBER
    with suppress(OSError):  # the rack runs all the same
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(os.getpid()), "utf-8")


def program_of_rack(rack: Path) -> psutil.Process | None:
    """Return the program that runs a rack; None: none was found."""
    with suppress(OSError, ValueError, psutil.Error):
        number = int((rack_folder(rack) / _NUMBER).read_text("utf-8"))
        process = psutil.Process(number)
        # another program may have got the number of one that was killed
        if any(Path(word).name == rack.name for word in process.cmdline()):
            return process
    return None


def end_rack(rack: Path) -> bool:
    """Ask the program that runs a rack to stop all boxes and end; False: none was found.

    On Windows it is killed; its boxes then stop because their input ends.
    """
    process = program_of_rack(rack)
    if process is None:
        return False
    with suppress(psutil.Error):  # it has ended meanwhile
        process.terminate()
    return True


class RackProcess:
    """Starts the program with the first command, takes commands to it and reads its lines.

    It prints to a file, so that it goes on when the window has ended. The end of the window
    ends its standard input; the rack file says what happens then.
    """

    def __init__(self, rack: Path, command: Sequence[str]) -> None:
        self._command = command
        self._printed = rack_folder(rack) / PRINTED
        self._process: subprocess.Popen[bytes] | None = None
        self._read_bytes = 0
        self._splitter = LineSplitter(_LONGEST)

    @property
    def number(self) -> int:
        """Process number; 0: it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def send(self, line: str) -> None:
        """Send a command, see `RackCommand`; DeviceError: it can't be carried out."""
        if not self.number:
            self._start()
        pipe = self._process.stdin if self._process is not None else None
        try:
            if pipe is not None:
                pipe.write(f"{line}\n".encode())
        except OSError as error:
            raise DeviceError("the program of the rack has ended: try again") from error

    def lines(self) -> list[str]:
        """Return the lines that it has printed since the last call."""
        try:
            with self._printed.open("rb") as printed:
                printed.seek(self._read_bytes)
                data = printed.read(_READ) if self._process is not None else b""
        except OSError:
            return []
        self._read_bytes += len(data)
        found = self._splitter.split(data)
        return [line.decode("utf-8", "replace").rstrip() for line in found]

    def kill(self) -> None:
        """Kill it: its boxes stop because their input ends."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End its standard input: the window has ended."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def _start(self) -> None:
        self.close()
        self._read_bytes = 0
        try:
            self._printed.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                self._printed.replace(self._printed.with_name(EARLIER))
            with self._printed.open("wb") as output:
                self._process = start_program(self._command, output, subprocess.STDOUT)
        except OSError as error:
            raise DeviceError(f"the rack can't be started: {error}") from error
