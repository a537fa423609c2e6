"""Bounded output: standard output of a box in a file that does not grow without limit."""

import os
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 10_000_000
"""Size from which a file is truncated."""
_BLOCK = 1 << 20


class BoundedOutput:
    """Truncates the file behind a file descriptor when it is large.

    What it had is copied to `earlier`, which holds the last such part. All processes that
    inherited the descriptor write on in the new part, as they share its position. A file
    that can't be copied (a full disk) is truncated all the same.
    """

    def __init__(
        self, descriptor: int, earlier: Path, most_bytes: int = MOST_BYTES
    ) -> None:
        self._descriptor, self._earlier = descriptor, earlier
        self._most = most_bytes

    def limit(self) -> None:
        """Truncate the file if it is large; call it regularly."""
        with suppress(OSError):  # a pipe or a terminal: nothing grows
            if os.fstat(self._descriptor).st_size < self._most:
                return
            with suppress(OSError):
                self._copy()
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)

    def _copy(self) -> None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        with self._earlier.open("wb") as copy:
            while block := os.read(self._descriptor, _BLOCK):
                copy.write(block)
