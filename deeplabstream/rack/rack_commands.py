"""Rack commands: lines that start and stop single boxes while a rack runs."""

import os
import signal
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal, get_args

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.rack.line_splitter import LineSplitter

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


@dataclass(frozen=True)
class RackRequest:
    """A command line, and what is called with its answer: `ok: …` or `error: …`."""

    line: str
    answer: Callable[[str], object] = lambda text: None


class CommandQueue:
    """Requests from all sources, in the order in which they came."""

    def __init__(self) -> None:
        self._requests: SimpleQueue[RackRequest] = SimpleQueue()

    def put(self, request: RackRequest) -> None:
        """Add a request, from any thread."""
        self._requests.put(request)

    def take(self, wait_s: float) -> list[RackRequest]:
        """Return the requests that came since the last call; wait for one if there is none."""
        requests: list[RackRequest] = []
        try:
            requests.append(self._requests.get(timeout=wait_s))
            while True:
                requests.append(self._requests.get_nowait())
        except Empty:
            return requests


class CommandInput:
    """Puts lines of a file descriptor into a queue, in a thread of its own, until its end."""

    def __init__(self, descriptor: int, queue: CommandQueue) -> None:
        self._queue = queue
        self.ended = False
        """Whether no more lines will come."""
        # a rack in the background of a shell would be suspended when it reads: it goes on,
        # without commands
        if (number := getattr(signal, "SIGTTIN", None)) is not None:
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=self._read, args=(descriptor,), daemon=True).start()

    def _read(self, descriptor: int) -> None:
        splitter = LineSplitter(_MOST)
        try:
            # not by sys.stdin: its lock would be held when the interpreter ends
            while data := os.read(descriptor, 1024):
                for line in splitter.split(data):
                    if line.strip():
                        self._queue.put(RackRequest(line.decode("utf-8", "replace")))
        except OSError:
            pass  # there is no input: no commands
        self.ended = True
