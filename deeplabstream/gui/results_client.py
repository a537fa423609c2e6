"""Results client: sends requests to the results process and emits its answers."""

import multiprocessing
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from PyQt5.QtCore import QObject, pyqtSignal

from deeplabstream.gui.results_process import (
    Compare,
    Progressed,
    Request,
    SaveGroups,
    SaveStudy,
    Shown,
    serve,
)
from deeplabstream.ipc.pipe import Connection, opened_pipe, receive
from deeplabstream.startup.low_priority import lower_priority

_PATIENCE_S = 2.0


class ResultsClient(QObject):
    """Sends requests to a results process; of each kind to show, only the newest waits.

    The process starts with the first request. While a rig runs, it has the lowest priority.
    """

    replied = pyqtSignal(object, object)
    """A request and its reply."""
    progressed = pyqtSignal(object)
    """Progressed: progress of the current request."""
    busy_changed = pyqtSignal()
    """A request has started or ended."""
    _received = pyqtSignal(int, object)

    def __init__(
        self,
        parent: QObject | None = None,
        is_rig_running: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(parent)
        self._is_rig_running = is_rig_running
        self._gives_way = False
        """Whether the process has the lowest priority, which can't be raised again."""
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._reader: threading.Thread | None = None
        self._number = 0
        """Number of the process: replies of earlier processes are ignored."""
        self.current: Request | None = None
        """The request that is being processed."""
        self._waiting: deque[Request] = deque()
        self._received.connect(self._take)

    def send(self, request: Request) -> None:
        """Queue a request; it replaces a waiting one of the same kind to show."""
        if isinstance(request, Shown):
            kind = type(request)
            self._waiting = deque(
                other for other in self._waiting if type(other) is not kind
            )
        self._waiting.append(request)
        self._send_next()

    def waits(self, kind: type) -> bool:
        """Return whether a request of a kind is waiting or being processed."""
        return any(
            isinstance(request, kind) for request in (self.current, *self._waiting)
        )

    def cancel(self) -> None:
        """Drop all requests and end the process; the next request starts another."""
        self._waiting.clear()
        if self.current is not None:
            self._end()
            self.busy_changed.emit()

    def give_way(self) -> None:
        """Lower the priority of the process if a rig runs now."""
        process = self._process
        if process is None or process.pid is None or not self._is_rig_running():
            return
        if not self._gives_way:
            self._gives_way = True
            lower_priority(process.pid)

    def finish(self) -> None:
        """End the process."""
        self._waiting.clear()
        self._end()

    def _send_next(self) -> None:
        """Send the next request, unless one is being processed."""
        if self.current is not None or not self._waiting:
            return

        # A lowered priority can't be raised: replace the process after the rig has
        # stopped, unless its last study is still needed, because it would be lost.
        uses_study = isinstance(self._waiting[0], SaveStudy | Compare | SaveGroups)
        if self._gives_way and not (uses_study or self._is_rig_running()):
            self._end()
        if self._process is None or not self._process.is_alive():
            self._end()
            self._start()

        self.current = self._waiting.popleft()
        assert self._pipe is not None  # noqa: S101
        with suppress(OSError):  # the process has ended: the reader reports it
            self._pipe.send(self.current)
        self.busy_changed.emit()

    def _start(self) -> None:
        self._pipe, theirs = opened_pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=serve, args=(theirs,), name="results")
        self._process.start()

        self._gives_way = False
        self.give_way()
        theirs.close()  # otherwise the reader would not detect the end of the process

        self._number += 1
        self._reader = threading.Thread(
            target=self._read,
            args=(self._pipe, self._number),
            name="results reader",
            daemon=True,
        )
        self._reader.start()

    def _read(self, pipe: Connection, number: int) -> None:
        """Emit the messages of the process; runs in a separate thread."""
        while (message := receive(pipe)) is not None:
            with suppress(RuntimeError):  # this object was deleted
                self._received.emit(number, message)
        pipe.close()
        with suppress(RuntimeError):
            self._received.emit(number, None)

    def _take(self, number: int, message: object) -> None:
        if number != self._number:
            return
        if isinstance(message, Progressed):
            self.progressed.emit(message)
            return
        request, self.current = self.current, None
        if message is None:  # the process has ended unexpectedly
            self._end()
        if request is not None:
            self.replied.emit(request, message)
        self._send_next()
        self.busy_changed.emit()

    def _end(self) -> None:
        """End the process, its descendants and the reader thread.

        A reader that is still running could emit while this object is deleted.
        """
        process, self._process, self.current = self._process, None, None
        reader, self._reader = self._reader, None
        self._number += 1
        self._pipe = None  # the reader closes it after the process has ended
        if process is None or process.pid is None:
            return

        process.kill()
        process.join(_PATIENCE_S)
        if reader is not None:
            reader.join(_PATIENCE_S)
