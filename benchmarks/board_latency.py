"""From write to pin: a board with our firmware, and pyfirmata2 with StandardFirmata.

Both boards are an emulated Uno (simavr) on a pseudo-terminal at the pace of a real one, on
this computer, one after the other in the same run; the emulator looks at its line every 0.2 ms.
StandardFirmata comes as a file, the hex or elf of an Uno (`junk/hex/uno/` of the npm package
avrgirl-arduino 5.0.1 has one), and pyfirmata2 must be installed; without them ours is measured
alone. Linux only, with what .ci/run installs.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from outputs.board.output import BoardPin
from tests.firmware.powered import Powered, powered

PIN, PLACE = 13, "B5"
FIRMATA_BAUDRATE = 57_600
GAP_S = 0.005
"""Between two writes."""


@dataclass
class Way:
    """A board, and how its pin is written."""

    board: Powered
    write: Callable[[int], object]
    wall_ms: list[float] = field(default_factory=list)
    """From the call to the pin."""
    call_ms: list[float] = field(default_factory=list)
    """How long the call took."""
    board_ms: list[float] = field(default_factory=list)
    """From the command's last byte to the pin, in the board's cycles."""

    def measure(self, level: int) -> None:
        """Write once, and wait for the pin."""
        start_ns = time.perf_counter_ns()
        self.write(level)
        self.call_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        edge = self.board.until_level(PLACE, level)
        self.wall_ms.append((edge.wall_ns - start_ns) / 1e6)
        last = [cycle for cycle in self.board.took if cycle <= edge.cycle][-1]
        self.board_ms.append((edge.cycle - last) / 16_000)

    def figures(self) -> dict[str, dict[str, float]]:
        """Return what came of it, in ms."""
        told = {"wall": self.wall_ms, "call": self.call_ms, "board": self.board_ms}
        return {
            name: {
                "median": float(np.median(values)),
                "p99": float(np.percentile(values, 99)),
                "max": max(values),
            }
            for name, values in told.items()
        }


@contextmanager
def ours() -> Iterator[Way]:
    """Open a pin of a board with our firmware."""
    with powered() as board:
        pin = BoardPin(port=board.port, pin=PIN, watchdog_ms=1000)
        with pin.opened() as write:
            yield Way(board, write)


@contextmanager
def firmata(program: Path) -> Iterator[Way]:
    """Open a pin of a board with StandardFirmata, through pyfirmata2."""
    try:
        import pyfirmata2
    except ModuleNotFoundError as error:
        raise SystemExit(
            "--firmata needs pyfirmata2: pip install pyfirmata2"
        ) from error

    with tempfile.TemporaryDirectory() as folder:
        if program.suffix == ".hex":
            elf = Path(folder) / "firmata.elf"
            convert = "avr-objcopy -I ihex -O elf32-avr --rename-section .sec1=.text"
            subprocess.run([*convert.split(), str(program), str(elf)], check=True)
            program = elf
        with powered(program, FIRMATA_BAUDRATE) as board:
            arduino = pyfirmata2.Arduino(board.port)
            try:
                yield Way(board, arduino.digital[PIN].write)
            finally:
                arduino.exit()


def main() -> int:
    """Measure, print a table, and write the figures if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firmata", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="30 writes, not 500")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    writes = 30 if asked.quick else 500
    results = {"our firmware, our driver": measured(ours, writes)}
    if asked.firmata is None:
        print("no --firmata FILE: pyfirmata2 with StandardFirmata is not measured")
    else:
        name = "StandardFirmata, pyfirmata2"
        results[name] = measured(lambda: firmata(asked.firmata), writes)
    show(results)
    if asked.json:
        told = {"machine": platform.platform(), "writes": writes, "ms": results}
        asked.json.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    return 0


def measured(
    way: Callable[[], "contextmanager[Way]"], writes: int
) -> dict[str, dict[str, float]]:
    """Return the figures of one way."""
    with way() as it:  # type: ignore[attr-defined]
        for number in range(writes + 4):
            it.measure(1 - number % 2)
            time.sleep(GAP_S)
        for values in (it.wall_ms, it.call_ms, it.board_ms):
            del values[:4]
        return dict(it.figures())


def show(results: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print a table, in ms."""
    print(f"{'write to pin, ms':32}{'median':>9}{'99 %':>9}{'max':>9}")
    for name, figures in results.items():
        for what, values in figures.items():
            numbers = "".join(f"{values[key]:9.3f}" for key in ("median", "p99", "max"))
            print(f"{name + ', ' + what:32}{numbers}")


if __name__ == "__main__":
    sys.exit(main())
