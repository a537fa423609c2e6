"""The main window: pictures on the left, buttons and what happens on the right."""

from PyQt5.QtGui import QCloseEvent
from PyQt5.QtWidgets import QHBoxLayout, QMainWindow, QVBoxLayout, QWidget

from core.command import Mark
from core.record import Edge, Note, Step
from engine.states import Phase, Status
from gui.bridge import Bridge
from gui.controls import Controls
from gui.display import Display
from gui.panels import Log, Marks, Outputs, Triggers
from gui.theme import AMBER, BLUE, GREEN, RED

_SIDE_WIDTH = 316


class Window(QMainWindow):
    """The desktop application's only window; closing it ends the rig."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        settings = bridge.rig.settings
        self.setWindowTitle("DeepLabStream")
        self.bridge = bridge
        self.display = Display(bridge)
        self.controls = Controls()
        self.outputs = Outputs(list(settings.outputs))
        self.triggers = Triggers(list(settings.triggers))
        self.marks = Marks()
        self.log = Log()
        self._experimenting = False
        self._levels: dict[str, float] = {}
        self._lines: list[tuple[int, str, str]] = []
        self.setCentralWidget(self._arranged())
        self.resize(1240, 700)
        self._connect()
        self._show_status(bridge.rig.status)

    def _arranged(self) -> QWidget:
        side = QVBoxLayout()
        side.setSpacing(8)
        for panel in (self.controls, self.outputs, self.triggers, self.marks):
            panel.setFixedWidth(_SIDE_WIDTH)
            side.addWidget(panel)
        self.log.setFixedWidth(_SIDE_WIDTH)
        side.addWidget(self.log, 1)
        middle = QWidget()
        row = QHBoxLayout(middle)
        row.setContentsMargins(10, 10, 10, 10)
        row.setSpacing(10)
        row.addWidget(self.display, 1)
        row.addLayout(side)
        return middle

    def _connect(self) -> None:
        self.controls.asked.connect(self.bridge.do)
        self.bridge.status_changed.connect(self._show_status)
        self.bridge.stepped.connect(self._take_steps)
        self.bridge.edged.connect(self._take_edge)
        self.bridge.noted.connect(self._take_note)
        self.bridge.failed.connect(lambda text: self._remember(text, None, RED))
        self.bridge.ticked.connect(self._tick)

    def _show_status(self, status: Status) -> None:
        self.controls.show_status(status)
        if status.experimenting != self._experimenting:
            self._experimenting = status.experimenting
            self.marks.restart(running=status.experimenting)
        if not status.analysing:
            self.triggers.show_answers({})
        if status.phase is Phase.IDLE:
            self.outputs.show_levels({})
            self.display.line.show_folder(self.bridge.rig.run_folder)

    def _take_steps(self, steps: tuple[Step, ...]) -> None:
        answers: dict[str, bool | None] = {}
        for step in steps:
            answers.update(step.triggers)
        self.triggers.show_answers(answers)
        self.marks.add(steps)
        for step in steps:
            for command in step.commands:
                if isinstance(command, Mark):
                    self._remember(command.text, step.exposed_ns, GREEN)

    def _take_edge(self, edge: Edge) -> None:
        before = self._levels.get(edge.output, 0.0)
        self._levels[edge.output] = edge.level
        if edge.level != before:
            word = f"{edge.output} {'on' if edge.level > 0 else 'off'} ({edge.cause})"
            self._remember(word, edge.written_ns, AMBER)

    def _take_note(self, note: Note) -> None:
        colour = RED if note.kind == "error" else BLUE
        text = note.text if note.kind == "error" else f"{note.kind}: {note.text}"
        self._remember(text, note.time_ns, colour)

    def _remember(self, text: str, time_ns: int | None, colour: str) -> None:
        last_ns = self._lines[-1][0] if self._lines else 0
        self._lines.append((last_ns if time_ns is None else time_ns, text, colour))

    def _tick(self) -> None:
        """Say what happened since the last tick; outputs act before steps are told."""
        start_ns = self.bridge.rig.stream_start_ns
        for time_ns, text, colour in sorted(self._lines, key=lambda line: line[0]):
            since = (time_ns - start_ns) / 1e9 if start_ns and time_ns else None
            self.log.say(text, since, colour)
        self._lines.clear()
        self.outputs.show_levels(self.bridge.rig.levels)

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """End everything, then vanish."""
        self.controls.setEnabled(False)
        self.hide()
        self.bridge.stop()
        self.bridge.rig.close()
        super().closeEvent(event)
