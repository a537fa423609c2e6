"""Box input: standard input of a box, by which the rack stops it and adds notes to its record."""

import os
import threading
from collections import deque

from deeplabstream.rack.line_splitter import LineSplitter

STOP = b"stop"
"""The line that ends a box."""
_MARK = b"mark "
"""Beginning of a line whose text becomes a note in the record."""
LONGEST_MARK = 200
"""Letters of a text."""
_MOST = len(_MARK) + 4 * LONGEST_MARK
"""Longest line in bytes; a longer one is ignored."""
RACK_ENDED = "the rack has ended"


def mark_line(text: str) -> bytes:
    """Return the line that adds a text to the record of a box; it is cut if it is too long.

    >>> mark_line("ate")
    b'mark ate'
    """
    return _MARK + text[:LONGEST_MARK].encode()


class BoxInput:
    """Reads a file descriptor in a thread of its own until a stop or its end.

    The rack holds the other end of the pipe. The system closes it when the rack is killed.
    """

    def __init__(self, descriptor: int) -> None:
        self.reason = ""
        """Why the box has to end, as part of a sentence; empty: it does not."""
        self._marks: deque[str] = deque()
        reader = threading.Thread(target=self._read, args=(descriptor,), daemon=True)
        reader.start()

    @property
    def stop_requested(self) -> bool:
        """Whether the box has to end."""
        return bool(self.reason)

    def take_marks(self) -> list[str]:
        """Return the texts for the record that came since the last call."""
        return [self._marks.popleft() for _ in range(len(self._marks))]

    def _read(self, descriptor: int) -> None:
        splitter = LineSplitter(_MOST)
        try:
            # not by sys.stdin: its lock would be held when the interpreter ends
            while data := os.read(descriptor, 1024):
                for line in splitter.split(data):
                    if line.strip() == STOP:
                        self.reason = "the rack has stopped this box"
                        return
                    if line.startswith(_MARK) and len(line) <= _MOST:
                        text = line.removeprefix(_MARK).decode("utf-8", "replace")
                        self._marks.append(text)
        except OSError:
            pass  # a closed input is an end of the rack as well
        self.reason = RACK_ENDED
