"""Runs page: recorded runs, shown, decided again and exported."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from PyQt5.QtCore import Qt, QUrl
from PyQt5.QtGui import QDesktopServices, QHideEvent, QShowEvent
from PyQt5.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.gui.dialogs.program_window import (
    ProgramWindow,
    rerun_decisions,
    runs_of,
)
from deeplabstream.gui.dialogs.questions import CANCEL, REPLACE, ask
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.widgets.run_view import RunView
from deeplabstream.recording.exporters.exports import EXPORTED_BEFORE, EXPORTS
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.recording.run_review import Review

_LIST_WIDTH = 236
_MOST_RUNS = 500
_PATH = Qt.ItemDataRole.UserRole


_EXPORT_NAMES = {
    "dlc-csv": "DeepLabCut (CSV)",
    "dlc-h5": "DeepLabCut (HDF5)",
    "predecessor-csv": "DeepLabStream 1 (CSV)",
    "sleap": "SLEAP analysis (HDF5)",
    "slp": "SLEAP (.slp)",
    "parquet": "Tables (Parquet)",
    "nwb": "NWB",
    "labelled-video": "Labelled video",
}


class RunsPage(QWidget):
    """Lists the runs of the settings' output directory; the newest first."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.list = QListWidget()
        self.list.setObjectName("clear")
        self.other = QPushButton("Other folder …")
        self.again = QPushButton("Re-run decisions")
        self.again.setToolTip(
            "evaluates triggers and experiment on the recorded poses with the "
            "current settings and lists differences; no output is switched"
        )
        self.export = QPushButton("Export")
        self.folder = QPushButton("Open folder")
        self.about = QLabel()
        self.about.setObjectName("caption")
        self.about.setWordWrap(True)
        self.view = RunView()
        self.chosen: Path | None = None
        self._arrange()
        self._connect()
        self._offer()

    def refresh(self) -> None:
        """List the runs that are there now."""
        self.list.blockSignals(True)
        self.list.clear()
        for path, facts in self._list_runs():
            item = QListWidgetItem(path.name)
            item.setData(_PATH, str(path))
            item.setToolTip(_words(facts))
            self.list.addItem(item)
            if path == self.chosen:
                self.list.setCurrentItem(item)
        self.list.blockSignals(False)
        if not self.list.count():
            self.about.setText("No runs yet: Start Analysis or Start Recording.")

    def open(self, path: Path) -> None:
        """Show a run."""
        self.chosen = path
        self.about.setText(_words(_facts(path)))
        self._offer()
        self.view.open(path)

    def _arrange(self) -> None:
        left = QFrame()
        left.setObjectName("panel")
        left.setFixedWidth(_LIST_WIDTH)
        column = QVBoxLayout(left)
        column.setContentsMargins(10, 10, 10, 10)
        column.addWidget(self.list, 1)
        column.addWidget(self.about)
        menu = QMenu(self)
        for kind in EXPORTS:
            action = menu.addAction(_EXPORT_NAMES.get(kind, kind))
            if action is not None:
                action.triggered.connect(lambda _=False, kind=kind: self._export(kind))
        self.export.setMenu(menu)
        for button in (self.again, self.export, self.folder, self.other):
            column.addWidget(button)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 10, 10, 10)
        row.setSpacing(10)
        row.addWidget(left)
        row.addWidget(self.view, 1)

    def _connect(self) -> None:
        self.list.currentItemChanged.connect(self._choose)
        self.other.clicked.connect(self._ask_folder)
        self.again.clicked.connect(self._rerun)
        self.folder.clicked.connect(self._open_folder)
        self.view.opened.connect(self._show_facts)

    def _show_facts(self, run: Review) -> None:
        """Say of an opened run what it was, and what could not be read."""
        self.about.setText("\n".join([_words(dict(run.facts)), *run.warnings]))

    def _list_runs(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for path in runs_of(self.document.settings, _MOST_RUNS):
            yield path, _facts(path)

    def _choose(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            self.open(Path(item.data(_PATH)))

    def _offer(self) -> None:
        for button in (self.again, self.export, self.folder):
            button.setEnabled(self.chosen is not None)

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Choose a run folder")
        if name:
            self.open(Path(name))

    def _rerun(self) -> None:
        if self.chosen is not None:
            rerun_decisions(self.document, self.chosen, self)

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
        """Ask whether to replace files that an earlier export has left."""
        if code != EXPORTED_BEFORE or run != self.chosen:
            return
        question = (
            f"{run}/export already contains files of {_EXPORT_NAMES.get(kind, kind)}. "
            "Replace them with a new export of this run?"
        )
        if ask(self, question, REPLACE, CANCEL) == REPLACE:
            window.close()
            self._export(kind, overwrite=True)

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.chosen)))

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look for new runs, and anew at one that could not be read before."""
        self.refresh()
        if self.chosen is not None and self.view.review is None:
            self.open(self.chosen)
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802
        """Play no more."""
        self.view.play.setChecked(False)
        super().hideEvent(event)

    @property
    def running(self) -> str:
        """Nothing that closing would lose."""
        return ""

    def finish(self) -> None:
        """End what goes on behind the page."""
        self.view.finish()


def _facts(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((path / "run.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _words(facts: dict[str, Any]) -> str:
    if not facts:
        return "Can't read run.json: the run folder is incomplete"
    began, ended = str(facts.get("started", ""))[:19], facts.get("how")
    cameras = ", ".join(validate_facts(facts)[0]["cameras"])
    how = ended or (
        "not ended: the run is being recorded, or was killed and will be "
        "repaired when opened"
    )
    lines = [f"{began.replace('T', ' ')} UTC", cameras, how]
    if done := facts.get("repaired"):
        lines += ["repaired:", *map(str, done)]
    return "\n".join(lines)
