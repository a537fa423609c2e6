"""Stop line: standard input of a box, by which the rack ends it, also by its own end."""

import os
import threading

from deeplabstream.rack.line_splitter import LineSplitter

STOP = b"stop"
"""The line that ends a box."""
_MOST = 100
"""Longest line in bytes; a longer one does not stop the box."""
RACK_ENDED = "the rack has ended"


class StopLine:
    """Reads a file descriptor in a thread of its own until a stop or its end.

    The rack holds the other end of the pipe. The system closes it when the rack is killed.
    """

    def __init__(self, descriptor: int) -> None:
        self.reason = ""
        """Why the box has to end, as part of a sentence; empty: it does not."""
        reader = threading.Thread(target=self._read, args=(descriptor,), daemon=True)
        reader.start()

    @property
    def requested(self) -> bool:
        """Whether the box has to end."""
        return bool(self.reason)

    def _read(self, descriptor: int) -> None:
        splitter = LineSplitter(_MOST)
        try:
            # not by sys.stdin: its lock would be held when the interpreter ends
            while data := os.read(descriptor, 1024):
                if any(line.strip() == STOP for line in splitter.split(data)):
                    self.reason = "the rack has stopped this box"
                    return
        except OSError:
            pass  # a closed input is an end of the rack as well
        self.reason = RACK_ENDED
