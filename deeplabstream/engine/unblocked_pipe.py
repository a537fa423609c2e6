"""A process's end of its pipe whose `send` never waits for the reader.

A pipe that nobody reads is full after some hundred messages. A window or a terminal that
hangs for minutes must not hold up cameras, decisions or the record.
"""

import threading
from collections import deque
from multiprocessing.reduction import ForkingPickler
from typing import Any

from deeplabstream.ipc.pipe import Connection, has_message

FLUSH_S = 60.0
"""How long a process that ends waits for a reader that lives but does not read."""


class UnblockedPipe:
    """Sends from a thread of its own, in order; receives as the pipe does.

    Of the kinds in `latest` only the newest message waits to be sent: each replaces the one
    before. All others are queued. When the reader is gone, messages are dropped.
    """

    def __init__(self, pipe: Connection, latest: tuple[type, ...] = ()) -> None:
        self._pipe, self._latest = pipe, latest
        self._queue: deque[tuple[type, bytes]] = deque()
        self._changed = threading.Condition()
        self._ended = self._gone = False
        self._thread = threading.Thread(target=self._send, name="sender", daemon=True)
        self._thread.start()

    def send(self, message: object) -> None:
        """Queue a message; returns at once."""
        kind, data = type(message), bytes(ForkingPickler.dumps(message))
        with self._changed:
            if self._gone:
                return
            if kind in self._latest:
                self._queue = deque(each for each in self._queue if each[0] is not kind)
            self._queue.append((kind, data))
            self._changed.notify()

    def recv(self) -> Any:
        """Return the next message that was sent to us; EOFError: the other end closed."""
        return self._pipe.recv()

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Return whether `recv` would not wait."""
        return has_message(self._pipe, timeout)

    def flush(self, patience_s: float = FLUSH_S) -> None:
        """Send what is queued and end; give up after `patience_s` without a reader."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(patience_s)

    def _send(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._ended)
                if not self._queue:
                    return
                _, data = self._queue.popleft()
            try:
                self._pipe.send_bytes(data)
            except (OSError, EOFError):
                with self._changed:
                    self._gone = True
                    self._queue.clear()
                return
