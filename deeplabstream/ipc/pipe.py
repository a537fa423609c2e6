"""Pipes between processes, with the same behaviour on Windows and Linux."""

import select
import sys
from collections.abc import Callable
from multiprocessing import connection, get_context
from typing import Any, Protocol

if sys.platform == "win32":
    from multiprocessing.connection import PipeConnection as Connection
else:
    from multiprocessing.connection import Connection

__all__ = [
    "Connection",
    "Messages",
    "has_message",
    "message_check",
    "opened_pipe",
    "receive",
]

ROOM = 1 << 20
"""Bytes that a pipe buffers on Windows; Python's default is 8192."""


class Messages(Protocol):
    """The part of a pipe's end that sends and receives messages."""

    def send(self, message: Any, /) -> None: ...  # noqa: D102
    def recv(self) -> Any: ...  # noqa: D102
    def poll(self, timeout: float | None = 0.0, /) -> bool: ...  # noqa: D102


def opened_pipe(duplex: bool = True) -> tuple[Connection, Connection]:
    """Return the ends of a pipe for processes that are spawned.

    Sending a message larger than the buffer waits until it is read. Linux buffers 200 KiB.
    """
    if sys.platform == "win32":
        vars(connection)["BUFSIZE"] = ROOM
    return get_context("spawn").Pipe(duplex)


def has_message(pipe: Messages, patience_s: float | None = 0.0) -> bool:
    """Return whether `recv` would not wait: a message has arrived, or the other end is closed.

    When the other end is closed, `recv` raises EOFError on all systems; `poll` raises
    BrokenPipeError on Windows only. `patience_s` None: wait without limit.
    """
    try:
        return pipe.poll(patience_s)
    except BrokenPipeError:
        return True


def message_check(pipe: Connection) -> Callable[[], bool]:
    """Return a faster `has_message` without waiting, for a loop that calls it often.

    `Connection.poll` makes and closes a selector at each call. Only one thread may call it,
    and only while this end is open.
    """
    if sys.platform == "win32":
        return lambda: has_message(pipe)
    poller = select.poll()
    poller.register(pipe.fileno(), select.POLLIN)
    return lambda: bool(poller.poll(0))


def receive(pipe: Messages) -> object:
    """Return the next message; None: the other end is closed.

    A message that cannot be decoded is returned as the exception of the decoder.
    """
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None
    # the pipe is intact: the receiver reports a bug, and continues with the next message
    except Exception as error:
        return error
