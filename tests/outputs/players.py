"""Programs that play a device: started, listened to, told what happens to them."""

import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60


class Player:
    """A running program of this folder."""

    def __init__(self, program: "subprocess.Popen[str]") -> None:
        self._program = program
        self._lines: queue.Queue[str] = queue.Queue()
        # Kept apart: a device prints from threads of its own, before or after "done".
        self._acknowledgements: queue.Queue[str] = queue.Queue()
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()
        self.address = ""
        """What it printed first."""

    def heard(self) -> str:
        """Return the next line it prints."""
        return self._lines.get(timeout=PATIENCE_S)

    def heard_until(self, last: str) -> list[str]:
        """Return all lines up to `last`."""
        lines = [self.heard()]
        while lines[-1] != last:
            lines.append(self.heard())
        return lines

    def tell(self, word: str) -> None:
        """Have something happen to it; it has when this returns."""
        assert self._program.stdin is not None
        self._program.stdin.write(f"{word}\n")
        self._program.stdin.flush()
        self._acknowledgements.get(timeout=PATIENCE_S)

    def _listen(self) -> None:
        assert self._program.stdout is not None
        for line in map(str.strip, self._program.stdout):
            (self._acknowledgements if line == "done" else self._lines).put(line)

    def close(self) -> None:
        """Let it end."""
        assert self._program.stdin is not None
        self._program.stdin.close()
        self._program.wait(PATIENCE_S)
        self._ear.join()
        assert self._program.stdout is not None
        self._program.stdout.close()


@contextmanager
def playing(module: str, *words: str) -> Iterator[Player]:
    """Start `tests/outputs/MODULE.py WORDS`."""
    command = [sys.executable, "-m", f"tests.outputs.{module}", *words]
    program = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    player = Player(program)
    try:
        player.address = player.heard()
        yield player
    finally:
        player.close()
