"""Health page: latencies, stages, frame counts, computer and alarms; without a stream the rig."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHeaderView,
    QLabel,
    QLayout,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.journal_entries import ANALYSIS_STARTED, Note, Step
from deeplabstream.engine.checks.preflight import WARNING
from deeplabstream.engine.identity_reporting import sentence
from deeplabstream.engine.left_out_errors import LeftOutErrors
from deeplabstream.engine.session.session_state import (
    Counts,
    Phase,
    SessionState,
    last_line,
)
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.latency_test_window import LatencyTestWindow
from deeplabstream.gui.dialogs.program_window import ProgramWindow
from deeplabstream.gui.live_figures import STAGES, StageTimes
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.theme import palette
from deeplabstream.gui.widgets.flow_layout import FlowLayout
from deeplabstream.gui.widgets.panels import Log, Panel
from deeplabstream.gui.widgets.problem_notice import ProblemNotice
from deeplabstream.gui.widgets.rig_facts import RigFacts

_DOCTOR_OUTCOMES = {1: "Problems were found: see the list above."}
_NAME_WIDTH = 110  # px
_STAGES_HEIGHT = 206  # px: header and five rows
_TICKS_PER_UPDATE = 15
_FIGURES = ("p50", "p95", "p99", "max")
_COUNTS = (
    "delivered",
    "lost",
    "analysed",
    "skipped",
    "recorded",
    "waiting",
    "missing",
)
_COUNTS_HELP = (
    "frames from the camera",
    "frames lost at the camera; ?: the camera does not report losses",
    "frames with a pose",
    "frames skipped by the analysis because newer ones had arrived",
    "frames in the video",
    "frames in memory, to be encoded",
    "frames missing in the video",
)
_IDLE = (
    "Press Start on the page Live: latency, frame counts, load and alarms are shown "
    "while a stream runs. To find out what is wrong with the computer, or how long the "
    "rig takes from exposure to output, use the buttons below."
)
_UNUSABLE = "To find out what is wrong with the computer, use the buttons below."
_ENDED = "The stream has ended: these are its last latencies and frame counts."
_ALARMS = (
    "alarm", "analysis", "camera", "computer", "error", "guard", "recording",
)  # fmt: skip


class LatencyTestButton(QPushButton):
    """Opens the form of `utils/MeasureLatency.py`; disabled while the rig runs."""

    def __init__(self, bridge: Bridge, document: Document) -> None:
        super().__init__("Measure latency …")
        self.setToolTip(
            "From the camera's exposure to the output, with an LED at a board or a patch on a "
            "screen. Stop the stream first."
        )
        self._bridge, self._document = bridge, document
        self.clicked.connect(self._show_form)
        bridge.status_changed.connect(self._take_status)
        self._take_status(bridge.session.state)

    def _take_status(self, state: SessionState) -> None:
        idle = state.phase is Phase.IDLE
        self.setEnabled(idle)
        for window in self.findChildren(LatencyTestWindow):
            window.panel.refuse("" if idle else "The rig is running: stop the stream")

    def _show_form(self) -> None:
        settings = self._bridge.session.settings
        window = LatencyTestWindow(settings, self._document.path, self)
        view = window.view
        for signal in (view.started, view.ended, view.stopped, window.destroyed):
            signal.connect(self._bridge.blockers_changed)
        window.show()


class ExamineButton(QPushButton):
    """Starts `utils/Doctor.py`; disabled while the rig runs, which the checks would disturb."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__("Examine computer …")
        self.setToolTip(
            "Packages, disk, cameras, serial ports, GPU: what is wrong, and the command "
            "that fixes it. Stop the stream first."
        )
        self._bridge = bridge
        self.clicked.connect(self._examine)
        bridge.status_changed.connect(self._take_status)
        self._take_status(bridge.session.state)

    def _take_status(self, state: SessionState) -> None:
        self.setEnabled(state.phase is Phase.IDLE)

    def _examine(self) -> None:
        folder = str(self._bridge.session.settings.output_directory)
        window = ProgramWindow(
            "Examine computer",
            "Doctor.py",
            ["--output", folder],
            self,
            _DOCTOR_OUTCOMES,
        )
        window.show()


