"""Runs page: show, annotate, audit, re-run, align, export and delete recorded runs."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from PyQt5.QtCore import QFile, QPoint, Qt, QUrl, pyqtSignal
from PyQt5.QtGui import QDesktopServices, QHideEvent, QShowEvent
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.evidence.evidence_bundle import BUNDLE
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.program_window import (
    FormWindow,
    ProgramWindow,
    rerun_decisions,
)
from deeplabstream.gui.dialogs.questions import CANCEL, REPLACE, show_question
from deeplabstream.gui.pages.audit_page import AuditPage
from deeplabstream.gui.pages.using_tab import models_of
from deeplabstream.gui.programs import ALIGN
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.busy_sign import busy
from deeplabstream.gui.widgets.flow_layout import FlowLayout
from deeplabstream.gui.widgets.run_table import RunTable, WordSearch
from deeplabstream.gui.widgets.run_view import RunView
from deeplabstream.recording.exporters.exports import EXPORTED_BEFORE, EXPORTS
from deeplabstream.recording.frame_queue import count_queued
from deeplabstream.recording.run_catalogue import RunQuery
from deeplabstream.recording.run_opening import ended, goes_on
from deeplabstream.recording.run_review import Review
from deeplabstream.recording.run_summary import (
    NOT_ENDED,
    UNREADABLE,
    summarise,
)

_DELETE = "Move to trash"
_LISTING = "Listing the runs …"
_REPAIRED = (
    "The run is being recorded, or was killed and will be repaired when it is opened."
)

_EXPORT_NAMES = {
    "dlc-csv": "DeepLabCut (CSV)",
    "dlc-h5": "DeepLabCut (HDF5)",
    "predecessor-csv": "DeepLabStream 1 (CSV)",
    "sleap": "SLEAP analysis (HDF5)",
    "slp": "SLEAP (.slp)",
    "parquet": "Tables (Parquet)",
    "nwb": "NWB",
    "boris": "BORIS (events)",
    "labelled-video": "Labelled video",
    BUNDLE: "Evidence bundle",
}


class RunsPage(QWidget):
    """Lists the runs of the output directory, newest first."""

    results_requested = pyqtSignal(object)
    """Path of a run whose results are to be shown."""
    labelling_requested = pyqtSignal(object)
    """Path of the run whose uncertain frames are to be labelled."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.table = RunTable()
        self.search = WordSearch()
        self.other = QPushButton("Other folder …")
        self.results = QPushButton("Results")
        self.results.setToolTip("measures and plots; also by a double click on a run")
        self.again = QPushButton("Re-run decisions")
        self.again.setToolTip(
            "evaluates triggers and experiment on the recorded poses with the "
            "current settings and lists differences; no output is switched"
        )
        self.audit_triggers = QPushButton("Audit triggers …")
        self.audit_triggers.setToolTip(
            "judge a random sample of decisions from the video before them: precision, "
            "recall and wrong pulses per hour"
        )
        self.label = QPushButton("Label …")
        self.align = QPushButton("Align …")
        self.align.setToolTip(
            "maps the run's clock to that of an ephys, photometry or other recording, "
            "from a signal that both have recorded"
        )
        self.export = QPushButton("Export")
        self.folder = QPushButton("Open folder")
        self.delete = QPushButton("Delete …")
        self.about = QLabel()
        self.about.setObjectName("caption")
        self.about.setWordWrap(True)
        self.view, self.audit = RunView(), AuditPage()
        self.chosen: Path | None = None
        self._arrange()
        self._connect()
        self._offer()

    @property
    def parts(self) -> Mapping[str, QWidget]:
        """The parts that the tour speaks of."""
        return {"image": self.view.video, "timeline": self.view.timeline}

    def refresh(self) -> None:
        """List the runs of the output directory."""
        settings = self.document.settings
        folder = None if settings is None else settings.output_directory
        self.table.refresh(folder, self.chosen)
        if self.table.lister.isRunning():
            self._complain(_LISTING)

    def _take_list(self) -> None:
        if self.document.settings is None:
            count = self.document.problem_count
            self._complain(f"{count}: its output directory is not known.")
        elif not self.table.runs.all:
            self._complain("No runs yet: Start Analysis or Start Recording.")
        elif self.about.text() == _LISTING:
            self._describe(())

    def open(self, path: Path) -> None:
        """Show a run."""
        self._leave_audit()
        self.chosen = path
        self.table.select(path)
        if path not in self.table.selected:
            self.table.add(path)
            self.refresh()
        self._describe(())
        self._offer()
        self.view.open(path)

    def _arrange(self) -> None:
        menu = QMenu(self)
        for kind in (*EXPORTS, BUNDLE):
            action = menu.addAction(_EXPORT_NAMES.get(kind, kind))
            if action is not None:
                action.triggered.connect(partial(self._start_export, kind))
        self.export.setMenu(menu)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.search, 1)
        buttons = (
            *(self.results, self.again, self.audit_triggers, self.label, self.align),
            *(self.export, self.folder, self.delete, self.other),
        )
        actions = FlowLayout()
        for button in buttons:
            actions.addWidget(button)
        top.addLayout(actions)
        upper = QWidget()
        column = QVBoxLayout(upper)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(top)
        column.addWidget(self.table, 1)
        column.addWidget(self.about)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(upper)
        split.addWidget(self.view)
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 3)
        split.setSizes([210, 600])
        self.table.setMinimumHeight(120)
        split.setChildrenCollapsible(False)
        self._stack = QStackedWidget()
        self._stack.addWidget(split)
        self._stack.addWidget(self.audit)
        row = QVBoxLayout(self)
        row.setContentsMargins(10, 10, 10, 10)
        row.addWidget(self._stack)

    def _connect(self) -> None:
        self.table.chosen.connect(self._choose)
        self.table.failed.connect(self.about.setText)
        self.table.customContextMenuRequested.connect(self._show_menu)
        self.table.opened.connect(self.results_requested)
        self.table.listed.connect(self._take_list)
        self.search.textChanged.connect(
            lambda text: self.table.filter(RunQuery(text=text))
        )
        self.results.clicked.connect(lambda: self.results_requested.emit(self.chosen))
        self.other.clicked.connect(self._choose_folder)
        self.again.clicked.connect(self._rerun)
        self.label.clicked.connect(lambda: self.labelling_requested.emit(self.chosen))
        self.align.clicked.connect(self._show_alignment_form)
        self.audit_triggers.clicked.connect(lambda: self.show_audit())
        self.audit.closed.connect(self._leave_audit)
        self.folder.clicked.connect(self._open_folder)
        self.delete.clicked.connect(self._delete)
        self.view.opened.connect(self._take_review)

    def _take_review(self, run: Review) -> None:
        """Show the warnings of a run; update the list, as the run may have been repaired."""
        if run.warnings:
            self.refresh()
        self._describe(run.warnings)

    def _describe(self, warnings: Sequence[str]) -> None:
        run = None if self.chosen is None else summarise(self.chosen)
        lines: list[str] = []
        if run is not None:
            if run.outcome == UNREADABLE:
                lines.append("Can't read run.json: the run folder is incomplete")
            elif run.outcome == NOT_ENDED:
                lines.append(_REPAIRED)
            lines += [f"repaired: {repair}" for repair in run.repaired]
            lines += [warning for warning in warnings if warning not in lines]
        self.about.setText("\n".join(lines))
        self.about.setVisible(bool(lines))

    def _choose(self, path: Path) -> None:
        if path != self.chosen:
            self.open(path)

    def _show_menu(self, at: QPoint) -> None:
        if not self.table.indexAt(at).isValid():
            return
        menu = QMenu(self)
        for button in (
            *(self.results, self.again, self.audit_triggers, self.label),
            *(self.align, self.folder, self.delete),
        ):
            if (action := menu.addAction(button.text())) is not None:
                action.setEnabled(button.isEnabled())
                action.triggered.connect(button.click)
        if (exports := self.export.menu()) is not None:
            exports.setTitle("Export")
            menu.addMenu(exports)
        menu.popup(self.table.mapToGlobal(at))

    def _offer(self) -> None:
        for button in (
            *(self.results, self.again, self.audit_triggers, self.align),
            *(self.export, self.folder, self.delete),
        ):
            button.setEnabled(self.chosen is not None)
        count = count_queued(self.chosen) if self.chosen is not None else 0
        self.label.setEnabled(count > 0)
        frames = f"{count} frames" if count != 1 else "1 frame"
        self.label.setToolTip(
            f"{frames} of the run about which the network was uncertain"
            if count
            else "no uncertain frame was queued ([Recording] QUEUE_PER_HOUR)"
        )

    def show_audit(self) -> None:
        """Show the audit of the selected run; without one, a sample is drawn."""
        if self.chosen is not None:
            self.view.play.stop()
            self._stack.setCurrentWidget(self.audit)
            self.audit.open(self.chosen)

    def _leave_audit(self) -> None:
        """Show the runs again; the verdicts are stored."""
        if self._stack.currentWidget() is self.audit:
            self._stack.setCurrentIndex(0)
            self.audit.leave()

    def cancel(self) -> bool:
        """Leave the audit; return whether it was shown."""
        shown = self._stack.currentWidget() is self.audit
        self._leave_audit()
        return shown

    def _choose_folder(self) -> None:
        name = file_dialogs.open_folder(self, "Choose a run folder")
        if name:
            self.open(Path(name))

    def _delete(self) -> None:
        """Move the selected runs to the trash, after a confirmation."""
        runs = self.table.selected or ([self.chosen] if self.chosen else [])
        with busy(self, "Looking whether a run is still being written …"):
            written = [run.name for run in runs if not ended(run) and goes_on(run)]
        if written:
            self._complain(
                f"{', '.join(written)} is still being written. Stop it first."
            )
            return
        names = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
        question = f"Move {names} to the trash, with videos, poses and events?"
        if show_question(self, question, _DELETE, CANCEL) != _DELETE:
            return
        with busy(self, f"Moving {names} to the trash …"):
            self.view.release()
            self.audit.release()
            kept = [run for run in runs if not move_to_trash(run)]
        if self.chosen in runs and self.chosen not in kept:
            self.chosen = None
            self.view.clear("Choose a run")
        self._offer()
        self.refresh()
        if kept:
            self._complain(
                f"{', '.join(run.name for run in kept)} can't be moved to the trash. "
                "Nothing was deleted. Delete the folder with the file manager."
            )

    def _complain(self, text: str) -> None:
        self.about.setText(text)
        self.about.show()

    def _rerun(self) -> None:
        if self.chosen is not None:
            rerun_decisions(self.document, self.chosen, self)

    def _show_alignment_form(self) -> None:
        """Show the form for the other recording and its signal."""
        values = {"Run": [str(self.chosen)]}
        FormWindow(ALIGN, values, models_of(self.document), self).show()

    def _start_export(self, kind: str, _checked: bool = False) -> None:
        self._export(kind)

    def _export(self, kind: str, overwrite: bool = False) -> None:
        arguments = [str(self.chosen), "--to", kind]
        if overwrite:
            arguments.append("--overwrite")
        window = ProgramWindow("Export", "ExportRun.py", arguments, self)
        window.ended.connect(
            partial(self._offer_replacement, window, self.chosen, kind)
        )
        window.show()

    def _offer_replacement(
        self, window: ProgramWindow, run: Path | None, kind: str, code: int
    ) -> None:
        """Replace the files of an earlier export, after a confirmation."""
        if code != EXPORTED_BEFORE or run != self.chosen:
            return
        question = (
            f"{run}/export already contains files of {_EXPORT_NAMES.get(kind, kind)}. "
            "Replace them with a new export of this run?"
        )
        if show_question(self, question, REPLACE, CANCEL) == REPLACE:
            window.close()
            self._export(kind, overwrite=True)

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.chosen)))

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Update the list; try again to read a run that could not be read before."""
        self.refresh()
        if self.chosen is not None and self.view.review is None:
            self.open(self.chosen)
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802
        """Stop playback."""
        self.view.play.setChecked(False)
        super().hideEvent(event)

    @property
    def running(self) -> str:
        """Always empty: closing loses nothing."""
        return ""

    def finish(self) -> None:
        """End the threads of the page."""
        self.view.finish()
        self.audit.finish()
        self.table.lister.finish()


def move_to_trash(folder: Path) -> bool:
    """Move a folder to the trash of the desktop; False: it was not moved."""
    done, _place = QFile.moveToTrash(str(folder))
    return bool(done)
