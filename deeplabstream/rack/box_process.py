"""Box process: a box as its rack sees it, a program of its own that is started and stopped."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from deeplabstream.core.clock import Clock
from deeplabstream.rack.box_status import (
    BoxStatus,
    StatusReader,
    box_folder,
    status_file,
)
from deeplabstream.rack.stop_line import STOP

PRINTED = "printed.txt"
"""What a box has printed, in its folder; the one before has `EARLIER`."""
EARLIER = "printed before.txt"


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
        self._stopping = False
        self.exit_code: int | None = None
        """Exit code; None: it ran at the last reading; negative: the signal that killed it."""
        self.printed = box_folder(rack, name) / PRINTED
        self.printed.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            self.printed.replace(self.printed.with_name(EARLIER))
        with self.printed.open("wb") as output:
            self._process = _started(command, output)

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
        self._stopping = True
        line = self._process.stdin
        if line is not None and not line.closed:
            with suppress(OSError):  # it has already ended
                line.write(STOP + b"\n")
            with suppress(OSError):
                line.close()

    def read(self) -> None:
        """Read whether it still runs, and its newest report."""
        self.exit_code = self._process.poll()
        self._report.read()

    @property
    def state(self) -> str:
        """What it does, or how it has ended."""
        if self.exit_code is not None:
            return _ended(self.exit_code)
        if self._report.silent:
            return "does not answer"
        if self._stopping:
            return "stopping"
        return self.status.state if self.status else "starting"


def _started(command: Sequence[str], output: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a program in a process session of its own, with a pipe to its input."""
    group = 0
    if sys.platform == "win32":
        group = subprocess.CREATE_NEW_PROCESS_GROUP
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        bufsize=0,
        start_new_session=True,
        creationflags=group,
    )


def _ended(code: int) -> str:
    if code == 0:
        return "ended"
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"failed, exit code {code}"
