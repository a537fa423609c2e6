"""Stop window: shows STOP in a process of its own while the program's window does not respond.

::

    hidden ── no heartbeat for `silent_s` ──► shown ── heartbeat ──► hidden
                                                │
                                  STOP or Esc ──┴──► request to engine and programs

It ends with the program's process, however that ends.
"""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path

import psutil
from PyQt5.QtCore import QPoint, QRect, Qt, QTimer
from PyQt5.QtGui import QCloseEvent, QGuiApplication, QKeyEvent
from PyQt5.QtWidgets import QFrame, QGridLayout, QLabel, QVBoxLayout

from deeplabstream.core.clock import SystemClock
from deeplabstream.engine.processes.termination import leave_to_parent
from deeplabstream.gui.application import application, use_palette
from deeplabstream.gui.system_input import SystemInput, open_system_input
from deeplabstream.gui.widgets.stop_button import StopButton
from deeplabstream.ipc.parent_watch import end_with_parent
from deeplabstream.ipc.pipe import Connection, has_message, receive
from deeplabstream.ipc.stop_link import StopLink, StopRequester
from deeplabstream.rack.box_process import end_box
from deeplabstream.rack.control_link import CommandSender
from deeplabstream.startup.standard_streams import outlive_readers

CHECK_MS = 50
"""Interval of the checks for heartbeats."""
INPUT_MS = 10
"""Interval of the checks for keys and clicks that do not arrive as events."""
LATE_S = 1.0
"""A longer pause between two checks: this process was suspended, too, or got no CPU."""
_SIZE = 360, 190
_COLUMNS, _ROW = 2, 44
"""Columns of the buttons of boxes, and the height of a row in pixels."""
_ALL = "\n"
"""Stands for STOP of everything, beside the names of boxes."""
_TITLE = "The window does not respond."
_HINT = "Outputs can still be switched off: press STOP, or Esc in this window."
_REQUESTED = (
    "STOP: the engine has not answered yet. If it hangs, a guard switches the outputs "
    "off after 1 s."
)
_DONE = "STOP: the engine has ended the experiment."
_ENDING = "STOP: the program that switches an output was asked to end."
_ENDED = "STOP: the program that switched an output has ended."


@dataclass(frozen=True, slots=True)
class RunningBoxes:
    """Boxes of a rack that can be stopped one by one."""

    rack: Path
    """The rack file."""
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WindowHeartbeat:
    """Message of the main thread of the program's window: it responds."""

    stop: tuple[int, int, int, int]
    """Place of its STOP button on the screen: left, top, width, height."""
    silent_s: float
    """Silence after this message that shows the stop window; inf: none does."""
    programs: tuple[int, ...] = ()
    """Processes of running programs that switch outputs."""
    boxes: RunningBoxes | None = None
    """Boxes that run, if the program is a rack."""


class SilenceWatch:
    """Detects missing heartbeats of the program's window."""

    def __init__(self, now_ns: int) -> None:
        self._heartbeat_ns = self._checked_ns = now_ns
        self._silent_s = inf  # the first heartbeat says when the watch begins

    def receive(self, heartbeat: WindowHeartbeat, now_ns: int) -> None:
        """Take a heartbeat that has arrived."""
        self._heartbeat_ns, self._silent_s = now_ns, heartbeat.silent_s

    def is_silent(self, now_ns: int) -> bool:
        """Return whether the window does not respond; call it at regular intervals."""
        # after a sleep of the computer the heartbeats need a moment to arrive
        if now_ns - self._checked_ns > LATE_S * 1e9:
            self._heartbeat_ns = now_ns
        self._checked_ns = now_ns
        return now_ns - self._heartbeat_ns > self._silent_s * 1e9


class OutputStopper:
    """Ends the experiment, and the programs that switch outputs, without the window.

    `requester` None: there is no stream.
    """

    def __init__(self, requester: StopRequester | None) -> None:
        self._requester = requester
        self._programs: dict[int, psutil.Process] = {}
        self._rack = Path()
        self._sender: CommandSender | None = None
        self._box_result = ""
        """What became of the last request to stop one box; empty: there was none."""

    def watch_rack(self, rack: Path) -> None:
        """Take the rack file of the boxes."""
        if self._sender is None or rack != self._rack:
            self._rack, self._sender = rack, CommandSender(rack)

    def request_box(self, box: str) -> None:
        """Have the rack stop one box: its outputs off, its record closed."""
        if self._sender is not None:
            self._sender.send(f"stop {box}")
            self._box_result = f"STOP: {box} is being stopped."

    def _take_answers(self) -> None:
        for line, answer, given in self._sender.answers() if self._sender else ():
            box = line.partition(" ")[2]
            if given:
                self._box_result = f"STOP: {box}: {answer}"
                continue
            self._box_result = f"STOP: {answer}; {box} itself was asked to end."
            if not end_box(self._rack, box):
                self._box_result = f"STOP: {answer}, and {box} was not found."

    def watch(self, programs: tuple[int, ...]) -> None:
        """Take the process numbers of the running programs."""
        # with its time of start: the number of a process that has ended may be used again
        for number in filter(None, programs):  # 0: it has not started yet
            with suppress(psutil.Error):
                self._programs.setdefault(number, psutil.Process(number))
        for number in self._programs.keys() - set(programs):
            del self._programs[number]

    def request(self) -> None:
        """Have engine and programs switch all outputs off."""
        self._box_result = ""
        if self._requester is not None:
            self._requester.request()
        # as the window's STOP does: on Windows it kills, and the guards switch off
        for program in self._programs.values():
            with suppress(psutil.Error):
                program.terminate()

    def result(self) -> str:
        """Return what has happened after the request, as a sentence."""
        self._take_answers()
        if self._box_result:
            return self._box_result
        if self._programs:
            running = any(_runs(program) for program in self._programs.values())
            return _ENDING if running else _ENDED
        done = self._requester is None or self._requester.done
        return _DONE if done else _REQUESTED


