"""Boards in the computer: the real firmware, built by avr-gcc and run by simavr."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from outputs.board.protocol import (
    MessageType,
    Packet,
    PacketSplitter,
    decode_packet,
    encode_packet,
)

ROOT = Path(__file__).resolve().parents[2]
SKETCH = ROOT / "firmware" / "DeepLabStreamBoard"
AVR = Path("/usr/share/arduino/hardware/arduino/avr")
HERTZ = 16_000_000
MS = HERTZ // 1000
TOOLS = ("avr-gcc", "avr-g++", "gcc")

needs_simavr = pytest.mark.skipif(
    sys.platform != "linux"
    or ("CI" not in os.environ and not all(map(shutil.which, TOOLS))),
    reason="boards are emulated on Linux only, with what .ci/run installs",
)
"""Where .ci/run runs, a missing tool is an error, never a skipped test."""


@dataclass(frozen=True)
class Chip:
    """A board that can be emulated."""

    name: str
    mcu: str
    variant: str
    board: str
    ports: str


UNO = Chip("uno", "atmega328p", "standard", "UNO", "BCD")
MEGA = Chip("mega", "atmega2560", "mega", "MEGA2560", "ABCDEFGHJKL")


@cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="board")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _run(folder: Path, *command: str | Path) -> None:
    words = [*map(str, command)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    assert "warning" not in done.stderr, done.stderr


@cache
def firmware(chip: Chip, *defines: str) -> Path:
    """Return the firmware as an Arduino tool would build it, with the genuine core."""
    out = _folder() / "-".join([chip.name, *defines])
    out.mkdir()
    core = AVR / "cores" / "arduino"
    flags = [
        *(f"-mmcu={chip.mcu}", f"-DF_CPU={HERTZ}L", "-DARDUINO=10819"),
        *(f"-DARDUINO_AVR_{chip.board}", "-DARDUINO_ARCH_AVR", "-DDECIMAL_DIG=17"),
        *("-Os", "-ffunction-sections", "-fdata-sections"),
        *(f"-I{core}", f"-I{AVR / 'variants' / chip.variant}"),
        *(f"-D{define}" for define in defines),
    ]
    cpp = ["avr-g++", "-std=gnu++11", "-fno-exceptions", "-fno-threadsafe-statics"]
    plain = ["wiring", "wiring_digital", "wiring_analog", "hooks", "WInterrupts"]
    parts = [
        "main",
        "HardwareSerial",
        "HardwareSerial0",
        "Print",
        "WString",
        "abi",
        "new",
    ]
    _run(out, "avr-gcc", *flags, "-w", "-c", *(core / f"{name}.c" for name in plain))
    _run(out, *cpp, *flags, "-w", "-c", *(core / f"{name}.cpp" for name in parts))
    _run(out, "avr-ar", "rcs", "core.a", *out.glob("*.o"))
    sources = [*SKETCH.glob("*.cpp"), "-x", "c++", SKETCH / "DeepLabStreamBoard.ino"]
    rest = "-x", "none", "core.a", "-lm"
    ours = "-Wall", "-Wextra", "-Wl,--gc-sections", "-o", "board.elf"
    _run(out, *cpp, *flags, *ours, *sources, *rest)
    return out / "board.elf"


@cache
def emulator() -> Path:
    """Return the emulator's program."""
    program = _folder() / "emulator"
    source = Path(__file__).with_name("emulator.c")
    libraries = "-lsimavr", "-lutil", "-lpthread", "-lm"
    _run(_folder(), "gcc", "-O2", "-Wall", "-o", program, source, *libraries)
    return program


@dataclass(frozen=True)
class Edge:
    """A pin that changed."""

    cycle: int
    pin: str
    """Port and bit: B1 is the Uno's pin 9."""
    level: int
    wall_ns: int = 0
    """When the emulator noticed it, as `perf_counter_ns` counts on Linux."""


