"""Results page: measures, plots and regions of a recorded run, tables of several runs."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PyQt5.QtCore import Qt, QTimer, QUrl, pyqtSignal
from PyQt5.QtGui import QDesktopServices, QShowEvent
from PyQt5.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.analysis.report import ENDINGS
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.questions import input_text, place_to_write, show_message
from deeplabstream.gui.results_client import ResultsClient
from deeplabstream.gui.results_process import (
    AnalyseRun,
    AnalyseStudy,
    Compared,
    Drawn,
    Progressed,
    Refused,
    Request,
    RunMeasures,
    SaveGroups,
    SavePlots,
    SaveStudy,
    SaveTable,
    StudyTable,
    WriteReport,
    WriteStudyReport,
    Written,
)
from deeplabstream.gui.run_listing import EXCLUDED
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.analysis_bar import AnalysisBar
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.flow_layout import FlowLayout
from deeplabstream.gui.widgets.run_corrections import RunCorrections
from deeplabstream.gui.widgets.run_plots import RunPlots
from deeplabstream.gui.widgets.run_regions import RunRegions
from deeplabstream.gui.widgets.run_table import RunSearch, RunTable
from deeplabstream.gui.widgets.scrolled_text import ScrolledText
from deeplabstream.gui.widgets.stop_button import StopButton
from deeplabstream.gui.widgets.study_view import GroupsView, StudyTableView
from deeplabstream.gui.widgets.values_table import ValuesTable
from deeplabstream.recording.run_catalogue import list_runs
from deeplabstream.recording.run_summary import RunSummary, summarise

_COLUMNS = (0, 1, 2, EXCLUDED)
_CHOOSE = "Choose a run. Ctrl and Shift choose several."
_TABLES = "Tables (*.csv *.parquet *.xlsx)"
_PLOTS = "Plots (*.svg *.pdf *.png)"
_LIST_WIDTH = 296  # px
_NOTES_HEIGHT = 105  # px: seven lines
_LISTING = "Listing the runs …"
_OF_ONE, _OF_SEVERAL = ("Measures", "Plots", "Regions", "Correct"), ("Table", "Groups")
_BY_HAND = ("Regions", "Correct")
"""Tabs without analysis options."""
_MOST_RUNS = 1000
"""Most runs that are listed of another folder."""
_SOON_MS = 400
"""Time after which the progress of a request is shown."""


class ResultsPage(QWidget):
    """Lists the runs; shows the results of those that are selected."""

    replay_requested = pyqtSignal(object)
    """Path of a run whose frames are to be shown."""

    def __init__(
        self, document: Document, is_rig_running: Callable[[], bool] = lambda: False
    ) -> None:
        """While `is_rig_running`, one run is analysed at a time, at the lowest priority."""
        super().__init__()
        self.document = document
        self._is_rig_running = is_rig_running
        self.client = ResultsClient(self, is_rig_running)
        self.search, self.table = RunSearch(), RunTable(_COLUMNS)
        self.exclude = QPushButton("Exclude …")
        self.replay = QPushButton("Frames")
        self.other = QPushButton("Other folder …")
        self.count = QLabel()
        self.bar = AnalysisBar()
        self.title, self.notes = Elided(_CHOOSE), ScrolledText(_NOTES_HEIGHT)
        self.measures, self.plots = ValuesTable(), RunPlots(self.client)
        self.regions, self.corrections = RunRegions(), RunCorrections()
        self.study = StudyTableView()
        self.groups = GroupsView(self.client, lambda: self._study)
        self.analyse = QPushButton()
        self.analyse.setProperty("starts", True)
        self.save_table = QPushButton("Save table …")
        self.save_plots = QPushButton("Save plot …")
        self.report = QPushButton("Report …")
        self.report.setToolTip(
            "writes a report on the run, or on several runs: description, measures, plots"
        )
        self.open_written = QPushButton("Open")
        self.open_written.hide()
        self.state, self.progress = QLabel(), QProgressBar()
        self.cancel_work = StopButton("Cancel")
        self.shown: Path | None = None
        """The run whose results are shown or requested; None: no run, or several."""
        self.measured: RunMeasures | None = None
        self.studied: StudyTable | None = None
        """Results of the selected runs; None: not analysed yet."""
        self._selected: Sequence[Path] = ()
        self._saved_in: Path | None = None
        """Folder that was chosen for the last file."""
        self._written: tuple[Path, ...] = ()
        """Files that *Open* opens."""
        self._counted: tuple[Path, ...] = ()
        """Selected runs that are not excluded."""
        self._excluded: tuple[Path, ...] = ()
        self._last = {_OF_ONE: _OF_ONE[0], _OF_SEVERAL: _OF_SEVERAL[0]}
        """The last tab, for one run and for several."""
        self.tabs: dict[str, QPushButton] = {}
        self._group = QButtonGroup(self)
        self._stack = QStackedWidget()
        self._delay = QTimer(self)
        self._arrange()
        self._connect()
        self._offer()

    def open(self, path: Path) -> None:
        """Show the results of a run."""
        if self.table.runs.row_of(path) < 0:
            self.search.clear()
        self.table.add(path)
        if path != self.shown:
            self.measured = None
            self._clear("")
        self.shown = path
        self.refresh()

    def refresh(self) -> None:
        """List the runs of the output directory."""
        settings = self.document.settings
        folder = None if settings is None else settings.output_directory
        self.table.refresh(folder, self.shown)
        if self.table.lister.isRunning():
            self.count.setText(_LISTING)

    def show_tab(self, name: str) -> None:
        """Show one tab of the results."""
        kind = _OF_ONE if name in _OF_ONE else _OF_SEVERAL
        self._last[kind] = name
        self.tabs[name].setChecked(True)
        self._stack.setCurrentIndex(list(self.tabs).index(name))
        self.bar.setVisible(name not in _BY_HAND)
        self._show_notes()

    def _arrange(self) -> None:
        left = QWidget()
        left.setMinimumWidth(_LIST_WIDTH)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(8)
        column.addWidget(self.search)
        column.addWidget(self.table, 1)
        self.table.setMinimumHeight(120)
        foot = FlowLayout(spacing=6)
        for widget in (self.exclude, self.replay, self.other, self.count):
            foot.addWidget(widget)
        column.addLayout(foot)
        self.exclude.setToolTip("leaves runs out of results of several runs, or not")
        self.replay.setToolTip(
            "shows the frames and events of the run on the page Runs"
        )
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(left)
        split.addWidget(self._results())
        split.setHandleWidth(2)
        split.setStretchFactor(0, 2)
        split.setStretchFactor(1, 5)
        split.setSizes([330, 880])
        split.setChildrenCollapsible(False)
        row = QVBoxLayout(self)
        row.setContentsMargins(10, 10, 10, 10)
        row.addWidget(split)

    def _results(self) -> QWidget:
        self.title.setObjectName("heading")
        for label in (self.notes.label, self.state, self.count):
            label.setObjectName("caption")
        self.state.setWordWrap(True)
        self.notes.hide()
        self.progress.setTextVisible(False)
        self.progress.setFixedSize(160, 10)
        tabs, buttons = _row(spacing=4), _row(spacing=6)
        parts = (
            *(self.measures, self.plots, self.regions, self.corrections),
            *(self.study, self.groups),
        )
        for name, widget in zip((*_OF_ONE, *_OF_SEVERAL), parts, strict=True):
            button = QPushButton(name)
            button.setCheckable(True)
            button.clicked.connect(partial(self.show_tab, name))
            self.tabs[name] = button
            self._group.addButton(button)
            self._stack.addWidget(widget)
            _add(tabs, button)
        for button in (self.analyse, self.report, self.save_table, self.save_plots):
            _add(buttons, button)
        # in a narrow window the buttons are below the tabs
        head = FlowLayout(spacing=24)
        for part in (tabs, buttons):
            head.addWidget(part)
        foot = QHBoxLayout()
        foot.addWidget(self.progress)
        foot.addWidget(self.state, 1)
        foot.addWidget(self.open_written)
        foot.addWidget(self.cancel_work)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(8, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.title)
        column.addLayout(head)
        column.addWidget(self.notes)
        column.addWidget(self.bar)
        column.addWidget(self._stack, 1)
        column.addLayout(foot)
        self.show_tab("Measures")
        return right

    def _connect(self) -> None:
        self._delay.setSingleShot(True)
        self._delay.setInterval(_SOON_MS)
        self._delay.timeout.connect(self._show_progress_bar)
        self.search.query_changed.connect(self._search)
        self.table.listed.connect(self._take_list)
        self.table.reselected.connect(self._choose)
        self.table.opened.connect(self.replay_requested)
        self.table.failed.connect(self._show_message)
        self.exclude.clicked.connect(self._exclude_or_include)
        self.replay.clicked.connect(lambda: self.replay_requested.emit(self.shown))
        self.other.clicked.connect(self._choose_folder)
        self.bar.changed.connect(self._change)
        self.regions.changed.connect(self._analyse)
        self.regions.failed.connect(self._show_message)
        self.corrections.changed.connect(self._analyse)
        self.analyse.clicked.connect(self._analyse_all)
        self.save_table.clicked.connect(self._save_table)
        self.save_plots.clicked.connect(self._save_plot)
        self.report.clicked.connect(self._save_report)
        self.open_written.clicked.connect(self._open_written)
        self.client.replied.connect(self._take)
        self.client.progressed.connect(self._show_progress)
        self.client.busy_changed.connect(self._track_progress)
        self.cancel_work.clicked.connect(self._cancel)

    def _search(self) -> None:
        self.table.filter(self.search.query)
        self._show_count()

    def _take_list(self) -> None:
        self.search.offer(self.table.runs.all)
        self._show_count()
        if self.table.selected != self._selected:
            self._choose()

    def _show_count(self) -> None:
        shown, total = len(self.table.runs.runs), len(self.table.runs.all)
        runs = "1 run" if total == 1 else f"{total} runs"
        self.count.setText(runs if shown == total else f"{shown} of {runs}")
        if not total:
            self.count.setText("No runs yet")

    def _choose(self) -> None:
        """Show the results of the selected runs."""
        self._selected = self.table.selected
        shown = self._selected[0] if len(self._selected) == 1 else None
        if shown is None or shown != self.shown:
            self.measured = None
            self._clear(_CHOOSE if shown is None else "")
        self.shown = shown
        several = len(self._selected) > 1
        for name, button in self.tabs.items():
            button.setVisible((name in _OF_SEVERAL) == several)
        self.show_tab(self._last[_OF_SEVERAL if several else _OF_ONE])
        self._change()

    def _clear(self, text: str) -> None:
        self.measures.show_values((), ())
        self.plots.clear(text)
        self.regions.clear(text)
        self.corrections.clear(text)
        self.notes.hide()

    def _show_notes(self) -> None:
        """Show the notes on the run above measures and plots."""
        notes = () if self.measured is None else self.measured.notes
        self.notes.setText("\n".join(notes))
        beside = self._stack.currentWidget() in (self.measures, self.plots)
        self.notes.setVisible(bool(notes) and beside)

    def _runs(self) -> list[RunSummary]:
        """Return the selected runs."""
        selected = set(self._selected)
        return [run for run in self.table.runs.runs if run.path in selected]

    def _clear_study(self) -> None:
        """Remove the results of several runs, and list those that are excluded."""
        runs = self._runs()
        self._counted = tuple(run.path for run in runs if not run.excluded)
        self.studied = None
        self.analyse.setText(f"Analyse {len(self._counted)} runs")
        excluded = [run for run in runs if run.excluded]
        self._excluded = tuple(run.path for run in excluded)
        left = [f"{run.path.name} is left out: {run.excluded}" for run in excluded]
        text = f"{self.analyse.text()} first." if self._counted else ""
        self.study.clear("\n".join([text, *left[:20]]).strip())
        self.groups.clear(text)

    def _show_about(self) -> None:
        count = len(self._selected)
        run = None if self.shown is None else summarise(self.shown)
        text = f"{count} runs" if count > 1 else _CHOOSE
        self.title.setText(text if run is None else _about(run))

    def _change(self) -> None:
        """Analyse again, for other runs or options."""
        self._show_about()
        self._clear_study()
        self._analyse()
        self._offer()

    def _analyse_all(self) -> None:
        """Analyse the selected runs; while the rig runs, one at a time."""
        self._show_message("")
        self.client.send(self._study)

    @property
    def _study(self) -> AnalyseStudy:
        """Request for the results of the selected runs."""
        return AnalyseStudy(self._counted, self.bar.options, self._processes)

    @property
    def _processes(self) -> int:
        """Runs that are analysed in parallel; 0: one per CPU core."""
        return 1 if self._is_rig_running() else 0

    def _analyse(self) -> None:
        if self.shown is not None:
            self._show_message("")
            self.client.send(AnalyseRun(self.shown, self.bar.options))

    def _take(self, request: Request, reply: object) -> None:
        if isinstance(request, AnalyseRun):
            if (request.run, request.options) == (self.shown, self.bar.options):
                self._take_measured(request, reply)
        elif isinstance(request, AnalyseStudy):
            if (request.runs, request.options) == (self._counted, self.bar.options):
                self._take_study(reply)
        elif isinstance(reply, Written):
            self._show_message(_written(reply), reply.files[-1:])
        elif not isinstance(reply, Drawn | Compared):
            self._show_message(_reason(reply))

    def _take_study(self, reply: object) -> None:
        if not isinstance(reply, StudyTable):
            self._show_message(_reason(reply))
            return
        self._show_message("")
        self.studied = reply
        self.study.show_study(reply)
        self.groups.show_study(reply)
        self._offer()

    def _take_measured(self, request: AnalyseRun, reply: object) -> None:
        if not isinstance(reply, RunMeasures):
            self.measured = None
            self._clear(_reason(reply))
            self._show_message(_reason(reply))
            self._offer()
            return
        self.measured = reply
        self.bar.offer(reply)
        several = len(reply.animals) > 1
        columns = [
            f"{animal}: {span}" if several else span for animal, span in reply.columns
        ]
        rows = [(row.label, row.unit, *row.values) for row in reply.rows]
        tips = [f"{row.name}: {row.definition}" for row in reply.rows]
        self.measures.show_values(("measure", "unit", *columns), rows, tips)
        self._show_notes()
        self.plots.show_run(request.run, request.options, reply)
        self.regions.show_run(request.run, reply)
        self.corrections.show_run(request.run, reply.camera)
        self._offer()

    def _offer(self) -> None:
        """Enable the buttons that apply to the selected runs."""
        several = len(self._selected) > 1
        one = self.measured is not None
        results = self.measured if not several else self.studied
        self.save_table.setEnabled(results is not None)
        self.save_plots.setEnabled(results is not None)
        self.report.setEnabled(bool(self._counted) if several else one)
        self.analyse.setVisible(several and self.studied is None)
        self.analyse.setEnabled(bool(self._counted))
        self.replay.setEnabled(self.shown is not None)
        runs = self._runs()
        self.exclude.setEnabled(bool(runs))
        every = bool(runs) and all(run.excluded for run in runs)
        self.exclude.setText("Include" if every else "Exclude …")

    def _exclude_or_include(self) -> None:
        """Exclude the selected runs with a reason, or include them again."""
        reason = ""
        if self.exclude.text() != "Include":
            what = "this run" if len(self._selected) == 1 else "these runs"
            question = f"Why do results of several runs leave out {what}?"
            reason = input_text(self, question) or ""
            if not reason.strip():
                return
        self.table.runs.exclude(self._selected, reason.strip())
        if self.shown is None:
            self._clear_study()
        self._offer()

    def _choose_folder(self) -> None:
        name = file_dialogs.open_folder(self, "Choose a run, or a folder of runs")
        if name:
            self.open_folder(Path(name))

    def open_folder(self, folder: Path) -> None:
        """Show a run, or list the runs of a folder."""
        if (folder / "run.json").is_file():
            self.open(folder)
            return
        runs = [run.path for run in list_runs(folder, _MOST_RUNS)]
        for run in runs:
            self.table.add(run)
        if runs:
            self.refresh()
        else:
            show_message(self, f"{folder} is not a run folder and contains no run.")

    def choose_file(self, name: str, kinds: str, usual: str) -> Path | None:
        """Return a file to write, chosen by the user; `usual` is its default suffix."""
        folder = self._saved_in or self._usual_folder
        chosen = file_dialogs.save_file(self, "Save", str(folder / name), kinds)
        if not chosen:
            return None
        path = Path(chosen)
        self._saved_in = path.parent
        return place_to_write(self, path if path.suffix else path.with_suffix(usual))

    @property
    def _usual_folder(self) -> Path:
        """Folder that is offered for the first file: the run's; that of several runs."""
        if self.shown is not None:
            return self.shown
        return self._selected[0].parent if self._selected else Path()

    def _save_table(self) -> None:
        run = self.shown
        name = "results" if run is None else run.name
        file = self.choose_file(f"{name}.csv", _TABLES, ".csv")
        if file is not None and run is None:
            self.client.send(SaveStudy(self._study, file))
        elif file is not None and run is not None:
            self.client.send(SaveTable(run, self.bar.options, file))

    def _save_plot(self) -> None:
        """Save the plot that is shown to a file that the user chooses."""
        run, name = self.shown, self.plots.name
        if run is None:
            name = self.groups.measure.currentData()
        stem = f"{run.name}.{name}" if run is not None else name
        file = self.choose_file(f"{stem}.svg", _PLOTS, ".svg")
        if file is not None and run is None:
            self.client.send(SaveGroups(self.groups.request(), file))
        elif file is not None and run is not None:
            chosen = self.plots.chosen
            self.client.send(SavePlots(run, self.bar.options, chosen, {name: file}))

    def _save_report(self) -> None:
        run, kinds = self.shown, " ".join(f"*{ending}" for ending in ENDINGS)
        name = "study" if run is None else run.name
        file = self.choose_file(f"{name}.html", f"Reports ({kinds})", ".html")
        if file is not None and run is None:
            options, compared = self.bar.options, self.groups.study_options
            self.client.send(
                WriteStudyReport(
                    self._counted,
                    self._excluded,
                    options,
                    compared,
                    file,
                    self._processes,
                )
            )
        elif file is not None and run is not None:
            chosen = self.plots.chosen
            self.client.send(WriteReport(run, self.bar.options, chosen, file))

    def _open_written(self) -> None:
        for file in self._written:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(file)))

    def _show_message(self, text: str, written: Sequence[Path] = ()) -> None:
        """Show a message, and a button that opens the written files."""
        self.state.setText(text)
        self._written = tuple(written)
        self.open_written.setVisible(bool(written))

    def _track_progress(self) -> None:
        """Show the progress of a request, unless it ends soon."""
        if self.client.current is None:
            self._delay.stop()
            self.progress.hide()
            self.cancel_work.hide()
        elif not self.progress.isVisible():
            self.progress.setRange(0, 0)
            self._delay.start()

    def _show_progress_bar(self) -> None:
        self.progress.show()
        self.cancel_work.show()

    def _show_progress(self, at: Progressed) -> None:
        self.progress.setRange(0, at.total if at.total > 1 else 0)
        self.progress.setValue(at.done)
        self._show_message(
            f"{at.what}: {at.done} of {at.total}" if at.total > 1 else at.what
        )

    def _cancel(self) -> None:
        self.client.cancel()
        self._show_message("Cancelled.")

    def cancel(self) -> bool:
        """Deselect the drawing tool or cancel a request; return whether there was one."""
        if self.regions.deselect_tool():
            return True
        if self.client.current is None:
            return False
        self._cancel()
        return True

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Update the list of runs."""
        self.refresh()
        self._track_progress()
        super().showEvent(event)

    @property
    def undoes(self) -> bool:
        """Whether Undo and Redo apply to regions or corrections of this page."""
        return self.regions.isVisible() or self.corrections.isVisible()

    def undo(self) -> None:
        """Undo the last change."""
        shown = self.regions if self.regions.isVisible() else self.corrections
        shown.undo()

    def redo(self) -> None:
        """Redo the change that was undone last."""
        shown = self.regions if self.regions.isVisible() else self.corrections
        shown.redo()

    @property
    def running(self) -> str:
        """Always empty: closing loses nothing."""
        return ""

    def finish(self) -> None:
        """End the threads and the results process."""
        self.table.lister.finish()
        self.corrections.finish()
        self.client.finish()


def _about(run: RunSummary) -> str:
    """Return name, animal, group, experiment and outcome of a run, in a line."""
    facts = (run.path.name, run.animal, run.group, run.experiment, run.outcome)
    return "   ".join(fact for fact in facts if fact)


def _reason(reply: object) -> str:
    if isinstance(reply, Refused):
        return reply.reason
    return "The results process has ended unexpectedly: memory may be full."


def _written(reply: Written) -> str:
    files = ", ".join(str(file) for file in reply.files)
    return "; ".join([f"Written: {files}"] * bool(files) + [*reply.problems])


def _row(spacing: int) -> QWidget:
    """Return a widget that takes others side by side, by `_add`."""
    made = QWidget()
    made.setObjectName("clear")
    row = QHBoxLayout(made)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(spacing)
    return made


def _add(row: QWidget, widget: QWidget) -> None:
    if (layout := row.layout()) is not None:
        layout.addWidget(widget)
