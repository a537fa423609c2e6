"""Page process: the page in the browser that a rack has started, and its viewers' commands."""

import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import IO

from deeplabstream.rack.page_messages import (
    LineDecoder,
    PageAnswer,
    PageCommand,
    PageServed,
    encode,
)
from deeplabstream.rack.program_start import start_program
from deeplabstream.rack.rack_commands import CommandQueue, RackRequest

_PATIENCE_S = 10.0
"""Time in which a page whose input has ended ends."""
_READ = 65536


class PageProcess:
    """The page's process; it ends with the rack, because its input ends then.

    What it does not answer or cannot do never delays the rack: commands come through a
    queue, and answers are written to a pipe that only a viewer's command fills.
    """

    def __init__(
        self,
        command: Sequence[str],
        requests: CommandQueue,
        report: Callable[[str], object],
        lost: Callable[[str], object] | None = None,
    ) -> None:
        """Start the page; OSError: it can't be started. `report`: called from a thread.

        `lost`: called instead when the page ends unexpectedly.
        """
        self._lost = lost or report
        self._requests, self._report = requests, report
        self._closing = False
        # Ctrl-C is the rack's: it ends the boxes, then the page
        self._process = start_program(command, subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """End the page; one that does not end is killed."""
        self._closing = True
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_PATIENCE_S)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()

    def _read(self) -> None:
        """Pass on what the page writes, until it ends."""
        output = self._process.stdout
        decoder = LineDecoder()
        while output is not None and (data := output.read(_READ)):
            for message in decoder.decode(data):
                match message:
                    case PageServed(address):
                        self._report(f"Page: {address}")
                    case PageCommand(number, line):
                        answer = partial(self._answer, number)
                        self._requests.put(RackRequest(line, answer))
                    case PageAnswer():  # only a rack answers
                        continue
        if not self._closing:
            self._lost("The page in the browser has ended; the boxes go on.")

    def _answer(self, number: int, text: str) -> None:
        line: IO[bytes] | None = self._process.stdin
        with suppress(OSError, ValueError):  # the page has ended
            if line is not None:
                line.write(encode(PageAnswer(number, text)))
