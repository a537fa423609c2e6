"""Stop window client: runs the process of the stop window, and sends it heartbeats."""

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from math import inf
from multiprocessing.process import BaseProcess

from PyQt5.QtCore import QObject, QPoint, QTimer
from PyQt5.QtWidgets import QWidget

from deeplabstream.engine.processes.child_process import UnblockedPipe
from deeplabstream.engine.processes.termination import end_reason, terminal_signals_held
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui.stop_window import (
    RunningBoxes,
    WindowHeartbeat,
    stop_window_main,
)
from deeplabstream.gui.theme import palette
from deeplabstream.ipc.pipe import Connection, opened_pipe
from deeplabstream.ipc.stop_link import StopLink

HEARTBEAT_MS = 100
SILENT_S = 0.5
"""Silence of the window's main thread that shows the stop window while something is on."""
QUIET_S = 3.0
"""The same while all outputs are off: pages that load then show no stop window."""
_PATIENCE_S = 2.0


class ProgramStopWindow(QObject):
    """Runs the stop window while there are programs that switch outputs.

    The heartbeats come from the thread of this object, so they are missing while it is
    blocked. `complain` gets a sentence when the process has ended unexpectedly. `boxes`:
    those of a rack that run.
    """

    def __init__(
        self,
        stop_button: QWidget,
        must_stop: Callable[[], bool],
        complain: Callable[[str], object],
        programs: Callable[[], tuple[int, ...]],
        body: Callable[..., None] = stop_window_main,
        boxes: Callable[[], RunningBoxes | None] = lambda: None,
    ) -> None:
        super().__init__(stop_button)
        self._boxes = boxes
        self._stop_button = stop_button
        self._must_stop = must_stop
        self._complain = complain
        self._programs = programs
        self._body = body
        self._process: BaseProcess | None = None
        self._failed = False
        """Whether the process of this stream has ended unexpectedly."""
        self._end: Connection | None = None
        self._pipe: UnblockedPipe | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._send_heartbeat)

    @property
    def process(self) -> BaseProcess | None:
        """The process of the stop window; None: there is none."""
        return self._process

    def follow_programs(self) -> None:
        """Start the process if there are programs; end it if there are none."""
        self._follow(needed=bool(self._programs()))

    def _follow(self, *, needed: bool, link: StopLink | None = None) -> None:
        if not needed:
            self.finish()
            self._failed = False
        elif not (self._process or self._failed):
            self._start(link)

    def pause(self) -> None:
        """Expect no heartbeat until the next one: Ctrl-Z suspends this process."""
        self._send(inf)

    def finish(self) -> None:
        """End the process."""
        self._timer.stop()
        process, self._process = self._process, None
        if process is None or self._pipe is None or self._end is None:
            return

        process.kill()
        process.join(_PATIENCE_S)
        # the thread of the pipe ends at once, because the reader is gone
        self._pipe.flush(_PATIENCE_S)
        self._end.close()
        self._pipe = self._end = None

    def _start(self, link: StopLink | None) -> None:
        # Sent from a thread of its own: a stop window that is suspended must not block this one.
        self._end, theirs = opened_pipe()
        self._pipe = UnblockedPipe(self._end, latest=(WindowHeartbeat,))
        # daemonic: where `finish` was not called, Python ends it at its exit
        self._process = multiprocessing.get_context("spawn").Process(
            target=self._body,
            args=(theirs, link, palette().name),
            name="stop window",
            daemon=True,
        )
        with terminal_signals_held():
            self._process.start()
        theirs.close()
        self._timer.start(HEARTBEAT_MS)

    def _send_heartbeat(self) -> None:
        if self._process is not None and not self._process.is_alive():
            self.finish()
            self._failed = True
            if not end_reason():
                self._complain(
                    "The stop window has ended: until the next start, STOP works only "
                    "while this window responds"
                )
            return
        self._send(SILENT_S if self._must_stop() else QUIET_S)

    def _send(self, silent_s: float) -> None:
        button = self._stop_button
        corner = button.mapToGlobal(QPoint(0, 0))
        place = corner.x(), corner.y(), button.width(), button.height()
        if self._pipe is not None:
            boxes, programs = self._boxes(), self._programs()
            heartbeat = WindowHeartbeat(place, silent_s, programs, boxes)
            with suppress(OSError):  # it has ended: the next heartbeat reports it
                self._pipe.send(heartbeat)


class StopWindowClient(ProgramStopWindow):
    """Runs the stop window also with a stream that has outputs.

    A stream and such a program never run at the same time: see `Bridge.blocked`.
    """

    def __init__(
        self,
        session: RigSession,
        stop_button: QWidget,
        must_stop: Callable[[], bool],
        complain: Callable[[str], object],
        programs: Callable[[], tuple[int, ...]] = tuple,
        body: Callable[..., None] = stop_window_main,
    ) -> None:
        super().__init__(stop_button, must_stop, complain, programs, body)
        self._session = session

    def follow(self, state: SessionState) -> None:
        """Start or end the process. It starts when the cameras are open, not to delay them."""
        if state.phase is Phase.IDLE or self._programs():
            self.follow_programs()
            return
        outputs = bool(self._session.settings.outputs)
        link = self._session.stop_link if outputs else None
        if state.phase is Phase.STREAMING and link is not None:
            self._follow(needed=True, link=link)
