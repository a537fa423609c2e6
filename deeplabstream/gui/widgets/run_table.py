"""Run table: the runs of a folder with notes and tags to edit, and fields to search them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from PyQt5.QtCore import (
    QDate,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    Qt,
    pyqtSignal,
)
from PyQt5.QtWidgets import (
    QAbstractItemDelegate,
    QAbstractItemView,
    QComboBox,
    QDateEdit,
    QGridLayout,
    QHeaderView,
    QLineEdit,
    QTableView,
    QWidget,
)

from deeplabstream.gui.run_listing import (
    COLUMNS,
    NOTES,
    START,
    TIPS,
    RunLister,
    RunListModel,
)
from deeplabstream.recording.run_catalogue import RunQuery
from deeplabstream.recording.run_summary import RunSummary, summarise

_WIDTHS = (150, 80, 80, 120, 75, 110, 180, 100, 100, 150)


class RunTable(QTableView):
    """Shows a run list; a double click on notes, tags or exclusion edits them."""

    chosen = pyqtSignal(object)
    """Path: a run was chosen."""
    opened = pyqtSignal(object)
    """Path: a run was double-clicked, on a cell that can't be edited."""
    reselected = pyqtSignal()
    """Other runs are selected."""
    failed = pyqtSignal(str)
    """Notes can't be written: why."""
    listed = pyqtSignal()
    """The runs that are there now are listed."""

    def __init__(self, columns: Sequence[int] = range(len(COLUMNS))) -> None:
        super().__init__()
        self.runs = RunListModel()
        self.lister = RunLister()
        self._folder: Path | None = None
        self._shown: Path | None = None
        self._list_again = False
        """A list arrived while a cell was edited."""
        self._elsewhere: set[Path] = set()
        """Runs of other folders that were opened."""
        self._quiet = False
        self.setModel(self.runs)
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
            for column, width in enumerate(_WIDTHS):
                header.resizeSection(column, width)
                header.setSectionHidden(column, column not in columns)
            if NOTES in columns:
                header.setSectionResizeMode(NOTES, QHeaderView.ResizeMode.Stretch)
            header.setSortIndicator(START, Qt.SortOrder.DescendingOrder)
            header.sortIndicatorChanged.connect(self._sort)
        self.setSortingEnabled(True)
        self.lister.listed.connect(self._list)
        self.runs.failed.connect(self.failed)
        self.runs.dataChanged.connect(self.lister.renew)
        self.clicked.connect(lambda index: self.chosen.emit(self.path(index.row())))
        self.doubleClicked.connect(self._open)

    def refresh(self, folder: Path | None, shown: Path | None) -> None:
        """List the runs that are in a folder now; `shown` is one that is selected."""
        self._folder, self._shown = folder, shown
        if folder is None:
            self._list([])
        else:
            self.lister.list(folder)

    def add(self, path: Path) -> None:
        """List a run of another folder too."""
        self._elsewhere.add(path)

    def _list(self, found: Sequence[RunSummary]) -> None:
        if self.state() == QAbstractItemView.State.EditingState:
            self._list_again = True  # other rows would close the cell's editor
            return
        there = {run.path for run in found}
        others = [path for path in self._elsewhere - there if path.is_dir()]
        with self._same_selection():
            self.runs.show_runs([*map(summarise, others), *found])
        self.select(self._shown)
        self.listed.emit()

    def closeEditor(  # noqa: N802
        self,
        editor: QWidget | None,
        hint: QAbstractItemDelegate.EndEditHint,
    ) -> None:
        """End the editing of a cell; show the list that has arrived meanwhile."""
        super().closeEditor(editor, hint)
        editing = self.state() == QAbstractItemView.State.EditingState
        if self._list_again and not editing:
            self._list_again = False
            self.refresh(self._folder, self._shown)

    def filter(self, query: RunQuery) -> None:
        """Show the runs that fit."""
        with self._same_selection():
            self.runs.filter(query)

    def select(self, path: Path | None) -> None:
        """Highlight the row of a run, without choosing it; None, or unknown: no row."""
        row = -1 if path is None else self.runs.row_of(path)
        if row < 0:
            self._select([], None)
        elif path not in self.selected:
            self._select([row], row)

    def choose(self, row: int) -> None:
        """Choose the run of a row, as a click does."""
        self.setCurrentIndex(self.runs.index(row, START))

    @property
    def selected(self) -> list[Path]:
        """The runs that are highlighted."""
        chosen = self.selectionModel()
        found = [] if chosen is None else chosen.selectedRows()
        return [self.path(row) for row in sorted(index.row() for index in found)]

    def path(self, row: int) -> Path:
        """Return the run of a row."""
        return self.runs.runs[row].path

    def cell(self, row: int, column: int) -> str:
        """Return the text of a cell."""
        return str(self.runs.data(self.runs.index(row, column)))

    @contextmanager
    def _same_selection(self) -> Iterator[None]:
        """Select afterwards what is selected now."""
        before = set(self.selected)
        current = self.currentIndex().row()
        shown = self.path(current) if 0 <= current < len(self.runs.runs) else None
        yield
        rows = [row for row, run in enumerate(self.runs.runs) if run.path in before]
        self._select(rows, self.runs.row_of(shown) if shown else None)
        if set(self.selected) != before:
            self.reselected.emit()

    def _select(self, rows: Sequence[int], current: int | None) -> None:
        chosen = self.selectionModel()
        if chosen is None:
            return
        selection, last = QItemSelection(), len(COLUMNS) - 1
        for row in rows:
            selection.select(self.runs.index(row, 0), self.runs.index(row, last))
        flags = QItemSelectionModel.SelectionFlag
        self._quiet = True
        if current is not None and current >= 0:
            at = self.runs.index(current, START)
            chosen.setCurrentIndex(at, flags.NoUpdate)
            self.scrollTo(at)
        elif not rows:
            chosen.clearCurrentIndex()
        chosen.select(selection, flags.ClearAndSelect)
        self._quiet = False

    def _sort(self, column: int, order: Qt.SortOrder) -> None:
        with self._same_selection():
            self.runs.sort(column, order)

    def _open(self, index: QModelIndex) -> None:
        if index.column() not in TIPS:
            self.opened.emit(self.path(index.row()))

    def currentChanged(self, now: QModelIndex, before: QModelIndex) -> None:  # noqa: N802
        """Choose the run that the keys moved to."""
        super().currentChanged(now, before)
        if now.isValid() and not self._quiet:
            self.chosen.emit(self.path(now.row()))

    def selectionChanged(  # noqa: N802
        self, added: QItemSelection, removed: QItemSelection
    ) -> None:
        """Tell that other runs are selected."""
        super().selectionChanged(added, removed)
        if not self._quiet:
            self.reselected.emit()


