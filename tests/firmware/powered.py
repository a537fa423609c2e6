"""Boards at the pace of the wall's clock, on a pseudo-terminal, as programs meet them."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from outputs.board.protocol import BAUDRATE
from tests.firmware.emulation import HERTZ, UNO, Edge, Trace, emulator, firmware

PATIENCE_S = 60.0


class Powered(Trace):
    """An emulated board that runs by itself."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        super().__init__()
        self._process = process
        self._change = threading.Condition()
        self.port = ""
        self.took: list[int] = []
        """The cycles at which bytes reached it."""
        self.answers = 0
        """Of the emulator to `now`."""
        self.cycle = 0
        """Of its clock at the last answer."""
        self.ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.until(lambda: self.port)

    def until(self, happened: Callable[[], object]) -> None:
        """Wait until something happened on the board."""
        with self._change:
            assert self._change.wait_for(happened, PATIENCE_S), self.edges

    def until_level(self, pin: str, level: int) -> Edge:
        """Wait until a pin has a level; return the edge that led to it."""
        self.until(lambda: self.level(pin) == level)
        return next(e for e in reversed(self.edges) if e.pin == pin)

    def pin(self, pin: str, level: int) -> None:
        """Put a level on a pin from outside."""
        self._tell(f"pin {pin[0]} {pin[1]} {level}")

    def wire(self, pin: str, other: str) -> None:
        """Connect the second pin, an input, to the first."""
        self._tell(f"wire {pin[0]} {pin[1]} {other[0]} {other[1]}")

    def catch_up(self, seconds: float) -> None:
        """Keep its clock at the pace of the wall's over pauses of so many seconds."""
        self._tell(f"lag {round(seconds * 1e6)}")

    def slow_down(self, times: int) -> None:
        """Have its clock run so many times slower than the wall's.

        A program that is held up then starves its watchdog much later.
        """
        self._tell(f"slow {times}")

    def watch(self, pin: str, file: Path) -> None:
        """Write the last edges of a pin into a file: `tests.firmware.led_camera` reads it."""
        self._tell(f"watch {pin[0]} {pin[1]} {file}")

    def now(self) -> None:
        """Wait until the emulator has done what it was told."""
        before = self.answers
        self._tell("now")
        self.until(lambda: self.answers > before)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def unplug(self) -> None:
        """Take it away, its port with it."""
        self._process.kill()
        self._process.wait()
        self._thread.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, *rest = line.split()
            with self._change:
                if word == "edge":
                    cycle, level, wall_ns = (int(rest[n]) for n in (0, 3, 4))
                    edge = Edge(cycle, rest[1] + rest[2], level, wall_ns)
                    self.edges.append(edge)
                elif word == "took":
                    self.took.append(int(rest[0]))
                elif word == "now":
                    self.cycle = int(rest[0])
                    self.answers += 1
                elif word == "pty":
                    self.port = rest[0]
                self._change.notify_all()
        with self._change:
            self.ended = True
            self._change.notify_all()


@contextmanager
def powered(
    program: Path | None = None, baudrate: int = BAUDRATE, prompt: bool = False
) -> Iterator[Powered]:
    """Run an Uno by itself, with our firmware or with another program.

    `prompt`: before all other programs, where that is permitted: a real board does not wait
    for them either.
    """
    command = [str(emulator()), UNO.mcu, str(HERTZ), UNO.ports]
    command += [str(program or firmware(UNO)), "--pty", str(baudrate)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        if prompt:
            with suppress(PermissionError):
                order = os.sched_param(15)  # cameras and engine have 12 and 10
                os.sched_setscheduler(process.pid, os.SCHED_RR, order)
        board = Powered(process)
        try:
            yield board
        finally:
            board.unplug()
