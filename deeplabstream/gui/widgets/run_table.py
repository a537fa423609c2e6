"""Run table: the runs of a folder, sorted, filtered, with notes and tags to edit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
)

from deeplabstream.core.errors import DeviceError
from deeplabstream.recording.run_list import (
    RunNotes,
    RunSummary,
    summarise,
    write_notes,
)

COLUMNS = (
    "Start (local time)",
    "Animal",
    "Group",
    "Experiment",
    "Duration",
    "Outcome",
    "Notes",
    "Tags",
    "Excluded",
    "Folder",
)
_START, _DURATION, _NOTES, _TAGS, _EXCLUDED = 0, 4, 6, 7, 8
_WIDTHS = (150, 80, 80, 120, 75, 110, 180, 100, 100, 150)
_KEY = Qt.ItemDataRole.UserRole
_FIXED = Qt.ItemFlags() | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
"""What a cell that can't be edited is."""
_TIPS = {
    _NOTES: "double-click a cell to edit; saved in notes.json of the run folder",
    _TAGS: "separated by commas; double-click a cell to edit",
    _EXCLUDED: "why results of several runs leave it out; empty: it counts",
}


class RunTable(QTableWidget):
    """Shows summaries; a double click on notes, tags or exclusion edits them."""

    chosen = pyqtSignal(object)
    """Path: a run was chosen."""
    failed = pyqtSignal(str)
    """Notes can't be written: why."""

    def __init__(self) -> None:
        super().__init__(0, len(COLUMNS))
        self.setHorizontalHeaderLabels(list(COLUMNS))
        for column, tip in _TIPS.items():
            if header := self.horizontalHeaderItem(column):
                header.setToolTip(tip)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        kinds = QAbstractItemView.EditTrigger
        self.setEditTriggers(
            QAbstractItemView.EditTriggers()
            | kinds.DoubleClicked
            | kinds.EditKeyPressed
        )
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setTabKeyNavigation(False)
        if (side := self.verticalHeader()) is not None:
            side.hide()
            side.setDefaultSectionSize(26)
        if (header := self.horizontalHeader()) is not None:
            header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
            for column, width in enumerate(_WIDTHS):
                header.resizeSection(column, width)
            header.setSectionResizeMode(_NOTES, QHeaderView.ResizeMode.Stretch)
            header.setSortIndicator(_START, Qt.SortOrder.DescendingOrder)
        self.setSortingEnabled(True)
        self._words: list[str] = []
        self.itemChanged.connect(self._write)
        self.cellClicked.connect(self._choose)
        self.currentItemChanged.connect(self._choose_item)

    def show_runs(self, runs: Sequence[RunSummary], shown: Path | None) -> None:
        """List these runs; `shown` is the one that is selected."""
        self.blockSignals(True)
        self.setSortingEnabled(False)
        self.setRowCount(len(runs))
        for row, run in enumerate(runs):
            self._fill(row, run)
        self.setSortingEnabled(True)
        self._filter()
        self.select(shown)
        self.blockSignals(False)

    def select(self, path: Path | None) -> None:
        """Highlight the row of a run, without choosing it; None, or unknown: no row."""
        blocked = self.blockSignals(True)
        row = -1 if path is None else self._row_of(path)
        if row < 0:
            self.clearSelection()
            self.setCurrentItem(None)
        elif path not in self.selected:
            self.setCurrentCell(row, _START)
        self.blockSignals(blocked)

    def filter(self, text: str) -> None:
        """Show the runs in which each of these words is found."""
        self._words = text.casefold().split()
        self._filter()

    @property
    def selected(self) -> list[Path]:
        """The runs that are highlighted."""
        rows = sorted({index.row() for index in self.selectedIndexes()})
        return [self.path(row) for row in rows if not self.isRowHidden(row)]

    def path(self, row: int) -> Path:
        """Return the run of a row."""
        item = self.item(row, len(COLUMNS) - 1)
        return Path(item.data(_KEY) if item is not None else "")

    def cell(self, row: int, column: int) -> str:
        """Return the text of a cell."""
        item = self.item(row, column)
        return "" if item is None else item.text()

    def _row_of(self, path: Path) -> int:
        return next((r for r in range(self.rowCount()) if self.path(r) == path), -1)

    def _fill(self, row: int, run: RunSummary) -> None:
        start = f"{run.started:%Y-%m-%d %H:%M:%S}" if run.started else "unknown"
        length = "" if run.duration_s is None else _clock(run.duration_s)
        texts: tuple[tuple[str, Any], ...] = (
            (start, run.newest),
            (run.animal, None),
            (run.group, None),
            (run.experiment, None),
            (length, run.duration_s or 0.0),
            (run.outcome, None),
            (run.notes, None),
            (", ".join(run.tags), None),
            (run.excluded, None),
            (run.path.name, str(run.path)),
        )
        for column, (text, key) in enumerate(texts):
            item = _Cell(text)
            if key is not None:
                item.setData(_KEY, key)
            item.setToolTip("\n".join(filter(None, (text, _TIPS.get(column)))))
            if column == len(COLUMNS) - 1:
                item.setToolTip("\n".join([str(run.path), *run.repaired]))
            if column not in _TIPS:
                item.setFlags(_FIXED)
            self.setItem(row, column, item)

    def _filter(self) -> None:
        for row in range(self.rowCount()):
            cells = [self.cell(row, column) for column in range(len(COLUMNS))]
            text = " ".join(cells).casefold()
            self.setRowHidden(row, not all(word in text for word in self._words))

    def _choose(self, row: int, _column: int) -> None:
        self.chosen.emit(self.path(row))

    def _choose_item(self, item: QTableWidgetItem | None) -> None:
        if item is not None:
            self.chosen.emit(self.path(item.row()))

    def _write(self, item: QTableWidgetItem) -> None:
        """Save notes and tags that were edited; show what is in the file if it fails."""
        row = item.row()
        path, tags = self.path(row), self.cell(row, _TAGS).split(",")
        written = RunNotes(
            self.cell(row, _NOTES).strip(),
            tuple(tag.strip() for tag in tags if tag.strip()),
            self.cell(row, _EXCLUDED).strip(),
        )
        try:
            write_notes(path, written)
        except DeviceError as error:
            self.failed.emit(str(error))
        blocked = self.blockSignals(True)
        self.setSortingEnabled(False)
        self._fill(row, summarise(path))
        self.setSortingEnabled(True)
        self.select(path)
        self.blockSignals(blocked)


class _Cell(QTableWidgetItem):
    """Sorts by its key where it has one, else by its text."""

    def __lt__(self, other: QTableWidgetItem) -> bool:
        keys = self.data(_KEY), other.data(_KEY)
        if all(isinstance(key, float) for key in keys):
            return bool(keys[0] < keys[1])
        return self.text().casefold() < other.text().casefold()


def _clock(seconds: float) -> str:
    """Return a duration.

    >>> _clock(75), _clock(3700.4)
    ('1:15', '1:01:40')
    """
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
