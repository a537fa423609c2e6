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
from PyQt5.QtGui import QResizeEvent
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

_SEARCH_WIDTH = 140  # px
_WIDTHS = (150, 80, 80, 120, 75, 110, 180, 80, 80, 150)
_MOST_WIDTH = 230  # px
"""Most width of a column that is as wide as its longest text."""
_LEAST_NOTES, _FRAME = 60, 24  # px; the frame includes the scroll bar
_INDICATOR = 16  # px: Qt adds the room of the sort indicator to all headings


class RunTable(QTableView):
    """Table of runs; a double click on notes, tags or exclusion edits them."""

    chosen = pyqtSignal(object)
    """Path of the run that was selected by click or keys."""
    opened = pyqtSignal(object)
    """Path of a run that was double-clicked on a read-only cell."""
    reselected = pyqtSignal()
    """The selection has changed."""
    failed = pyqtSignal(str)
    """Why notes can't be written."""
    listed = pyqtSignal()
    """The list of runs was updated."""

    def __init__(self, columns: Sequence[int] = range(len(COLUMNS))) -> None:
        super().__init__()
        self.runs = RunListModel()
        self.lister = RunLister()
        self._folder: Path | None = None
        self._shown: Path | None = None
        self._list_again = False
        """Whether a new list arrived while a cell was being edited."""
        self._elsewhere: set[Path] = set()
        """Opened runs of other folders."""
        self._quiet = False
        self._fits_columns = True
        """Whether columns follow their texts: until the user has resized one."""
        self._is_fitting = False
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
            header.sectionResized.connect(self._keep_widths)
        self.setSortingEnabled(True)
        self.lister.listed.connect(self._list)
        self.runs.failed.connect(self.failed)
        self.runs.dataChanged.connect(self.lister.renew)
        self.clicked.connect(lambda index: self.chosen.emit(self.path(index.row())))
        self.doubleClicked.connect(self._open)

    def refresh(self, folder: Path | None, shown: Path | None) -> None:
        """List the runs of a folder; `shown` is selected, None: what was selected before."""
        self._folder, self._shown = folder, shown
        if folder is None:
            self._list([])
        else:
            self.lister.list(folder)

    def add(self, path: Path) -> None:
        """Add a run of another folder."""
        self._elsewhere.add(path)

    def _list(self, found: Sequence[RunSummary]) -> None:
        if self.state() == QAbstractItemView.State.EditingState:
            self._list_again = True  # new rows would close the cell's editor
            return
        listed = {run.path for run in found}
        others = [path for path in self._elsewhere - listed if path.is_dir()]
        with self._same_selection():
            self.runs.show_runs([*map(summarise, others), *found])
        self._fit_columns()
        if self._shown is not None:
            self.select(self._shown)
        self.listed.emit()

    def _fit_columns(self) -> None:
        """Make columns as wide as their texts, if all columns fit into the table."""
        header = self.horizontalHeader()
        if header is None or header.isSectionHidden(NOTES) or not self._fits_columns:
            return
        self._is_fitting = True
        widths = list(_WIDTHS)
        for column in range(len(COLUMNS)):
            if column != NOTES:
                heading = header.sectionSizeHint(column)
                if column != header.sortIndicatorSection():
                    heading -= _INDICATOR
                needed = max(self.sizeHintForColumn(column), heading)
                widths[column] = min(needed, _MOST_WIDTH)
        widths[NOTES] = _LEAST_NOTES
        fits = sum(widths) <= self.width() - _FRAME
        modes = QHeaderView.ResizeMode
        # a table that scrolls has no rest of width for the notes
        header.setSectionResizeMode(NOTES, modes.Stretch if fits else modes.Interactive)
        for column, width in enumerate(widths if fits else _WIDTHS):
            if column != NOTES or not fits:
                header.resizeSection(column, width)
        self._is_fitting = False

    def _keep_widths(self, column: int) -> None:
        if column != NOTES and self.isVisible() and not self._is_fitting:
            self._fits_columns = False

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit the columns to the new width."""
        super().resizeEvent(event)
        self._fit_columns()

    def closeEditor(  # noqa: N802
        self,
        editor: QWidget | None,
        hint: QAbstractItemDelegate.EndEditHint,
    ) -> None:
        """End the editing of a cell; show a list that has arrived during it."""
        super().closeEditor(editor, hint)
        editing = self.state() == QAbstractItemView.State.EditingState
        if self._list_again and not editing:
            self._list_again = False
            self.refresh(self._folder, self._shown)

    def filter(self, query: RunQuery) -> None:
        """Show the runs that match the query."""
        with self._same_selection():
            self.runs.filter(query)

    def select(self, path: Path | None) -> None:
        """Select the row of a run without emitting `chosen`; None or unknown: no row."""
        row = -1 if path is None else self.runs.row_of(path)
        if row < 0:
            self._select([], None)
        elif path not in self.selected:
            self._select([row], row)

    def choose(self, row: int) -> None:
        """Select the run of a row, as a click does."""
        self.setCurrentIndex(self.runs.index(row, START))

    @property
    def selected(self) -> list[Path]:
        """The selected runs."""
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
        """Restore the current selection afterwards."""
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
        """Emit `chosen` for the run that the keys moved to."""
        super().currentChanged(now, before)
        if now.isValid() and not self._quiet:
            self.chosen.emit(self.path(now.row()))

    def selectionChanged(  # noqa: N802
        self, added: QItemSelection, removed: QItemSelection
    ) -> None:
        """Emit `reselected` for changes by the user."""
        super().selectionChanged(added, removed)
        if not self._quiet:
            self.reselected.emit()


class WordSearch(QLineEdit):
    """Text field of the search for runs."""

    def __init__(self) -> None:
        super().__init__()
        self.setPlaceholderText("Words, date …")
        self.setMinimumWidth(_SEARCH_WIDTH)
        self.setToolTip("shows runs that contain all of these words")
        self.setClearButtonEnabled(True)


class RunSearch(QWidget):
    """Fields to search runs by words, animal, group, experiment, tag, outcome and date."""

    query_changed = pyqtSignal(object)
    """RunQuery: the current query."""

    def __init__(self) -> None:
        super().__init__()
        self.text = WordSearch()
        self.boxes = {
            name: QComboBox()
            for name in ("animal", "group", "experiment", "tag", "outcome")
        }
        self.first, self.last = QDateEdit(), QDateEdit()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        grid.addWidget(self.text, 0, 0, 1, 2)
        for at, (name, box) in enumerate(self.boxes.items()):
            grid.addWidget(box, *divmod(at + 2, 2))
            box.setToolTip(f"shows runs of this {name} only")
            box.setMinimumContentsLength(10)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.addItem(f"any {name}")
            box.activated.connect(self._emit_query)
        for at, (edit, word) in enumerate(((self.first, "from"), (self.last, "until"))):
            edit.setDisplayFormat("yyyy-MM-dd")
            edit.setMinimumDate(QDate(2000, 1, 1))
            edit.setSpecialValueText(f"{word} any day")
            edit.setCalendarPopup(True)
            edit.setToolTip(f"shows runs {word} this day, included")
            edit.setDate(edit.minimumDate())
            edit.dateChanged.connect(self._emit_query)
            grid.addWidget(edit, 4, at)
        self.text.textChanged.connect(self._emit_query)

    @property
    def query(self) -> RunQuery:
        """The current query."""
        chosen = {
            name: box.currentText() if box.currentIndex() > 0 else ""
            for name, box in self.boxes.items()
        }
        tag = chosen["tag"]
        return RunQuery(
            animal=chosen["animal"],
            group=chosen["group"],
            experiment=chosen["experiment"],
            outcome=chosen["outcome"],
            tags=(tag,) if tag else (),
            first=_day(self.first),
            last=_day(self.last),
            text=self.text.text(),
        )

    def offer(self, runs: Sequence[RunSummary]) -> None:
        """Offer the animals, groups, experiments, tags and outcomes of these runs."""
        for name, box in self.boxes.items():
            if name == "tag":
                names = {tag for run in runs for tag in run.tags}
            else:
                names = {str(getattr(run, name)) for run in runs}
            shown = box.currentText() if box.currentIndex() > 0 else ""
            found = sorted(names - {""} | ({shown} if shown else set()))
            box.blockSignals(True)
            box.clear()
            box.addItems([f"any {name}", *found])
            box.setCurrentIndex(found.index(shown) + 1 if shown else 0)
            box.blockSignals(False)

    def clear(self) -> None:
        """Clear the query: all runs match."""
        self.text.clear()
        for box in self.boxes.values():
            box.setCurrentIndex(0)
        for edit in (self.first, self.last):
            edit.setDate(edit.minimumDate())
        self._emit_query()

    def _emit_query(self) -> None:
        self.query_changed.emit(self.query)


def _day(edit: QDateEdit) -> date | None:
    day = edit.date()
    if day == edit.minimumDate():
        return None
    return date(day.year(), day.month(), day.day())
