"""Rack window: a tile for each box of a rack, one of them in full, STOP for one and for all.

The boxes run in processes of their own, which a rack process supervises. The window reads
their states and images, and sends commands.
"""

from collections.abc import Sequence

from PyQt5.QtCore import QByteArray, QSettings, Qt, QTimer
from PyQt5.QtGui import QCloseEvent, QKeySequence
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QShortcut,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.clock import Clock, SystemClock
from deeplabstream.core.errors import DeviceError, SettingsError
from deeplabstream.engine.trigger_shapes import TriggerShape, trigger_shapes_of
from deeplabstream.files import rig_folder
from deeplabstream.files.exclusive_writing import is_locked
from deeplabstream.gui.application import use_palette
from deeplabstream.gui.dialogs.dialog_input import StopInput, keep_usable
from deeplabstream.gui.dialogs.questions import CANCEL, show_question
from deeplabstream.gui.program_process import ProgramProcess
from deeplabstream.gui.stop_window import RunningBoxes
from deeplabstream.gui.stop_window_client import ProgramStopWindow
from deeplabstream.gui.widgets.box_in_full import BoxInFull
from deeplabstream.gui.widgets.box_tile import BoxTile
from deeplabstream.gui.widgets.log_drawer import LogDrawer
from deeplabstream.gui.widgets.stop_button import StopButton
from deeplabstream.gui.widgets.tile_grid import TileGrid
from deeplabstream.rack.box_status import STOPPED, note_over
from deeplabstream.rack.box_views import BoxView, RackReader
from deeplabstream.rack.control_link import CommandSender, control_file
from deeplabstream.rack.newest_frames import NewestFrames
from deeplabstream.rack.rack_commands import COMMANDS
from deeplabstream.rack.rack_process import RackProcess, end_rack, program_of_rack
from deeplabstream.settings.rack_file import RackFile

TICK_MS = 100
_STATES_NS = 500_000_000
"""Interval in which the states are read."""
_FULL_NS = 60_000_000
"""Shortest time between two images of the box in full."""
_ANSWER_NS = 3_000_000_000
"""Time in which the rack answers a stop; then it is killed."""
_ANSWERS = "ok: stop", "error: ", "All boxes are being stopped"
"""Beginnings of lines of a rack that has taken a stop."""
_END, _LEAVE, _STAY = "Stop them and close", "Close, they go on", "Stay"
_OTHER = "another program runs this rack; its boxes are controlled from here"
_DEAF = (
    "Another program runs this rack and takes no commands: each STOP ends all its boxes; "
    "then boxes can be started here."
)


