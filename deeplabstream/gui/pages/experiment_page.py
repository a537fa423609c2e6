"""Experiment page: choose, set up, simulate, re-run and monitor an experiment."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PyQt5.QtCore import QSize, Qt
from PyQt5.QtGui import QFont, QResizeEvent
from PyQt5.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.journal_entries import Edge, Step
from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.program_window import (
    ProgramWindow,
    rerun_decisions,
    runs_of,
    settings_as_shown,
)
from deeplabstream.gui.dialogs.questions import show_message
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.described_menu import add_described
from deeplabstream.gui.widgets.settings_form import (
    NARROW,
    SettingsForm,
    names_in,
    show_in,
    usual_name,
)
from deeplabstream.gui.widgets.timeline_view import MEMORY_S, LiveLanes, TimelineView
from deeplabstream.gui.widgets.trial_preview_list import TrialList
from deeplabstream.settings import ini_editing
from deeplabstream.settings.fields import about_kind
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import kinds_of, names_needed
from deeplabstream.settings.ready_made import described, ready_made, with_experiment

_MOST_RUNS = 12
_LIST_WIDTH, _FORM_WIDTH = 250, 560  # px
_WIDE = 1060  # px
_SHOWN_S = 60.0
_NAME = Qt.ItemDataRole.UserRole


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
        outputs += [f"avoids: {name}" for name in self._outputs]
        shown = self.avoids.currentText()
        self.avoids.clear()
        self.avoids.addItems(outputs)
        self.avoids.setCurrentText(shown if shown in outputs else outputs[0])

    @property
    def _outputs(self) -> list[str]:
        """Outputs that an animal can avoid; with arenas first those of the same first name."""
        names = names_in(self.document, "Output")
        rig = self.document.settings
        if rig is None or not rig.arenas:
            return names
        return [*dict.fromkeys([*(it.partition(".")[0] for it in names), *names])]

    def _rehearse(self) -> None:
        name = self._experiment()
        arguments = settings_as_shown(self.document, self, name)
        if not arguments:
            return
        arguments += ["--minutes", f"{self.minutes.value():g}"]
        if self.avoids.currentIndex() > 0:
            avoids = self._outputs[self.avoids.currentIndex() - 1]
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


class ExperimentPage(QWidget):
    """List of experiments, form of the selected one, simulation, preview and timeline."""

    def __init__(self, bridge: Bridge, document: Document) -> None:
        super().__init__()
        self.bridge = bridge
        self.document = document
        self.list = QListWidget()
        self.list.setObjectName("clear")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.use = QPushButton("Use this one")
        self.ready = QPushButton("Ready-made …")
        self.new = QPushButton("New …")
        self.rehearsal = RehearsalPanel(bridge, document, lambda: self.chosen)
        self.form: SettingsForm | None = None
        self.timeline = TimelineView()
        self.last_event = QLabel()
        self.trials = TrialList()
        self._area = QScrollArea()
        self._upper = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        """Form and trials: side by side, in a narrow window one below the other."""
        self._lanes = LiveLanes((), ())
        self._arrange()
        self._connect()
        self._refresh()
        self._renew()

    def _arrange(self) -> None:
        self._area.setWidgetResizable(True)
        self.ready.setMenu(self._ready_menu())
        self.new.setMenu(self._kinds_menu())
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 10, 10, 10)
        row.setSpacing(10)
        row.addWidget(self._choosing())
        right = QVBoxLayout()
        right.setSpacing(8)
        self._upper.setSpacing(10)
        self._area.setMinimumWidth(_FORM_WIDTH)
        self._upper.addWidget(self._area, 3)
        self._upper.addWidget(self.trials, 2)
        right.addLayout(self._upper, 1)
        self.last_event.setObjectName("caption")
        right.addWidget(self.last_event)
        right.addWidget(self.timeline)
        row.addLayout(right, 1)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Show the trials below the form while there is no room beside it."""
        super().resizeEvent(event)
        narrow = self.width() < _WIDE
        directions = QBoxLayout.Direction
        beside, below = directions.LeftToRight, directions.TopToBottom
        self._upper.setDirection(below if narrow else beside)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return the size with the trials below the form."""
        width = _LIST_WIDTH + _FORM_WIDTH + 30
        return QSize(width, super().minimumSizeHint().height())

    def _choosing(self) -> QFrame:
        panel = QFrame()
        panel.setObjectName("panel")
        panel.setFixedWidth(_LIST_WIDTH)
        column = QVBoxLayout(panel)
        column.setContentsMargins(10, 10, 10, 10)
        column.addWidget(self.list, 1)
        for button in (self.use, self.ready, self.new):
            column.addWidget(button)
        column.addSpacing(8)
        column.addWidget(self.rehearsal)
        return panel

    def _connect(self) -> None:
        self.document.changed.connect(self._refresh)
        self.list.currentItemChanged.connect(self._choose)
        self.use.clicked.connect(self._use)
        self.bridge.settings_changed.connect(self._renew)
        self.bridge.stepped.connect(self._take_steps)
        self.bridge.edged.connect(self._take_edge)
        self.bridge.status_changed.connect(self._take_status)
        self.bridge.ticked.connect(self._tick)

    @property
    def used(self) -> str:
        """NAME of the experiment that Start Experiment runs."""
        return self.document.values.get("Experiment", {}).get("EXP_NAME", "")

    @property
    def chosen(self) -> str:
        """NAME of the experiment whose form is shown; empty: none."""
        item = self.list.currentItem()
        return "" if item is None else str(item.data(_NAME))

    def show_experiment(self, name: str) -> None:
        """Show the form of an experiment."""
        for row in range(self.list.count()):
            item = self.list.item(row)
            if item is not None and item.data(_NAME) == name:
                self.list.setCurrentRow(row)

    def _refresh(self) -> None:
        names, before = names_in(self.document, "Experiment"), self.chosen
        self.list.blockSignals(True)
        self.list.clear()
        for name in names:
            self._list(name)
        selected = before if before in names else self.used
        self.list.setCurrentRow(names.index(selected) if selected in names else -1)
        self.list.blockSignals(False)
        self._choose()

    def _list(self, name: str) -> None:
        used = name == self.used
        item = QListWidgetItem(f"● {name}" if used else name)
        item.setData(_NAME, name)
        if used:
            font = QFont(self.list.font())
            font.setBold(True)
            item.setFont(font)
        self.list.addItem(item)

    def _show_preview(self) -> None:
        """Show the trials of the selected experiment; a running one with the seed of its run."""
        name, session = self.chosen, self.bridge.session
        used = session.state.used_settings
        idle = session.state.phase is Phase.IDLE
        settings = self.document.settings
        if used is not None and not idle and name == used.experiment.exp_name:
            settings = used
        if settings is None:
            self.trials.show_experiment(None, name)
            return
        sections = read_sections(settings.text).texts
        seed = sections.get(f"Experiment {name}", {}).get("SEED", "")
        self.trials.show_experiment(settings, name, seed)

    def _choose(self) -> None:
        self._show_preview()
        name = self.chosen
        self.use.setEnabled(bool(name) and name != self.used)
        if not name:
            self.form = None
            none = QLabel("No experiment yet. Choose a ready-made one.")
            show_in(self._area, none)
            return
        title = f"Experiment {name}"
        if self.form is None or self.form.title != title or self.form.outdated:
            self.form = SettingsForm(self.document, title, NARROW)
            show_in(self._area, self.form)
        else:
            self.form.refresh()

    def _use(self) -> None:
        self.document.set_value("Experiment", "EXP_NAME", self.chosen)

    def _ready_menu(self) -> QMenu:
        menu = QMenu(self)
        for file in ready_made(self.document.path.parent).values():
            name, take = file.stem.replace("_", " "), self._take_ready_made
            about, needs = described(file)
            add_described(menu, name, about, needs, partial(take, file.stem))
        return menu

    def _take_ready_made(self, name: str) -> None:
        """Add a ready-made experiment, with its triggers and outputs, to the settings."""
        text, folder = self.document.text, self.document.path.parent
        try:
            self.document.edit(with_experiment(text, name, folder))
        except SettingsError as error:
            show_message(self, "\n".join(error.problems))
        else:
            self.show_experiment(self.used)

    def _kinds_menu(self) -> QMenu:
        menu = QMenu(self)
        for kind, what in kinds_of("Experiment").items():
            about, needs = about_kind(what), names_needed(what)
            add_described(menu, kind, about, needs, partial(self.add, kind))
        return menu

    def add(self, kind: str) -> None:
        """Add an experiment of a kind, with default settings."""
        name = usual_name(self.document, "Experiment", kind)
        title, values = f"Experiment {name}", {"KIND": kind}
        self.document.edit(ini_editing.add_section(self.document.text, title, values))
        self.show_experiment(name)

    def _renew(self) -> None:
        settings = self.bridge.session.settings
        self._lanes = LiveLanes(settings.triggers, settings.outputs)
        self._tick()

    def _take_steps(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            self._lanes.step(step, self.bridge.session.state.start_ns)

    def _take_edge(self, edge: Edge) -> None:
        self._lanes.edge(edge, self.bridge.session.state.start_ns)

    def _take_status(self, status: SessionState) -> None:
        if status.phase is Phase.STARTING:
            self._lanes.clear()
        self._show_preview()

    def _tick(self) -> None:
        if not self.isVisible():
            return
        lanes, now_s = self._lanes, self._lanes.now_s
        marks = list(lanes.marks)
        self.timeline.show_last(lanes.lanes, marks, now_s, min(_SHOWN_S, MEMORY_S))
        last = marks[-1][1] if marks else "events of triggers, outputs and marks"
        self.last_event.setText(f"Last minute: {last}")
