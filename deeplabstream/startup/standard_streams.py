"""Standard streams that survive their terminal: output that can't be written is dropped.

A run must not end because its terminal was closed, because `| head` has ended, or because the
disk of its printed lines is full.
"""

import errno
import io
import sys
from typing import IO, Any

_GONE = {errno.EPIPE, errno.EIO, errno.ENXIO, errno.EBADF, errno.EINVAL}
"""Errors of a stream without a reader; EINVAL: closed pipe or console on Windows."""
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
"""Errors of a file on a full disk, or of a user who may not use more of it."""


class _Lenient(io.RawIOBase):
    """Writes to another raw stream until that is closed; then drops all output."""

    dropped = frozenset(_GONE)
    """Errors after which output is dropped."""

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
            if error.errno not in self.dropped:
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


def outlive_full_disk() -> None:
    """Drop output that a full disk does not take, in this process, from now on.

    For processes whose end would end an experiment. Others end with an error, so that no
    table that they print is short unnoticed.
    """
    _Lenient.dropped = frozenset(_GONE | _FULL)
