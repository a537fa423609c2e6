"""Ends of a `multiprocessing.Pipe`, which Windows makes and closes in ways of its own."""

import sys

if sys.platform == "win32":
    from multiprocessing.connection import PipeConnection as Connection
else:
    from multiprocessing.connection import Connection

__all__ = ["Connection", "speaks"]


def speaks(pipe: Connection, patience_s: float | None = 0.0) -> bool:
    """Return whether `recv` would not wait: something was sent, or the other end is closed.

    In the latter case `recv` raises EOFError on all systems, whereas `poll` does so only on
    Windows, as a BrokenPipeError. None waits without limit.
    """
    try:
        return pipe.poll(patience_s)
    except BrokenPipeError:
        return True
