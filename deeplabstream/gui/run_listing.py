"""Run list: the runs of a folder as a Qt model, read by a thread, sorted and filtered."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from PyQt5.QtCore import QAbstractTableModel, QModelIndex, Qt, QThread, pyqtSignal

from deeplabstream.core.errors import DeviceError
from deeplabstream.files.exclusive_writing import WINDOW_PATIENCE_S
from deeplabstream.recording.run_catalogue import RunCatalogue, RunQuery, fits
from deeplabstream.recording.run_summary import RunSummary, change_notes, summarise

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
START, DURATION, OUTCOME, NOTES, TAGS, EXCLUDED, FOLDER = 0, 4, 5, 6, 7, 8, 9
TIPS = {
    NOTES: "double-click a cell to edit; saved in notes.json of the run folder",
    TAGS: "separated by commas; double-click a cell to edit",
    EXCLUDED: "why results of several runs leave it out; empty: it counts",
}
"""Tooltips of the editable columns."""
_MEANINGS = {
    DURATION: "of the experiment; without one, of the run",
    OUTCOME: "how the experiment ended; without one, how the run ended",
}
"""Tooltips of other headers."""
_AT_ONCE_MS = 200
"""Reading time up to which no message is shown."""
_ROOT = QModelIndex()


class _Change(TypedDict, total=False):
    """Edited fields of a run: arguments of `change_notes`."""

    notes: str
    tags: Sequence[str]
    excluded: str


class RunListModel(QAbstractTableModel):
    """Summaries of runs; notes, tags and exclusion can be edited."""

    failed = pyqtSignal(str)
    """Why notes can't be written."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[RunSummary] = []
        """All runs, including those that do not match the query."""
        self.runs: list[RunSummary] = []
        """Runs that match the query, sorted."""
        self._places: dict[Path, int] = {}
        """Index in `all`, by run."""
        self._rows: dict[Path, int] = {}
        self._query = RunQuery()
        self._sorted = START, Qt.SortOrder.DescendingOrder

    def show_runs(self, runs: Sequence[RunSummary]) -> None:
        """List these runs."""
        self.all = list(runs)
        self._places = {run.path: at for at, run in enumerate(self.all)}
        self._arrange()

    def filter(self, query: RunQuery) -> None:
        """List the runs that match the query."""
        self._query = query
        self._arrange()

    def sort(
        self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder
    ) -> None:
        """Sort by a column."""
        self._sorted = column, order
        self._arrange()

    def row_of(self, path: Path) -> int:
        """Return the row of a run; -1: not listed."""
        return self._rows.get(path, -1)

    def _save(
        self, path: Path, change: _Change, patience_s: float = WINDOW_PATIENCE_S
    ) -> bool:
        """Save notes, tags or exclusion of a run; show the saved values."""
        saved = True
        try:
            change_notes(path, **change, patience_s=patience_s)
        except DeviceError as error:
            saved = False
            self.failed.emit(str(error))
        now = summarise(path)
        if path in self._places:
            self.all[self._places[path]] = now
        if (row := self.row_of(path)) >= 0:
            self.runs[row] = now
            last = self.columnCount() - 1
            self.dataChanged.emit(self.index(row, 0), self.index(row, last))
        return saved

    def exclude(self, paths: Sequence[Path], reason: str) -> None:
        """Exclude runs from results of several runs; no reason: include them again.

        After a run that can't be saved, locks of other runs are not waited for.
        """
        selected, patience_s = set(paths), WINDOW_PATIENCE_S
        for run in [run for run in self.all if run.path in selected]:
            if not self._save(run.path, {"excluded": reason}, patience_s):
                patience_s = 0.0

    def _arrange(self) -> None:
        """Filter and sort."""
        column, order = self._sorted
        self.beginResetModel()
        self.runs = [run for run in self.all if fits(self._query, run)]
        self.runs.sort(key=lambda run: _key(run, column), reverse=bool(order))
        self._rows = {run.path: row for row, run in enumerate(self.runs)}
        self.endResetModel()

    def rowCount(self, parent: QModelIndex = _ROOT) -> int:  # noqa: N802
        """Return the number of runs that match the query."""
        return 0 if parent.isValid() else len(self.runs)

    def columnCount(self, parent: QModelIndex = _ROOT) -> int:  # noqa: N802
        """Return the number of columns."""
        return len(COLUMNS)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = 0
    ) -> Any:
        """Return name or tooltip of a column."""
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return COLUMNS[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return TIPS.get(section) or _MEANINGS.get(section)
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Return text or tooltip of a cell."""
        run, column = self.runs[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return _text(run, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            if column == FOLDER:
                return "\n".join([str(run.path), *run.repaired])
            return "\n".join(filter(None, (_text(run, column), TIPS.get(column))))
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlags:
        """Return whether a cell can be edited."""
        plain = (
            Qt.ItemFlags() | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
        )
        return plain | Qt.ItemFlag.ItemIsEditable if index.column() in TIPS else plain

    def setData(  # noqa: N802
        self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole
    ) -> bool:
        """Save an edited cell."""
        run, text = self.runs[index.row()], str(value).strip()
        if role != Qt.ItemDataRole.EditRole or text == _text(run, index.column()):
            return False
        if index.column() == NOTES:
            self._save(run.path, {"notes": text})
        elif index.column() == TAGS:
            tags = [tag.strip() for tag in text.split(",") if tag.strip()]
            self._save(run.path, {"tags": tags})
        else:
            self._save(run.path, {"excluded": text})
        return True


class RunLister(QThread):
    """Reads the catalogue of a folder in a thread."""

    listed = pyqtSignal(object)
    """list[RunSummary]: all runs, newest first."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path()
        self._pending = False
        self._found: list[RunSummary] | None = None
        self.finished.connect(self._emit_list)

    def list(self, folder: Path) -> bool:
        """Start to read a folder; return whether `listed` was already emitted."""
        self._folder = folder
        if self.isRunning():
            self._pending = True
            return False
        self._found = None
        self.start()
        if self.wait(_AT_ONCE_MS):
            self._emit_list()
            return True
        return False

    def renew(self) -> None:
        """Read again after a change, if a list without it is being read."""
        if self.isRunning() or self._found is not None:
            self._pending = True

    def run(self) -> None:
        """Read the catalogue."""
        self._found = RunCatalogue(self._folder).runs()

    def _emit_list(self) -> None:
        if (
            self.isRunning()
        ):  # the signal `finished` of an earlier reading may still arrive
            return
        found, self._found = self._found, None
        if self._pending:
            self._pending = False
            self.start()
        elif found is not None:
            self.listed.emit(found)

    def finish(self) -> None:
        """Wait for the end of the thread."""
        self._pending = False
        self.wait()


def _text(run: RunSummary, column: int) -> str:
    """Return the text of a cell."""
    start = f"{run.started:%Y-%m-%d %H:%M:%S}" if run.started else "unknown"
    length = "" if run.duration_s is None else clock(run.duration_s)
    texts = (
        *(start, run.animal, run.group, run.experiment, length, run.outcome),
        *(run.notes, ", ".join(run.tags), run.excluded, run.path.name),
    )
    return texts[column]


def _key(run: RunSummary, column: int) -> Any:
    """Return the sort key of a column."""
    if column == START:
        return run.newest, run.path.name
    if column == DURATION:
        return run.duration_s or 0.0
    return _text(run, column).casefold()


def clock(seconds: float) -> str:
    """Return a duration.

    >>> clock(75), clock(3700.4)
    ('1:15', '1:01:40')
    """
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