class HealthPage(QWidget):
    """Shows figures of the running rig, twice a second while the page is visible."""

    def __init__(self, bridge: Bridge, document: Document) -> None:
        super().__init__()
        self.bridge = bridge
        self.plot = pg.PlotWidget()
        self.stages = _table(list(STAGES), _FIGURES)
        self.cameras = _table([], _COUNTS)
        for column, text in enumerate(_COUNTS_HELP):
            if (head := self.cameras.horizontalHeaderItem(column)) is not None:
                head.setToolTip(text)
        self.computer = QLabel(_IDLE)
        self.examine = ExamineButton(bridge)
        self.latency = LatencyTestButton(bridge, document)
        self.alarms = Log("Alarms")
        self.alarms.page.setPlaceholderText("No alarms")
        self.checks = Log("Pre-flight")
        self.checks.page.setPlaceholderText("Runs when an experiment starts")
        self.animals = QLabel()
        self.left_out = QLabel()
        self._left_out = LeftOutErrors()
        self.rig, self.notice = RigFacts(), ProblemNotice(document)
        self._streamed = bridge.session.state.phase is not Phase.IDLE
        """Whether a stream has run since the page was made."""
        self._stages = StageTimes(bridge.session.settings.deciding_camera)
        self._bars = pg.BarGraphItem(x=[0], height=[0], width=1)
        self._counts: Mapping[str, Counts] = {}
        """Counts of the running stream, or of the last one."""
        self._ticks = 0
        self._arrange()
        bridge.stepped.connect(self._take_steps)
        bridge.noted.connect(self._take_note)
        bridge.failed.connect(self._take_failure)
        bridge.status_changed.connect(self._take_status)
        bridge.settings_changed.connect(self._renew)
        bridge.ticked.connect(self._tick)
        self._renew()

    def _arrange(self) -> None:
        self.plot.addItem(self._bars)
        self.plot.setLabel("bottom", "from exposure to the last byte written, ms")
        self.plot.setLabel("left", "frames of the last 10 s")
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.hideButtons()
        for side in ("bottom", "left"):
            self.plot.getAxis(side).enableAutoSIPrefix(False)
        self.plot.setMenuEnabled(False)
        for label in (self.computer, self.animals, self.left_out):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        examined = QVBoxLayout()
        examined.addWidget(self.computer)
        buttons = FlowLayout()
        for button in (self.examine, self.latency):
            buttons.addWidget(button)
        examined.addLayout(buttons)
        examined.addStretch(1)
        counted = QVBoxLayout()
        counted.addWidget(self.cameras, 1)
        counted.addWidget(self.animals)
        counted.addWidget(self.left_out)
        logs = QWidget()
        logs.setObjectName("clear")
        beside = QVBoxLayout(logs)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(10)
        for log in (self.alarms, self.checks):
            beside.addWidget(log, 1)

        self._figures = [
            _build_panel("Latency", self.plot),
            _build_panel("Stages, ms", self.stages),
            _build_panel("Frame counts", counted),
        ]
        self._computer_panel = _build_panel("Computer", examined)
        self._grid = grid = QGridLayout(self)
        grid.setContentsMargins(10, 10, 10, 10)
        grid.setSpacing(10)
        latency, stages, counts = self._figures
        grid.addWidget(self.notice, 0, 0, 1, 2)
        grid.addWidget(latency, 0, 0)
        grid.addWidget(stages, 0, 1)
        grid.addWidget(counts, 1, 0, 1, 2)
        grid.addWidget(self.rig, 2, 0)
        grid.addWidget(logs, 3, 1)
        self.computer.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.stages.setMinimumHeight(_STAGES_HEIGHT)
        for column in (0, 1):
            grid.setColumnStretch(column, 1)

    def _show_figures(self, shown: bool) -> None:
        """Show the figures of a stream, or without one what is known of the rig."""
        usable = bool(self.bridge.session.cameras)
        for panel in self._figures:
            panel.setVisible(shown and usable)
        self.rig.setVisible(not shown and usable)
        self.notice.setVisible(not usable)
        if not shown:
            self.computer.setText(_IDLE if usable else _UNUSABLE)
        beside_rig = not shown and usable
        self._grid.addWidget(
            self._computer_panel, 3 if shown else 2, 1 if beside_rig else 0
        )
        self._show_logs()
        for row, stretch in enumerate((4, 2, 0, 3) if shown else (0, 0, 0, 1)):
            self._grid.setRowStretch(row, stretch)

    def _show_logs(self) -> None:
        """Show alarms and checks; without a stream only if there are some."""
        for log in (self.alarms, self.checks):
            log.setVisible(self._streamed or bool(log.page.toPlainText()))

    def refresh(self) -> None:
        """Show the current figures."""
        colours = palette()
        self.plot.setBackground(colours.panel)
        for side in ("bottom", "left"):
            self.plot.getAxis(side).setPen(colours.line)
            self.plot.getAxis(side).setTextPen(colours.faint)
        self._show_histogram(self._stages.times_ms("total"))
        for row, found in enumerate(self._stages.spreads().values()):
            for column, figure in enumerate(_FIGURES):
                text = "–" if found is None else f"{found[figure]:.2f}"  # type: ignore[literal-required]
                _put(self.stages, row, column, text)
        self._keep_counts()
        self._show_counts(self._counts)
        self._show_animals()
        self._show_left_out()
        load = self.bridge.session.state.system
        if load is not None and self.bridge.session.state.phase is Phase.STREAMING:
            self.computer.setText(load.text.replace("; ", "\n"))
        elif self._counts and self.bridge.session.state.phase is Phase.IDLE:
            self.computer.setText(_ENDED)

    def _show_histogram(self, times: Sequence[float]) -> None:
        colour = palette().blue
        if not times:
            self.plot.setRange(xRange=(0, 50), yRange=(0, 100))
            self._bars.setOpts(x=[0], height=[0], width=1, brush=colour, pen=colour)
            return
        self.plot.enableAutoRange()
        most = max(1.0, float(np.percentile(times, 99.5)) * 1.1)
        heights, edges = np.histogram(np.clip(times, 0, most), bins=40, range=(0, most))
        width = edges[1] - edges[0]
        centres = edges[:-1] + width / 2
        self._bars.setOpts(
            x=centres, height=heights, width=0.9 * width, brush=colour, pen=colour
        )

    def _show_counts(self, counts: Mapping[str, Counts]) -> None:
        for row, camera in enumerate(self.bridge.session.cameras):
            count = counts.get(camera, Counts())
            lost = "?" if count.lost is None else str(count.lost)
            cells = (
                str(count.delivered),
                lost,
                str(count.analysed),
                str(count.skipped),
                str(count.recorded),
                str(count.waiting),
                str(count.recording_losses),
            )
            for column, text in enumerate(cells):
                bad = column in (1, 6) and text not in ("0", "?")
                _put(self.cameras, row, column, text, bad=bad)

    def _keep_counts(self) -> None:
        """Keep the current counts; those of an ended stream stay."""
        self._counts = self.bridge.session.state.counts or self._counts

    def _show_animals(self) -> None:
        rig = self.bridge.session
        lines = [sentence(camera, who) for camera, who in rig.state.identity.items()]
        self.animals.setText("\n".join(lines))
        self.animals.setVisible(bool(lines))

    def _show_left_out(self) -> None:
        """Show how far each camera of [Space] is from the point that the others give."""
        medians = self._left_out.medians_px
        self.left_out.setVisible(bool(medians))
        texts = [
            f"{name} ?" if px is None else f"{name} {px:.1f} px"
            for name, px in medians.items()
        ]
        self.left_out.setText("Error by leaving each camera out: " + ", ".join(texts))

    def _renew(self) -> None:
        """Show a row for each camera of the current settings."""
        cameras = self.bridge.session.cameras
        self._stages = StageTimes(self.bridge.session.settings.deciding_camera)
        self.cameras.setRowCount(len(cameras))
        self.cameras.setVerticalHeaderLabels(list(cameras))
        for row, name in enumerate(cameras):
            if (item := self.cameras.verticalHeaderItem(row)) is not None:
                item.setToolTip(name)
        self.rig.show_settings(self.bridge.session.settings)
        self._show_figures(self._streamed)
        self.refresh()

    def _take_steps(self, steps: tuple[Step, ...]) -> None:
        self._stages.add(steps)
        self._left_out.add(steps)

    def _take_note(self, note: Note) -> None:
        if note.kind == "preflight":
            bad = note.text.startswith(WARNING)
            self.checks.add_line(note.text, tone="amber" if bad else "text")
        if note.kind in _ALARMS and (note.kind, note.text) != ANALYSIS_STARTED:
            start_ns = self.bridge.session.state.start_ns
            since = (note.time_ns - start_ns) / 1e9 if start_ns else None
            text = last_line(note.text) if note.is_alarm else note.text
            self.alarms.add_line(text, since, "red" if note.is_alarm else "amber")
        self._show_logs()

    def _take_failure(self, text: str) -> None:
        self.alarms.complain(text)
        self._show_logs()

    def _take_status(self, status: SessionState) -> None:
        if status.phase is Phase.STARTING:
            self._stages.clear()
            self._counts = {}
            self._left_out.clear()
            self.checks.clear()
        if status.phase is not Phase.IDLE:
            self._streamed = True
            self._show_figures(True)

    def _tick(self) -> None:
        self._ticks += 1
        self._keep_counts()
        if self._ticks % _TICKS_PER_UPDATE == 0 and self.isVisible():
            self.refresh()


def _table(rows: Sequence[str], columns: Sequence[str]) -> QTableWidget:
    table = QTableWidget(len(rows), len(columns))
    table.setHorizontalHeaderLabels(list(columns))
    table.setVerticalHeaderLabels(list(rows))
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setShowGrid(False)
    if (header := table.horizontalHeader()) is not None:
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    if (side := table.verticalHeader()) is not None:
        side.setMaximumWidth(_NAME_WIDTH)  # cut long names, not the figures
    return table


def _put(
    table: QTableWidget, row: int, column: int, text: str, *, bad: bool = False
) -> None:
    item = table.item(row, column)
    if item is None:
        item = QTableWidgetItem()
        item.setTextAlignment(int(Qt.AlignmentFlag.AlignCenter))
        table.setItem(row, column, item)
    if item.text() != text:
        item.setText(text)
    item.setForeground(pg.mkColor(palette().red if bad else palette().text))


def _build_panel(title: str, content: QWidget | QLayout) -> Panel:
    panel = Panel(title)
    if isinstance(content, QLayout):
        panel.column.addLayout(content, 1)
    else:
        panel.column.addWidget(content, 1)
    return panel
