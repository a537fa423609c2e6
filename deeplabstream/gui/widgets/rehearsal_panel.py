"""Rehearsal panel: simulation of the experiment, and re-run of decisions."""

import re
from collections.abc import Callable
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
from deeplabstream.gui.dialogs.program_window import (
    ProgramWindow,
    rerun_decisions,
    runs_of,
    settings_as_shown,
)
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.settings_form import names_in

_MOST_RUNS = 12


class RehearsalPanel(QWidget):
    """Duration and avoided output of a simulation, and a menu of recorded runs.

    `experiment` returns the NAME of the experiment to simulate; empty: of the settings.
    """

    def __init__(
        self, bridge: Bridge, document: Document, experiment: Callable[[], str]
    ) -> None:
        super().__init__()
        self._experiment = experiment
        self.bridge = bridge
        self.document = document
        self.minutes = QDoubleSpinBox()
        self.avoids = QComboBox()
        self.simulate = QPushButton("Simulate")
        self.recorded = QPushButton("Re-run decisions …")
        self._arrange()
        document.changed.connect(self._refresh)
        self.simulate.clicked.connect(self._rehearse)
        self._refresh()

    def _arrange(self) -> None:
        title = QLabel("SIMULATE")
        title.setObjectName("title")
        self.minutes.setRange(0.1, 24 * 60)
        self.minutes.setValue(10)
        self.minutes.setDecimals(1)
        self.minutes.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.minutes.setToolTip("duration in minutes of simulated time, 0.1 to 1440")
        self.minutes.setPrefix("duration ")
        self.minutes.setSuffix(" min")
        self.avoids.setToolTip(
            "the simulated animal avoids the region while this output is on"
        )
        self.simulate.setToolTip(
            "runs the experiment that is selected above with a simulated animal"
        )
        tip = "evaluates a recorded run with these settings and lists differences"
        self.recorded.setToolTip(tip)
        menu = QMenu(self)
        menu.aboutToShow.connect(partial(self._list_runs, menu))
        self.recorded.setMenu(menu)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (title, self.minutes, self.avoids, self.simulate, self.recorded):
            column.addWidget(widget)

    def _refresh(self) -> None:
        outputs = ["avoids: nothing"]
        outputs += [f"avoids: {name}" for name in names_in(self.document, "Output")]
        shown = self.avoids.currentText()
        self.avoids.clear()
        self.avoids.addItems(outputs)
        self.avoids.setCurrentText(shown if shown in outputs else outputs[0])

    def _rehearse(self) -> None:
        name = self._experiment()
        arguments = settings_as_shown(self.document, self, name)
        if not arguments:
            return
        arguments += ["--minutes", f"{self.minutes.value():g}"]
        if self.avoids.currentIndex() > 0:
            avoids = names_in(self.document, "Output")[self.avoids.currentIndex() - 1]
            arguments += ["--flees", avoids]
        title = f"Simulate {name}".strip()
        window = ProgramWindow(title, "RehearseExperiment.py", arguments, self)
        window.ended.connect(partial(self._offer_run, window))
        window.show()

    def _list_runs(self, menu: QMenu) -> None:
        menu.clear()
        for path in runs_of(self.document.settings, _MOST_RUNS):
            if (action := menu.addAction(path.name)) is not None:
                action.triggered.connect(partial(self._rerun, path))
        if menu.isEmpty() and (action := menu.addAction("no runs yet")) is not None:
            action.setEnabled(False)

    def _rerun(self, run: Path, _checked: bool = False) -> None:
        rerun_decisions(self.document, run, self)

    def _offer_run(self, window: ProgramWindow, code: int) -> None:
        found = re.search(r"run folder: (.+)", window.page.toPlainText())
        if code == 0 and found:
            folder = Path(found[1].strip())
            show = partial(self.bridge.run_requested.emit, folder)
            window.offer("Open run", show)
