"""Event list: the events of a run as a table that is filtered and follows the time."""

from bisect import bisect_right
from collections.abc import Callable, Sequence

from PyQt5.QtCore import Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QFontMetrics, QResizeEvent
from PyQt5.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.gui.run_events import ListedEvent

_USUAL, _ALL = "without checks", "all events"
_LEAST_WIDTH = 300  # px
_ROW_HEIGHT = 26  # px
_CELL_MARGIN, _ROW_MARGIN = 12, 6  # px
_SETTLE_MS = 100


class EventList(QWidget):
    """Shows events with their whole texts; a click emits the time of one."""

    sought = pyqtSignal(float)
    """Time of the event that was clicked, s since Start Stream."""

    def __init__(self, *beside: QWidget) -> None:
        """Show the widgets `beside` to the right of the choice of events."""
        super().__init__()
        self.search, self.shown = QLineEdit(), QComboBox()
        self.table = QTableWidget(0, 3)
        self._events: Sequence[ListedEvent] = ()
        self._times: list[float] = []
        """Times of the events, in order."""
        self._time_s = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SETTLE_MS)
        self._arrange(beside)
        self._timer.timeout.connect(self._fit_rows)
        self.table.cellClicked.connect(self._seek)
        self.search.textChanged.connect(self._filter)
        self.shown.activated.connect(self._filter)

    def show_events(
        self, events: Sequence[ListedEvent], time_text: Callable[[float], str]
    ) -> None:
        """List events; `time_text` returns a time as text."""
        self._events = events
        self._times = [event.time_s for event in events]
        self.table.setRowCount(len(events))
        for row, event in enumerate(events):
            cells = time_text(event.time_s), event.kind, event.text
            for column, cell in enumerate(cells):
                item = QTableWidgetItem(cell)
                item.setToolTip(cell if column == 2 else "")
                self.table.setItem(row, column, item)
        for column in (0, 1):
            self.table.resizeColumnToContents(column)
        self._filter()

    def show_times(self, time_text: Callable[[float], str]) -> None:
        """Show the times relative to another zero."""
        for row, time_s in enumerate(self._times):
            if (item := self.table.item(row, 0)) is not None:
                item.setText(time_text(time_s))
        self.table.resizeColumnToContents(0)
        self._fit_rows()

    def go_to(self, time_s: float) -> None:
        """Select the last event up to a time."""
        self._time_s = time_s
        row = bisect_right(self._times, time_s + 1e-6) - 1
        while row >= 0 and self.table.isRowHidden(row):
            row -= 1
        if row < 0:
            self.table.clearSelection()
        elif row != self.table.currentRow() or not self.table.selectedItems():
            self.table.selectRow(row)
            self.table.scrollToItem(self.table.item(row, 0))

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit the rows to the new width, once it no longer changes."""
        super().resizeEvent(event)
        self._timer.start()

    def _arrange(self, beside: Sequence[QWidget]) -> None:
        self.search.setPlaceholderText("Filter events")
        self.search.setToolTip(
            "words, such as: output on; searches all events, checks too"
        )
        self.search.setClearButtonEnabled(True)
        self.shown.addItems([_USUAL, _ALL])
        self.shown.setToolTip(
            "without checks: no states of the computer (health), and one line for the"
            " checks that passed (preflight)"
        )
        table = self.table
        table.setHorizontalHeaderLabels(["Time", "Kind", "Event"])
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setAutoScroll(False)  # otherwise a click would scroll horizontally
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setShowGrid(False)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        if (numbers := table.verticalHeader()) is not None:
            numbers.hide()
            numbers.setDefaultSectionSize(_ROW_HEIGHT)
        if (header := table.horizontalHeader()) is not None:
            header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
            header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        self.setMinimumWidth(_LEAST_WIDTH)
        choose = QHBoxLayout()
        choose.setSpacing(8)
        choose.addWidget(self.shown, 1)
        for widget in beside:
            choose.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.search)
        column.addLayout(choose)
        column.addWidget(table, 1)

    def _filter(self) -> None:
        """List the events that contain all typed words; without words, the chosen ones."""
        terms = self.search.text().casefold().split()
        everything = bool(terms) or self.shown.currentText() == _ALL
        for row, event in enumerate(self._events):
            text = f"{event.kind} {event.text}".casefold()
            left_out = event.is_sum if everything else event.is_detail
            found = all(term in text for term in terms)
            self.table.setRowHidden(row, left_out or not found)
        self._fit_rows()
        self.go_to(self._time_s)

    def _fit_rows(self) -> None:
        """Make the shown rows so high that their text is whole; most need one line."""
        metrics = QFontMetrics(self.table.font())
        width = self.table.columnWidth(2) - _CELL_MARGIN
        for row, event in enumerate(self._events):
            if self.table.isRowHidden(row):
                continue
            if metrics.horizontalAdvance(event.text) > width:
                height = self.table.sizeHintForRow(row) + _ROW_MARGIN
                self.table.setRowHeight(row, height)
            elif self.table.rowHeight(row) != _ROW_HEIGHT:
                self.table.setRowHeight(row, _ROW_HEIGHT)

    def _seek(self, row: int, _column: int) -> None:
        if row < len(self._times):
            self.sought.emit(self._times[row])
