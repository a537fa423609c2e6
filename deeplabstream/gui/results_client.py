"""Results client: sends requests to the results process and emits its answers."""

import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import psutil
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

_PATIENCE_S = 2.0
_LOWEST = 19
"""Priority, in steps of `nice`."""


class ResultsClient(QObject):
    """Keeps a results process; of what is to be shown only the newest of a kind waits.

    The process starts with the first request. While a rig runs, it has the lowest priority.
    """

    replied = pyqtSignal(object, object)
    """A request and what answers it."""
    progressed = pyqtSignal(object)
    """Progressed: of the request that is being answered."""
    busy_changed = pyqtSignal()
    """Something is being done now, or no longer."""
    _received = pyqtSignal(int, object)

    def __init__(
        self,
        parent: QObject | None = None,
        is_rig_running: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(parent)
        self._is_rig_running = is_rig_running
        self._gives_way = False
        """Whether the process has the lowest priority; it can't be raised again."""
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._reader: threading.Thread | None = None
        self._number = 0
        """Of the process: answers of earlier ones are passed over."""
        self.current: Request | None = None
        """What is being answered now."""
        self._waiting: deque[Request] = deque()
        self._received.connect(self._take)

    def ask(self, request: Request) -> None:
        """Have a request answered, after the one that is being answered."""
        if isinstance(request, Shown):
            kind, waiting = type(request), self._waiting
            self._waiting = deque(each for each in waiting if type(each) is not kind)
        self._waiting.append(request)
        self._go_on()

    def waits(self, kind: type) -> bool:
        """Return whether a request of a kind is not answered yet."""
        return any(isinstance(each, kind) for each in (self.current, *self._waiting))

    def cancel(self) -> None:
        """Give up all requests; the process is ended, the next request starts another."""
        self._waiting.clear()
        if self.current is not None:
            self._end()
            self.busy_changed.emit()

    def give_way(self) -> None:
        """Lower the priority of what is being done if a rig runs now."""
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

    def _go_on(self) -> None:
        """Send the next request, unless one is being answered."""
        if self.current is not None or not self._waiting:
            return
        uses_study = isinstance(self._waiting[0], SaveStudy | Compare | SaveGroups)
        if self._gives_way and not (uses_study or self._is_rig_running()):
            self._end()
        if self._process is None or not self._process.is_alive():
            self._end()
            self._start()
        self.current = self._waiting.popleft()
        assert self._pipe is not None  # noqa: S101
        with suppress(OSError):  # it has ended: the reader says so
            self._pipe.send(self.current)
        self.busy_changed.emit()

    def _start(self) -> None:
        self._pipe, theirs = opened_pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=serve, args=(theirs,), name="results")
        self._process.start()
        self._gives_way = False
        self.give_way()
        theirs.close()
        self._number += 1
        self._reader = threading.Thread(
            target=self._read,
            args=(self._pipe, self._number),
            name="results reader",
            daemon=True,
        )
        self._reader.start()

    def _read(self, pipe: Connection, number: int) -> None:
        """Emit what the process sends; runs in a thread of its own."""
        while (message := receive(pipe)) is not None:
            with suppress(RuntimeError):  # the window is gone
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
        if message is None:  # the process has ended by itself
            self._end()
        if request is not None:
            self.replied.emit(request, message)
        self._go_on()
        self.busy_changed.emit()

    def _end(self) -> None:
        """End the process; those that it started end with it.

        The thread that reads has ended then: it could emit while this object is deleted.
        """
        process, self._process, self.current = self._process, None, None
        reader, self._reader = self._reader, None
        self._number += 1
        self._pipe = None  # closed by the thread that reads, once the process is gone
        if process is None or process.pid is None:
            return
        process.kill()
        process.join(_PATIENCE_S)
        if reader is not None:
            reader.join(_PATIENCE_S)


def lower_priority(pid: int) -> None:
    """Give a process, and those that it started, the lowest priority of processor and disk."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        _lower(process)  # first: those that it starts from now on inherit it
        for child in process.children(recursive=True):
            _lower(child)


def _lower(process: psutil.Process) -> None:
    with suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            process.nice(psutil.IDLE_PRIORITY_CLASS)
            process.ionice(psutil.IOPRIO_VERYLOW)
        elif sys.platform == "linux":
            process.ionice(psutil.IOPRIO_CLASS_IDLE)
            for thread in process.threads():
                os.setpriority(os.PRIO_PROCESS, thread.id, _LOWEST)
        else:
            process.nice(_LOWEST)
