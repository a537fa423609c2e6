"""Stop window: shows STOP in a process of its own while the program's window does not respond.

::

    hidden ── no heartbeat for `silent_s` ──► shown ── heartbeat ──► hidden
                                                │
                                  STOP or Esc ──┴──► request to the engine

It ends with the program's process, however that ends.
"""

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from PyQt5.QtCore import QPoint, QRect, Qt, QTimer
from PyQt5.QtGui import QCloseEvent, QGuiApplication, QKeyEvent
from PyQt5.QtWidgets import QFrame, QLabel, QVBoxLayout

from deeplabstream.core.clock import SystemClock
from deeplabstream.engine.processes.termination import leave_to_parent
from deeplabstream.gui.application import application, use_palette
from deeplabstream.gui.system_input import SystemInput, open_system_input
from deeplabstream.gui.widgets.stop_button import StopButton
from deeplabstream.ipc.parent_watch import end_with_parent
from deeplabstream.ipc.pipe import Connection, has_message, receive
from deeplabstream.ipc.stop_link import StopLink, StopRequester
from deeplabstream.startup.standard_streams import outlive_readers

CHECK_MS = 50
"""Interval of the checks for heartbeats."""
INPUT_MS = 10
"""Interval of the checks for keys and clicks that do not arrive as events."""
LATE_S = 1.0
"""A longer pause between two checks: this process was suspended, too, or got no CPU."""
_SIZE = 360, 190
_TITLE = "The window does not respond."
_HINT = "Outputs can still be switched off: press STOP, or Esc in this window."
_REQUESTED = (
    "STOP: the engine has not answered yet. If it hangs, a guard switches the outputs "
    "off after 1 s."
)
_DONE = "STOP: the engine has ended the experiment."


@dataclass(frozen=True, slots=True)
class WindowHeartbeat:
    """Message of the main thread of the program's window: it responds."""

    stop: tuple[int, int, int, int]
    """Place of its STOP button on the screen: left, top, width, height."""
    silent_s: float
    """Silence after this message that shows the stop window; inf: none does."""


class SilenceWatch:
    """Tells whether the heartbeats of the program's window are missing."""

    def __init__(self, now_ns: int) -> None:
        self._beat_ns = self._checked_ns = now_ns
        self._silent_s = inf  # the first heartbeat says when the watch begins

    def beat(self, heartbeat: WindowHeartbeat, now_ns: int) -> None:
        """Take a heartbeat that has arrived."""
        self._beat_ns, self._silent_s = now_ns, heartbeat.silent_s

    def is_silent(self, now_ns: int) -> bool:
        """Return whether the window does not respond; call it at regular intervals."""
        # after a sleep of the computer the heartbeats need a moment to arrive
        if now_ns - self._checked_ns > LATE_S * 1e9:
            self._beat_ns = now_ns
        self._checked_ns = now_ns
        return now_ns - self._beat_ns > self._silent_s * 1e9


