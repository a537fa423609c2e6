"""Programs tab: a list of programs, each with its form and its output."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import QHBoxLayout, QListWidget, QStackedWidget, QWidget

from deeplabstream.gui.programs import ProgramForm
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.program_form import ProgramPanel

_LIST_WIDTH = 190  # px


class ProgramsTab(QWidget):
    """Form of one program, or a list of several and the form of the selected one."""

    ended = pyqtSignal(object, int)
    """ProgramPanel of the program that has ended, and its exit code."""

    def __init__(self, programs: Sequence[ProgramForm], models: Path) -> None:
        super().__init__()
        self.panels = [ProgramPanel(program, models) for program in programs]
        self.list, self._stack = QListWidget(), QStackedWidget()
        self.list.setObjectName("clear")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        if len(programs) > 1:
            left = Panel("Programs")
            left.setFixedWidth(_LIST_WIDTH)
            left.column.addWidget(self.list)
            row.addWidget(left)
        row.addWidget(self._stack, 1)
        for program, panel in zip(programs, self.panels, strict=True):
            self.list.addItem(program.title)
            self._stack.addWidget(panel)
            panel.ended.connect(lambda code, panel=panel: self.ended.emit(panel, code))
        self.list.currentRowChanged.connect(self._stack.setCurrentIndex)
        self.list.setCurrentRow(0)

    def refresh(self) -> None:
        """Update the lists of networks."""
        for panel in self.panels:
            panel.form.refresh()

    def panel(self, program: ProgramForm) -> ProgramPanel:
        """Return the panel of a program."""
        return next(panel for panel in self.panels if panel.program is program)

    def show_program(
        self, program: ProgramForm, values: Mapping[str, Sequence[str]]
    ) -> ProgramPanel:
        """Select a program and fill in some of its fields."""
        panel = self.panel(program)
        self.list.setCurrentRow(self.panels.index(panel))
        panel.form.show_values(values)
        return panel
