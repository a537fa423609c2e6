"""Rack commands: lines that start and stop single boxes while a rack runs."""

import os
import signal
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Literal

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.visible_text import visible
from deeplabstream.rack.box_input import LONGEST_MARK
from deeplabstream.rack.line_splitter import LineSplitter

_Action = Literal["start", "restart", "stop", "mark", "status"]
_MOST = 1000
"""Letters of a line; a longer one is cut and so refused."""


@dataclass(frozen=True)
class CommandHelp:
    """A command as users see it: its title, how it is typed, and what it causes."""

    title: str
    """On a button, and in a question."""
    typed: tuple[str, ...]
    """Its lines, with what to put in."""
    consequence: str
    """Sentence after the question whether it is to be carried out."""


COMMANDS: Mapping[_Action, CommandHelp] = {
    "start": CommandHelp(
        "Start",
        ("start NAME", "start NAME ANIMAL"),
        "Its experiment starts: outputs can switch on.",
    ),
    "restart": CommandHelp(
        "Restart",
        ("restart NAME",),
        "Outputs go off, the record is closed; then a new run starts, in which its "
        "experiment goes on (RESUME = no: from the beginning).",
    ),
    "stop": CommandHelp(
        "Stop",
        ("stop NAME", "stop (all boxes)"),
        "The experiment ends, outputs go off, the record is closed.",
    ),
    "mark": CommandHelp(
        "Mark",
        (f"mark NAME TEXT (at most {LONGEST_MARK} letters)",),
        "The text becomes a note in its record.",
    ),
    "status": CommandHelp(
        "Status", ("status",), "The rack prints the states of all boxes."
    ),
}


def typed_commands() -> str:
    """Return all lines that can be typed, as a part of a sentence."""
    *lines, last = (line for it in COMMANDS.values() for line in it.typed)
    return f"{', '.join(lines)} or {last}"


@dataclass(frozen=True)
class RackCommand:
    """A line of `COMMANDS` that was understood."""

    action: _Action
    box: str = ""
    text: str = ""
    """Of a mark: what becomes a note in the record of the box; of a start: the animal."""


def parse_command(line: str, boxes: Collection[str]) -> RackCommand:
    """Return the command of a line; DeepLabStreamError says what is possible.

    >>> parse_command("start left", ["left"])
    RackCommand(action='start', box='left', text='')
    >>> parse_command("mark left a ate", ["left", "left a"])
    RackCommand(action='mark', box='left a', text='ate')
    """
    word, _, box = line.strip().partition(" ")
    box = box.strip()
    match word:
        case "start" if box in boxes:
            return RackCommand("start", box)
        case "restart" if box in boxes:
            return RackCommand("restart", box)
        case "stop" if not box or box in boxes:
            return RackCommand("stop", box)
        case "status" if not box:
            return RackCommand("status")
        case "start":
            for name in sorted(boxes, key=len, reverse=True):
                if box.startswith(f"{name} "):
                    animal = visible(box.removeprefix(f"{name} ").strip())
                    return RackCommand("start", name, animal)
        case "mark":
            # names may have spaces: the longest one that fits is meant
            for name in sorted(boxes, key=len, reverse=True):
                text = visible(box.removeprefix(f"{name} ").strip())
                if box.startswith(f"{name} ") and 0 < len(text) <= LONGEST_MARK:
                    return RackCommand("mark", name, text)
    raise DeepLabStreamError(
        f"{line.strip()[:80]!r} is not a command: type {typed_commands()}; NAME is one of "
        f"{', '.join(boxes)}"
    )


@dataclass(frozen=True)
class RackRequest:
    """A command line, and what is called with its answer: `ok: …` or `error: …`."""

    line: str
    answer: Callable[[str], object] = lambda text: None


class CommandQueue:
    """Requests from all sources, in the order in which they came."""

    # not SimpleQueue, here and elsewhere: when a signal arrives as its wait ends, the wait of
    # Python 3.11 becomes endless, and the rack would ignore the signal
    def __init__(self) -> None:
        self._requests: Queue[RackRequest] = Queue()

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