class StopWindow(QFrame):
    """Window above all others, with STOP at the place of the program's own STOP."""

    def __init__(
        self, request: Callable[[], object], is_done: Callable[[], bool]
    ) -> None:
        super().__init__()
        self.setWindowFlag(Qt.WindowType.FramelessWindowHint)
        self.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint)
        self.setObjectName("stopWindow")
        self.setWindowTitle("STOP – DeepLabStream")
        self._request, self._is_done = request, is_done
        self._requested = self._was_pressed = False

        self._column = column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        title = QLabel(_TITLE)
        title.setObjectName("heading")
        self.text = QLabel(_HINT)
        self.text.setWordWrap(True)
        self.stop = StopButton("STOP")
        self.stop.setObjectName("stop")
        self.stop.clicked.connect(self.request)
        column.addWidget(title)
        column.addWidget(self.text)
        column.addStretch(1)
        column.addWidget(self.stop)
        self.resize(*_SIZE)

    def request(self) -> None:
        """Have the engine end the experiment."""
        self._requested = True
        self._request()
        self.show_result()

    def take_state(self, escape: bool, pressed: tuple[int, int] | None) -> None:
        """Take Esc and clicks that do not arrive as events: see `system_input`.

        `pressed` is where in this window the button is pressed, in pixels of the screen.
        """
        over_stop = False
        if pressed is not None:
            place = QPoint(*pressed) / self.devicePixelRatioF()
            over_stop = self.stop.geometry().contains(place)

        # Also those that arrive as events, too: a second request does no harm.
        was_pressed, self._was_pressed = self._was_pressed, escape or over_stop
        if self._was_pressed and not was_pressed:
            self.request()

    def show_result(self) -> None:
        """Show whether the engine has carried out the request."""
        if self._requested:
            self.text.setText(_DONE if self._is_done() else _REQUESTED)

    def show_at(self, stop: tuple[int, int, int, int]) -> None:
        """Show the window so that its STOP lies over the STOP button at `stop`.

        When the window vanishes at the moment of a click, the button below gets it.
        """
        self._requested = self._was_pressed = False
        self.text.setText(_HINT)
        below = QRect(*stop)
        # the style has a border, which the layout knows only now
        self.ensurePolished()
        self._column.activate()
        corner = below.bottomLeft() - self.stop.geometry().bottomLeft()
        area = QRect(corner, self.size())

        screen = QGuiApplication.screenAt(below.center())
        screen = screen or QGuiApplication.primaryScreen()
        if screen is not None:
            room = screen.availableGeometry()
            area.moveRight(min(area.right(), room.right()))
            area.moveBottom(min(area.bottom(), room.bottom()))
            area.moveLeft(max(area.left(), room.left()))
            area.moveTop(max(area.top(), room.top()))

        self.move(area.topLeft())
        self.show()
        self.raise_()
        self.activateWindow()  # so that it gets Esc

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Take Esc as STOP."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self.request()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """Stay: it vanishes with the next heartbeat."""
        if event is not None:
            event.ignore()


class StopWindowProcess:
    """Receives the heartbeats; shows the stop window while they are missing."""

    def __init__(
        self,
        pipe: Connection,
        requester: StopRequester,
        system_input: SystemInput,
        programs: tuple[int, ...],
    ) -> None:
        """`programs`: processes of the program, in whose windows Esc is STOP."""
        self._pipe = pipe
        self._input, self._programs = system_input, programs
        self._clock = SystemClock()
        self._watch = SilenceWatch(self._clock.now_ns())
        self._stop = (0, 0, 0, 0)
        self.window = StopWindow(requester.request, lambda: requester.done)
        self._checks, self._input_checks = QTimer(), QTimer()
        self._checks.timeout.connect(self.check)
        self._input_checks.timeout.connect(self._check_input)

    def start(self) -> None:
        """Start the checks."""
        self._checks.start(CHECK_MS)

    def check(self) -> None:
        """Receive all heartbeats that have arrived, then show or hide the window."""
        while has_message(self._pipe):
            message = receive(self._pipe)
            if not isinstance(message, WindowHeartbeat):  # the pipe is closed
                application().quit()
                return
            self._stop = message.stop
            self._watch.beat(message, self._clock.now_ns())

        silent = self._watch.is_silent(self._clock.now_ns())
        if silent and not self.window.isVisible():
            self.window.show_at(self._stop)
            self._input_checks.start(INPUT_MS)
        elif not silent and self.window.isVisible():
            self.window.hide()
            self._input_checks.stop()
        self.window.show_result()

    def _check_input(self) -> None:
        escape = self._input.escape_is_down(self._programs)
        pressed = self._input.pressed_at(int(self.window.winId()))
        self.window.take_state(escape, pressed)


def stop_window_main(pipe: Connection, link: StopLink, style: str) -> None:
    """Watch the heartbeats of the program's window until its process ends."""
    leave_to_parent()
    outlive_readers()
    end_with_parent()

    app = application()
    use_palette(style)
    app.setQuitOnLastWindowClosed(False)
    try:
        requester = StopRequester(link)
    except FileNotFoundError:
        return  # the stream has ended meanwhile
    parent = multiprocessing.parent_process()
    programs = os.getpid(), (parent.pid if parent is not None else None) or 0
    system_input = open_system_input(app.platformName())
    process = StopWindowProcess(pipe, requester, system_input, programs)
    process.start()
    app.exec_()