class WordSearch(QLineEdit):
    """Words that runs are searched for."""

    def __init__(self) -> None:
        super().__init__()
        self.setPlaceholderText("Search: words, date …")
        self.setToolTip("shows runs that contain all of these words")
        self.setClearButtonEnabled(True)


class RunSearch(QWidget):
    """Fields to search runs by words, animal, group, experiment, tag, outcome and date."""

    asked = pyqtSignal(object)
    """RunQuery: what is searched for now."""

    def __init__(self) -> None:
        super().__init__()
        self.words = WordSearch()
        self.boxes = {
            name: QComboBox()
            for name in ("animal", "group", "experiment", "tag", "outcome")
        }
        self.first, self.last = QDateEdit(), QDateEdit()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        grid.addWidget(self.words, 0, 0)
        for at, (name, box) in enumerate(self.boxes.items()):
            grid.addWidget(box, *divmod(at + 1, 2))
            box.setToolTip(f"shows runs of this {name} only")
            box.setMinimumContentsLength(10)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.addItem(f"any {name}")
            box.activated.connect(self._ask)
        for at, (edit, word) in enumerate(((self.first, "from"), (self.last, "until"))):
            edit.setDisplayFormat("yyyy-MM-dd")
            edit.setMinimumDate(QDate(2000, 1, 1))
            edit.setSpecialValueText(f"{word} any day")
            edit.setCalendarPopup(True)
            edit.setToolTip(f"shows runs {word} this day, included")
            edit.setDate(edit.minimumDate())
            edit.dateChanged.connect(self._ask)
            grid.addWidget(edit, 3, at)
        self.words.textChanged.connect(self._ask)

    @property
    def query(self) -> RunQuery:
        """What is searched for."""
        asked = {
            name: box.currentText() if box.currentIndex() > 0 else ""
            for name, box in self.boxes.items()
        }
        tag = asked["tag"]
        return RunQuery(
            animal=asked["animal"],
            group=asked["group"],
            experiment=asked["experiment"],
            outcome=asked["outcome"],
            tags=(tag,) if tag else (),
            first=_day(self.first),
            last=_day(self.last),
            text=self.words.text(),
        )

    def offer(self, runs: Sequence[RunSummary]) -> None:
        """Offer the words that these runs have."""
        for name, box in self.boxes.items():
            if name == "tag":
                there = {tag for run in runs for tag in run.tags}
            else:
                there = {str(getattr(run, name)) for run in runs}
            shown = box.currentText() if box.currentIndex() > 0 else ""
            found = sorted(there - {""} | ({shown} if shown else set()))
            box.blockSignals(True)
            box.clear()
            box.addItems([f"any {name}", *found])
            box.setCurrentIndex(found.index(shown) + 1 if shown else 0)
            box.blockSignals(False)

    def clear(self) -> None:
        """Search for nothing: all runs fit."""
        self.words.clear()
        for box in self.boxes.values():
            box.setCurrentIndex(0)
        for edit in (self.first, self.last):
            edit.setDate(edit.minimumDate())
        self._ask()

    def _ask(self) -> None:
        self.asked.emit(self.query)


def _day(edit: QDateEdit) -> date | None:
    day = edit.date()
    if day == edit.minimumDate():
        return None
    return date(day.year(), day.month(), day.day())
