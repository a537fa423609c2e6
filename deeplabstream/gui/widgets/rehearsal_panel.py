"""Trying the experiment out: on a drawn animal, or on a run that is over."""

import re
from functools import partial
from pathlib import Path

from PyQt5.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.program_window import ProgramWindow
from deeplabstream.gui.recorded_runs import decide_again, runs_of
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.settings_form import names_in

_MOST_RUNS = 12


class RehearsalPanel(QWidget):
    """How long the drawn animal lives, what it flees, and which run is decided again."""

    def __init__(self, bridge: Bridge, document: Document) -> None:
        super().__init__()
        self.bridge = bridge
        self.document = document
        self.minutes = QDoubleSpinBox()
        self.flees = QComboBox()
        self.rehearse = QPushButton("Rehearse")
        self.recorded = QPushButton("On a recorded run …")
        self._arrange()
        document.changed.connect(self._refresh)
        self.rehearse.clicked.connect(self._rehearse)
        self._refresh()

    def _arrange(self) -> None:
        title = QLabel("REHEARSE ON A DRAWN ANIMAL")
        title.setObjectName("title")
        self.minutes.setRange(0.1, 24 * 60)
        self.minutes.setValue(10)
        self.minutes.setDecimals(1)
        self.minutes.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.minutes.setToolTip("minutes that the drawn animal lives, 0.1 to 1440")
        self.minutes.setSuffix(" min of its time")
        self.flees.setToolTip("the animal may run while an output is on")
        tip = "what it would have decided in a run that is over, and what differs"
        self.recorded.setToolTip(tip)
        menu = QMenu(self)
        menu.aboutToShow.connect(partial(self._list_runs, menu))
        self.recorded.setMenu(menu)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for each in (title, self.minutes, self.flees, self.rehearse, self.recorded):
            column.addWidget(each)

    def _refresh(self) -> None:
        outputs = ["avoids: nothing"]
        outputs += [f"avoids: {name}" for name in names_in(self.document, "Output")]
        shown = self.flees.currentText()
        self.flees.clear()
        self.flees.addItems(outputs)
        self.flees.setCurrentText(shown if shown in outputs else outputs[0])

    def _rehearse(self) -> None:
        arguments = ["--settings", str(self.document.file_as_shown())]
        arguments += ["--minutes", f"{self.minutes.value():g}"]
        if self.flees.currentIndex() > 0:
            flees = names_in(self.document, "Output")[self.flees.currentIndex() - 1]
            arguments += ["--flees", flees]
        window = ProgramWindow("Rehearse", "RehearseExperiment.py", arguments, self)
        window.ended.connect(partial(self._offer_look, window))
        window.show()

    def _list_runs(self, menu: QMenu) -> None:
        menu.clear()
        for path in runs_of(self.document.settings, _MOST_RUNS):
            if (action := menu.addAction(path.name)) is not None:
                action.triggered.connect(partial(self._try_on, path))
        if menu.isEmpty() and (action := menu.addAction("no runs yet")) is not None:
            action.setEnabled(False)

    def _try_on(self, run: Path, _checked: bool = False) -> None:
        decide_again(self.document, run, self)

    def _offer_look(self, window: ProgramWindow, code: int) -> None:
        found = re.search(r"run folder: (.+)", window.page.toPlainText())
        if code == 0 and found:
            folder = Path(found[1].strip())
            look = partial(self.bridge.looked_back.emit, folder)
            window.offer("Look at it", look)
