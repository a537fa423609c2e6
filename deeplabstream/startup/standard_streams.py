"""Standard streams that survive their terminal: output that can't be written is dropped.

A run must not end because its terminal was closed, or because `| head` has ended.
"""

import errno
import io
import sys
from typing import IO, Any

_GONE = {errno.EPIPE, errno.EIO, errno.ENXIO, errno.EBADF, errno.EINVAL}
"""Errors of a stream without a reader; EINVAL: closed pipe or console on Windows."""


class _Lenient(io.RawIOBase):
    """Writes to another raw stream until that is closed; then drops all output."""

    def __init__(self, stream: IO[bytes] | io.RawIOBase) -> None:
        super().__init__()
        self._stream = stream

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def write(self, data: Any) -> int | None:
        try:
            return self._stream.write(data)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return len(memoryview(data).cast("B"))


def outlive_readers() -> None:
    """Replace stdout and stderr by streams that ignore a closed reader and unknown characters."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        stream.reconfigure(errors="backslashreplace")
        if stream is getattr(sys, f"__{name}__"):
            raw = getattr(stream.buffer, "raw", None)
            setattr(
                sys,
                name,
                io.TextIOWrapper(
                    _Lenient(stream.buffer)  # with python -u the stream has no buffer
                    if raw is None
                    else io.BufferedWriter(_Lenient(raw)),
                    encoding=stream.encoding,
                    errors="backslashreplace",
                    line_buffering=stream.line_buffering,
                    write_through=stream.write_through,
                ),
            )