class Trace:
    """What the pins of a board did."""

    def __init__(self) -> None:
        self.edges: list[Edge] = []

    def level(self, pin: str) -> int:
        """Return the present level of a pin."""
        return next((e.level for e in reversed(self.edges) if e.pin == pin), 0)

    def edges_of(self, pin: str) -> list[Edge]:
        """Return what a pin did, its repetitions left out."""
        edges = [edge for edge in self.edges if edge.pin == pin]
        before = [0, *(edge.level for edge in edges)]
        return [
            edge for was, edge in zip(before, edges, strict=False) if was != edge.level
        ]

    def widths_us(self, pin: str) -> list[float]:
        """Return for how long the pin stayed at each level, beginning with high."""
        cycles = [edge.cycle for edge in self.edges_of(pin)]
        return [(end - start) / 16 for start, end in pairwise(cycles)]


class Board(Trace):
    """A board that goes on only when told to: nothing depends on the wall's clock."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        super().__init__()
        self._process = process
        self.said: list[tuple[int, int]] = []
        """Bytes from its serial port, each with its cycle."""
        self.cycle = 0
        self.session = 0
        self.sequence = 0
        self._splitter = PacketSplitter()
        self._heard = 0
        self._peeked = 0

    def tell(self, line: str) -> None:
        """Give the emulator an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def run(self, ms: float) -> None:
        """Let the board go on."""
        self.tell(f"run {round(ms * MS)}")
        self._until_now()

    def peek(self, address: int) -> int:
        """Return what a register holds."""
        self.tell(f"peek {address:x}")
        self._until_now()
        return self._peeked

    def poke(self, address: int, value: int) -> None:
        """Write a register as a program on the board does."""
        self.tell(f"poke {address:x} {value}")

    def _until_now(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, *rest = line.split()
            if word == "edge":
                self.edges.append(Edge(int(rest[0]), rest[1] + rest[2], int(rest[3])))
            elif word == "said":
                self.said.append((int(rest[0]), int(rest[1], 16)))
            elif word == "peek":
                self._peeked = int(rest[0])
            elif word == "now":
                self.cycle = int(rest[0])
                return
        raise AssertionError("the emulator ended")

    def send(self, data: bytes) -> None:
        """Put bytes on the line to the board."""
        for start in range(0, len(data), 1000):
            self.tell(f"send {data[start : start + 1000].hex()}")

    def pin(self, pin: str, level: int) -> None:
        """Put a level on a pin from outside."""
        self.tell(f"pin {pin[0]} {pin[1]} {level}")

    def frame(self, kind: MessageType, payload: bytes = b"") -> bytes:
        """Return the next frame of this session."""
        self.sequence += 1
        return encode_packet(self.sequence, kind, payload, self.session)

    def hello(self, session: int = 0x1234) -> Packet:
        """Begin a session and return who the board says it is."""
        self.session, self.sequence = session, 0
        payload = b"\1" + session.to_bytes(2, "little")
        self.send(b"\0" + encode_packet(0, MessageType.HELLO, payload, 0))
        self.run(5)
        return self.heard()[-1]

    def ask(self, kind: MessageType, payload: bytes = b"", ms: float = 2) -> Packet:
        """Send a frame and return the answer, the first that comes."""
        self.send(self.frame(kind, payload))
        self.run(ms)
        return self.heard()[0]

    def heard(self) -> list[Packet]:
        """Return the frames that came since the last call."""
        fresh = bytes(byte for _, byte in self.said[self._heard :])
        self._heard = len(self.said)
        return [
            decode_packet(coded, self.session)
            for coded in self._splitter.packets(fresh)
        ]


@contextmanager
def emulated(*defines: str, chip: Chip = UNO) -> Iterator[Board]:
    """Run a board that goes on only when told to."""
    command = [str(emulator()), chip.mcu, str(HERTZ), chip.ports]
    command.append(str(firmware(chip, *defines)))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        board = Board(process)
        board.run(5)
        yield board
        process.kill()