def _runs(program: psutil.Process) -> bool:
    """Return whether a process has not ended; its parent may not know of the end yet."""
    with suppress(psutil.Error):
        return bool(program.is_running() and program.status() != psutil.STATUS_ZOMBIE)
    return False


class StopWindow(QFrame):
    """Window above all others, with STOP at the place of the program's own STOP."""

    def __init__(
        self,
        request: Callable[[], object],
        result: Callable[[], str],
        request_box: Callable[[str], object] = lambda box: None,
    ) -> None:
        super().__init__()
        self.setWindowFlag(Qt.WindowType.FramelessWindowHint)
        self.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint)
        self.setObjectName("stopWindow")
        self.setWindowTitle("STOP – DeepLabStream")
        self._request, self._result = request, result
        self._request_box = request_box
        self._requested = False
        self._pressed = ""
        """Name of what is pressed now: a box, `_ALL`; empty: nothing."""
        self.boxes: dict[str, StopButton] = {}
        """Buttons that stop one box."""

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
        self._grid = QGridLayout()
        self._grid.setSpacing(6)
        column.addStretch(1)
        column.addLayout(self._grid)
        column.addWidget(self.stop)
        self.resize(*_SIZE)

    def show_boxes(self, names: Sequence[str]) -> None:
        """Show a STOP for each of these boxes."""
        if [*self.boxes] == [*names]:
            return
        for button in self.boxes.values():
            self._grid.removeWidget(button)
            button.deleteLater()
        self.boxes = {}
        self.stop.setText("STOP ALL" if names else "STOP")
        for number, name in enumerate(names):
            button = self.boxes[name] = StopButton(f"STOP {name}")
            button.setObjectName("stopOne")
            button.clicked.connect(partial(self.request_box, name))
            self._grid.addWidget(button, *divmod(number, _COLUMNS))
        rows = -(-len(names) // _COLUMNS)
        self.resize(_SIZE[0], _SIZE[1] + rows * _ROW)

    def request_box(self, name: str) -> None:
        """Have the outputs of one box switched off."""
        self._requested = True
        self._request_box(name)
        self.show_result()

    def request(self) -> None:
        """Have all outputs switched off."""
        self._requested = True
        self._request()
        self.show_result()

    def take_state(self, escape: bool, pressed: tuple[int, int] | None) -> None:
        """Take Esc and clicks that do not arrive as events: see `system_input`.

        `pressed` is where in this window the button is pressed, in pixels of the screen.
        """
        now = _ALL if escape else ""
        if pressed is not None and not escape:
            place = QPoint(*pressed) / self.devicePixelRatioF()
            buttons = {_ALL: self.stop, **self.boxes}
            under = (it for it in buttons if buttons[it].geometry().contains(place))
            now = next(under, "")

        # Also those that arrive as events, too: a second request does no harm.
        before, self._pressed = self._pressed, now
        if now == _ALL and before != _ALL:
            self.request()
        elif now and now != before:
            self.request_box(now)

    def show_result(self) -> None:
        """Show whether the request was carried out."""
        if self._requested:
            self.text.setText(self._result())

    def show_at(self, stop: tuple[int, int, int, int]) -> None:
        """Show the window so that its STOP lies over the STOP button at `stop`.

        When the window vanishes at the moment of a click, the button below gets it.
        """
        self._requested, self._pressed = False, ""
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
        stopper: OutputStopper,
        system_input: SystemInput,
        programs: tuple[int, ...],
    ) -> None:
        """`programs`: processes of the program, in whose windows Esc is STOP."""
        self._pipe = pipe
        self._stopper = stopper
        self._input, self._programs = system_input, programs
        self._clock = SystemClock()
        self._watch = SilenceWatch(self._clock.now_ns())
        self._stop = (0, 0, 0, 0)
        self.window = StopWindow(stopper.request, stopper.result, stopper.request_box)
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
            self._stopper.watch(message.programs)
            self._take_boxes(message.boxes)
            self._watch.receive(message, self._clock.now_ns())

        silent = self._watch.is_silent(self._clock.now_ns())
        if silent and not self.window.isVisible():
            self.window.show_at(self._stop)
            self._input_checks.start(INPUT_MS)
        elif not silent and self.window.isVisible():
            self.window.hide()
            self._input_checks.stop()
        self.window.show_result()

    def _take_boxes(self, boxes: RunningBoxes | None) -> None:
        if boxes is not None:
            self._stopper.watch_rack(boxes.rack)
        self.window.show_boxes(boxes.names if boxes is not None else ())

    def _check_input(self) -> None:
        escape = self._input.escape_is_down(self._programs)
        pressed = self._input.pressed_at(int(self.window.winId()))
        self.window.take_state(escape, pressed)


def stop_window_main(pipe: Connection, link: StopLink | None, style: str) -> None:
    """Watch the heartbeats of the program's window until its process ends.

    `link` None: there is no stream, only a program that switches an output.
    """
    leave_to_parent()
    outlive_readers()
    end_with_parent()

    app = application()
    use_palette(style)
    app.setQuitOnLastWindowClosed(False)
    try:
        stopper = OutputStopper(StopRequester(link) if link is not None else None)
    except FileNotFoundError:
        return  # the stream has ended meanwhile
    parent = multiprocessing.parent_process()
    programs = os.getpid(), (parent.pid if parent is not None else None) or 0
    system_input = open_system_input(app.platformName())
    process = StopWindowProcess(pipe, stopper, system_input, programs)
    process.start()
    app.exec_()