class RackWindow(QMainWindow):
    """The window of a rack; `chosen` are the boxes that *Start all* starts.

    `command` starts the rack process. `memory` stores style and size; None: nothing is
    stored.
    """

    def __init__(
        self,
        rack: RackFile,
        chosen: Sequence[str],
        command: Sequence[str],
        memory: QSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        clock = clock or SystemClock()
        self.rack, self._chosen, self._memory, self._clock = rack, chosen, memory, clock
        self.process = RackProcess(rack.path, command)
        self._others = CommandSender(rack.path)
        self._other_number = 0
        """Process of another program that runs the rack; 0: there is none."""
        self._reader, self._frames = RackReader(rack, clock), NewestFrames(clock)
        self._boxes: dict[str, BoxView] = {}
        self._read_ns: int | None = None
        self._stop_ns: int | None = None
        """Time since which a stop is not answered; None: there is none."""
        self._closing = False
        self.setWindowTitle(f"{rack.path.stem} – rack – DeepLabStream")

        self.tiles = {name: BoxTile(name) for name in rack.boxes}
        self.full: BoxInFull | None = None
        self.log = LogDrawer()
        self.title, self.summary = QLabel(rack.path.stem), QLabel()
        self.start_all = QPushButton("Start all")
        self.test_alarms = QPushButton("Test alarms")
        self.alarm_test = ProgramProcess(self)
        self.stop_all = StopButton("STOP ALL")
        self._stack, self.grid = QStackedWidget(), TileGrid([*self.tiles.values()])
        self._build()
        self.stop_window = ProgramStopWindow(
            self.stop_all,
            lambda: self.running,
            self.log.complain,
            self._programs,
            boxes=self._stoppable,
        )
        self._stop_input = StopInput(self, lambda: bool(self._active), self._escape)
        self._connect()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.tick)
        self._timer.start(TICK_MS)
        self.resize(1280, 740)
        self._recall()
        self.tick()

    def _build(self) -> None:
        self.title.setObjectName("heading")
        self.summary.setObjectName("caption")
        self.start_all.setProperty("starts", True)
        self.test_alarms.setToolTip("sends a test message to each address of [Alarms]")
        self.test_alarms.setVisible(self.rack.alarms is not None)
        self.stop_all.setObjectName("stop")
        self.stop_all.setMinimumWidth(180)
        self.stop_all.setToolTip(
            "switches all outputs of all boxes off and ends their experiments (Esc)"
        )
        keep_usable(self.stop_all)
        head = QHBoxLayout()
        head.setSpacing(14)
        head.addWidget(self.title)
        head.addWidget(self.summary, 1)
        head.addWidget(self.test_alarms)
        head.addWidget(self.start_all)
        head.addWidget(self.stop_all)

        self._stack.addWidget(self.grid)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(12, 10, 12, 10)
        column.setSpacing(10)
        column.addLayout(head)
        column.addWidget(self._stack, 1)
        column.addWidget(self.log)
        self.setCentralWidget(middle)

    def _connect(self) -> None:
        for tile in self.tiles.values():
            tile.opened.connect(self.show_in_full)
            tile.start_requested.connect(self.start)
            tile.restart_requested.connect(self.restart)
            tile.stop_requested.connect(self.stop)
        self.start_all.clicked.connect(self._start_chosen)
        self.test_alarms.clicked.connect(self._test_alarms)
        self.alarm_test.output_received.connect(self._show_alarm_test)
        self.alarm_test.ended.connect(lambda: self.test_alarms.setEnabled(True))
        self.stop_all.clicked.connect(self.stop_everything)
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        escape.setContext(Qt.ShortcutContext.ApplicationShortcut)
        escape.activated.connect(self._escape)

    @property
    def running(self) -> bool:
        """Whether a box runs."""
        return any(box.runs for box in self._boxes.values())

    @property
    def _active(self) -> list[BoxView]:
        """The boxes that run or wait for their time."""
        return [box for box in self._boxes.values() if box.runs or box.waits]

    @property
    def foreign(self) -> bool:
        """Whether another program runs the rack."""
        return not self.process.number and is_locked(self.rack.path)

    @property
    def _controls(self) -> bool:
        """Whether commands reach the rack, or this window will start it."""
        return not self.foreign or control_file(self.rack.path).exists()

    def _programs(self) -> tuple[int, ...]:
        """Return the process of the rack while a box runs."""
        number = self.process.number or self._other_number
        return (number,) if self.running and number else ()

    def _stoppable(self) -> RunningBoxes | None:
        names = tuple(box.name for box in self._active)
        return RunningBoxes(self.rack.path.resolve(), names) if names else None

    def start(self, name: str) -> None:
        """Start a box."""
        self._send(f"start {name}")

    def restart(self, name: str) -> None:
        """Have a box stop and start in a new run, after a confirmation."""
        told = COMMANDS["restart"]
        question = f"{told.title} {name}? {told.consequence}"
        if show_question(self, question, told.title, CANCEL) == told.title:
            self._send(f"restart {name}")

    def stop(self, name: str) -> None:
        """Switch the outputs of a box off, and end it; all, if no command reaches the rack."""
        if not self._controls:
            self.stop_everything()
        else:
            self._send(f"stop {name}")

    def stop_everything(self) -> None:
        """Switch the outputs of all boxes off, and end them."""
        self.log.add_line("STOP: all boxes are being stopped", tone="red")
        if self.process.number or (self.foreign and self._controls):
            self._send("stop")
        elif self.foreign:
            self._end_other()

    def _end_other(self) -> None:
        """End the program that runs the rack, and so its boxes."""
        if end_rack(self.rack.path):
            self._note_stops()
        else:
            self.log.complain("The program that runs this rack was not found: end it")

    def _start_chosen(self) -> None:
        for name in self._chosen:
            if not self._boxes[name].runs:
                self.start(name)

    def _test_alarms(self) -> None:
        self.test_alarms.setEnabled(False)
        self.log.add_line("A test message is being sent to each address.", tone="text")
        self.alarm_test.start("SendAlarms.py", [str(self.rack.path), "--test"])

    def _show_alarm_test(self, text: str) -> None:
        for line in text.splitlines():
            if line.strip():
                bad = "NOT accepted" in line or "error" in line
                self.log.add_line(line, tone="red" if bad else "text")

    def _send(self, line: str) -> None:
        if self.foreign:
            if self._controls:
                self._others.send(line)
            else:
                self.log.complain(_DEAF)
            return
        if line.startswith("stop") and self._stop_ns is None:
            self._stop_ns = self._clock.now_ns()
        try:
            self.process.send(line)
        except DeviceError as error:
            self.log.complain(str(error))

    def _escape(self) -> None:
        """Stop what is shown while it runs; else leave the box in full."""
        box = None if self.full is None else self._boxes[self.full.box]
        if box is None:
            if self.process.number or self.foreign:
                self.stop_everything()
        elif box.runs or box.waits:
            self.stop(box.name)
        else:
            self.show_tiles()

    def show_in_full(self, name: str) -> None:
        """Show one box in full."""
        self.show_tiles()
        cameras, zones = self._cameras_and_zones(name)
        self.full = BoxInFull(name, cameras, zones)
        self.full.closed.connect(self.show_tiles)
        self.full.start_requested.connect(self.start)
        self.full.restart_requested.connect(self.restart)
        self.full.stop_requested.connect(self.stop)
        self._stack.addWidget(self.full)
        self._stack.setCurrentWidget(self.full)
        self._show_states()

    def show_tiles(self) -> None:
        """Show all boxes."""
        full, self.full = self.full, None
        self._stack.setCurrentWidget(self.grid)
        if full is not None:
            self._stack.removeWidget(full)
            full.deleteLater()

    def _cameras_and_zones(self, name: str) -> tuple[list[str], list[TriggerShape]]:
        """Return the cameras of a box, and the outlines of its triggers."""
        box = self.rack.boxes[name]
        try:
            with rig_folder.used(box.file.resolve().parent):
                settings = box.settings()
                return [*settings.cameras], [*trigger_shapes_of(settings)]
        except SettingsError as error:
            self.log.complain(f"[Box {name}] {error.problems[0]}")
            status = self._boxes[name].status
            return [*(status.rings if status else {})], []

    def tick(self) -> None:
        """Show what is new."""
        for line in self.process.lines():
            self.log.add_line(line, tone=_tone(line))
            if line.startswith(_ANSWERS):
                self._stop_ns = None
        self._take_answers()
        now_ns = self._clock.now_ns()
        if self._read_ns is None or now_ns - self._read_ns >= _STATES_NS:
            self._read_ns = now_ns
            self._boxes = {box.name: box for box in self._reader.boxes()}
            self._frames.follow([*self._boxes.values()])
            other = program_of_rack(self.rack.path) if self.foreign else None
            self._other_number = other.pid if other is not None else 0
            self._show_states()
        self._kill_if_silent(now_ns)
        self._show_images()
        if self._closing and not self.process.number:
            self.end()

    def _take_answers(self) -> None:
        """Show the answers of a rack that another program runs; end one that takes no stop."""
        for line, answer, given in self._others.answers():
            self.log.add_line(answer, tone=_tone(answer) if given else "red")
            if line.startswith("stop") and not given:
                self._end_other()

    def _kill_if_silent(self, now_ns: int) -> None:
        """Kill a rack that does not answer a stop: its boxes stop as their input ends."""
        if self._stop_ns is None:
            return
        if not self.process.number:
            self._stop_ns = None
        elif not self._active:  # the rack may be starting
            self._stop_ns = now_ns
        elif now_ns - self._stop_ns >= _ANSWER_NS:
            self._stop_ns = None
            self.log.complain("The rack does not answer: it is killed; its boxes stop")
            self.process.kill()
            self._note_stops()

    def _note_stops(self) -> None:
        """Write that a user has stopped the boxes, which the rack can't write."""
        for box in self._active:
            note_over(self.rack.path, box.name, STOPPED)

    def _show_states(self) -> None:
        foreign, can_start = self.foreign, self._controls
        for name, box in self._boxes.items():
            self.tiles[name].show_box(box, can_start)
            if self.full is not None and self.full.box == name:
                self.full.show_box(box, can_start)
        count = sum(box.runs for box in self._boxes.values())
        alarms = sum(box.fails for box in self._boxes.values())
        text = f"{count} of {len(self._boxes)} boxes run"
        if alarms:
            text += f", {alarms} need{'s' * (alarms == 1)} attention"
        if foreign:
            text = f"{text}; {_OTHER if can_start else _DEAF}"
        self.summary.setText(text)
        left = any(not self._boxes[name].runs for name in self._chosen)
        self.start_all.setEnabled(can_start and left)
        self.stop_window.follow_programs()

    def _show_images(self) -> None:
        if self.isMinimized():
            return
        for name, box in self._boxes.items():
            cameras = [*(box.status.rings if box.status else ())]
            if self.full is None:
                if cameras and (new := self._frames.newest_step(name, cameras[0])):
                    self.tiles[name].show_frame(*new)
            elif self.full.box == name:
                for camera in cameras:
                    if new := self._frames.newest_step(name, camera, _FULL_NS):
                        self.full.show_frame(*new)

    def _recall(self) -> None:
        if self._memory is None:
            return
        use_palette(str(self._memory.value("style", "dark")))
        geometry = self._memory.value("rack geometry")
        if isinstance(geometry, QByteArray):
            self.restoreGeometry(geometry)

    def end(self) -> None:
        """Close without a question, as for a signal; boxes end as the rack file says."""
        self._closing = True
        self.hide()
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """Ask what becomes of running boxes; a second request closes at once."""
        by_user = self.isVisible() and not self._closing
        if event is not None and by_user and self.process.number and self._active:
            answer = self._ask()
            if answer != _LEAVE:
                event.ignore()
                if answer == _END:
                    self._closing = True
                    self._send("stop")
                    self.process.close()
                return
        if self._memory is not None:
            self._memory.setValue("rack geometry", self.saveGeometry())
        self._timer.stop()
        self.stop_window.finish()
        self.process.close()
        self.alarm_test.stop()
        self._frames.close()
        super().closeEvent(event)

    def _ask(self) -> str:
        """Return what becomes of the running boxes."""
        names = ", ".join(box.name for box in self._active)
        answers = [_END, _STAY]
        if self.rack.rack.if_window_lost == "go on":
            answers.insert(1, _LEAVE)
        return show_question(
            self, f"Boxes run or wait for their time: {names}.", *answers
        )


def _tone(line: str) -> str:
    """Return the colour of a line of the rack."""
    bad = ("error:", "failed", "killed", "can't", "not restarted", "Traceback")
    return "red" if any(word in line for word in bad) else "text"
