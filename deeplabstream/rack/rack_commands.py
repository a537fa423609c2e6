"""Rack commands: lines that start and stop single boxes while a rack runs."""

import os
import signal
import threading
from collections.abc import Collection
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal, get_args

from deeplabstream.core.errors import DeepLabStreamError

_Action = Literal["start", "stop", "status"]
_MOST = 1000
"""Letters of a line; a longer one is cut and so refused."""


@dataclass(frozen=True)
class RackCommand:
    """`start NAME`, `stop NAME`, `stop` (all boxes) or `status`."""

    action: _Action
    box: str = ""


def parse_command(line: str, boxes: Collection[str]) -> RackCommand:
    """Return the command of a line; DeepLabStreamError says what is possible.

    >>> parse_command("start left", ["left"])
    RackCommand(action='start', box='left')
    """
    word, _, box = line.strip().partition(" ")
    box = box.strip()
    for action in get_args(_Action):
        known = box in boxes if box else action != "start"
        if word == action and known and not (action == "status" and box):
            return RackCommand(action, box)
    raise DeepLabStreamError(
        f"{line.strip()[:80]!r} is not a command: type start NAME, stop NAME, stop (all boxes) "
        f"or status; NAME is one of {', '.join(boxes)}"
    )


class CommandInput:
    """Reads lines from a file descriptor in a thread of its own, until its end."""

    def __init__(self, descriptor: int) -> None:
        self._lines: SimpleQueue[str] = SimpleQueue()
        # a rack in the background of a shell would be suspended when it reads: it goes on,
        # without commands
        if (number := getattr(signal, "SIGTTIN", None)) is not None:
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=self._read, args=(descriptor,), daemon=True).start()

    def lines(self) -> list[str]:
        """Return the lines that came since the last call."""
        lines = []
        while True:
            try:
                lines.append(self._lines.get_nowait())
            except Empty:
                return lines

    def _read(self, descriptor: int) -> None:
        waiting = b""
        try:
            # not by sys.stdin: its lock would be held when the interpreter ends
            while data := os.read(descriptor, 1024):
                *lines, waiting = (waiting + data).split(b"\n")
                waiting = waiting[:_MOST]
                for line in lines:
                    if line.strip():
                        self._lines.put(line.decode("utf-8", "replace"))
        except OSError:
            pass  # there is no input: no commands
