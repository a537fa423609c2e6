"""Calibration page: steps from a printed board to calibrated cameras in the settings."""

from functools import partial
from pathlib import Path

from PyQt5.QtWidgets import (
    QButtonGroup,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.pages.calibrated_tab import SECTION, CalibratedTab
from deeplabstream.gui.pages.calibrating_tab import CalibratingTab
from deeplabstream.gui.pages.floor_tab import FloorTab
from deeplabstream.gui.pages.using_tab import models_of
from deeplabstream.gui.pages.watching_tab import WatchingTab
from deeplabstream.gui.programs import BOARD
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.program_form import ProgramPanel
from deeplabstream.gui.widgets.program_view import offer
from deeplabstream.gui.widgets.step_row import step_row
from deeplabstream.programs.print_board import PrintBoard

_NEXT = "Next: {}"
_RECORD = "Record"
_STEPS = ("Board", _RECORD, "Calibrate", "Floor", "Use")


class CalibrationPage(QWidget):
    """Prints a board, records it, calibrates, sets the floor, writes the settings: a tab each.

    Without a bridge to cameras, nothing is recorded.
    """

    def __init__(self, document: Document, bridge: Bridge | None = None) -> None:
        super().__init__()
        self.document = document
        models = models_of(document)
        self.board = ProgramPanel(BOARD, models)
        self.calibrating = CalibratingTab(document, models)
        self.watching: WatchingTab | None = None
        if bridge is not None:
            self.watching = WatchingTab(bridge, self.calibrating.panel.form.values)
            self.watching.recorded.connect(self._take_recording)
        self.floor = FloorTab()
        self.calibrated = CalibratedTab(document)
        self._stack = QStackedWidget()
        self._group = QButtonGroup(self)
        self._steps = [name for name in _STEPS if name != _RECORD or self.watching]
        self.tabs = {name: QPushButton(name) for name in self._steps}
        views = (self.board.view, self.calibrating.panel.view, self.floor.view)
        after = {"Board": self._steps[1], "Calibrate": "Floor", "Floor": "Use"}
        self.next = {
            step: offer(view, _NEXT.format(then), partial(self.show_step, then))
            for view, (step, then) in zip(views, after.items(), strict=True)
        }
        self.board.form.show_values({"--board": [PrintBoard().board]})
        self._arrange()
        self.board.ended.connect(self._take_board)
        self.calibrating.calibrated.connect(self._take_calibration)
        self.floor.moved.connect(self._take_floor)
        present = document.settings.space.calibration if document.settings else None
        if present is not None:
            self.calibrated.take(present)
        self.show_step(_STEPS[0])

    def show_step(self, name: str) -> None:
        """Show the tab of a step."""
        self.tabs[name].setChecked(True)
        self._stack.setCurrentIndex(self._steps.index(name))

    @property
    def running(self) -> str:
        """Description of the work that closing would end; empty: none."""
        working = self.calibrating.panel.view.running or self.floor.view.running
        return "calibration" if working else ""

    def finish(self) -> None:
        """End the programs and threads."""
        self.board.view.program.stop()
        self.calibrating.panel.view.program.stop()
        self.floor.finish()
        if self.watching is not None:
            self.watching.finish()

    def _arrange(self) -> None:
        top = step_row(self.tabs, self._group, self.show_step)
        self.tabs["Use"].setToolTip(f"writes [{SECTION}] of the settings")
        recording = [self.watching] if self.watching is not None else []
        tabs = (self.board, *recording, self.calibrating, self.floor, self.calibrated)
        for tab in tabs:
            self._stack.addWidget(tab)
        views = (self.board.view, self.calibrating.panel.view, self.floor.view)
        for view, button in zip(views, self.next.values(), strict=True):
            view.started.connect(button.hide)
            button.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 10, 10, 10)
        column.setSpacing(8)
        column.addLayout(top)
        column.addWidget(self._stack, 1)

    def _take_board(self, code: int) -> None:
        self.next["Board"].setVisible(not code)
        if not code:
            self.calibrating.take_board(self.board.form.values())

    def _take_recording(self, run: Path) -> None:
        self.show_step("Calibrate")
        self.calibrating.take_run(run)

    def _take_calibration(self, calibration: object) -> None:
        self.next["Calibrate"].show()
        self.floor.take(self.calibrating.output, self.calibrating.panel.form.values())
        self.calibrated.take(self.calibrating.output)

    def _take_floor(self, _calibration: object) -> None:
        self.next["Floor"].show()
        self.calibrated.take(self.calibrating.output)
