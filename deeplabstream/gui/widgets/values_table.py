"""Values table: numbers and texts of results, which can be copied."""

from collections.abc import Sequence
from math import isnan
from typing import Any

from PyQt5.QtCore import QAbstractTableModel, QModelIndex, Qt
from PyQt5.QtGui import QKeyEvent, QKeySequence
from PyQt5.QtWidgets import QApplication, QTableView

_ROOT = QModelIndex()
_WIDEST = 360  # px


class _Values(QAbstractTableModel):
    """Rows of values; a tooltip for each row."""

    def __init__(self) -> None:
        super().__init__()
        self.header: Sequence[str] = ()
        self.rows: Sequence[Sequence[object]] = ()
        self.tips: Sequence[str] = ()
        self.header_tips: Sequence[str] = ()

    def rowCount(self, parent: QModelIndex = _ROOT) -> int:  # noqa: N802
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex = _ROOT) -> int:  # noqa: N802
        return 0 if parent.isValid() else len(self.header)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = 0
    ) -> Any:
        across = orientation == Qt.Orientation.Horizontal
        if across and role == Qt.ItemDataRole.DisplayRole:
            return self.header[section]
        if across and role == Qt.ItemDataRole.ToolTipRole:
            return (self.header_tips or self.header)[section]
        return None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        value = self.rows[index.row()][index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return format_result(value)
        if role == Qt.ItemDataRole.ToolTipRole:
            tip = self.tips[index.row()] if self.tips else ""
            return f"{format_result(value)}\n{tip}".strip()
        if role == Qt.ItemDataRole.TextAlignmentRole:
            number = isinstance(value, int | float)
            side = Qt.AlignmentFlag.AlignRight if number else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        return None


class ValuesTable(QTableView):
    """Shows rows of values; Ctrl+C copies the selected cells."""

    def __init__(self) -> None:
        super().__init__()
        self.values = _Values()
        self.setModel(self.values)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setAlternatingRowColors(False)
        self.setToolTip("Ctrl+C copies the selected cells")
        if (side := self.verticalHeader()) is not None:
            side.hide()
            side.setDefaultSectionSize(24)

    def show_values(
        self,
        header: Sequence[str],
        rows: Sequence[Sequence[object]],
        tips: Sequence[str] = (),
        header_tips: Sequence[str] = (),
    ) -> None:
        """Show these rows, with a tooltip for each row and each column."""
        same = list(header) == list(self.values.header)
        self.values.beginResetModel()
        self.values.header, self.values.rows = header, rows
        self.values.tips, self.values.header_tips = tips, header_tips
        self.values.endResetModel()
        before = [self.columnWidth(column) for column in range(len(header))]
        self.resizeColumnsToContents()
        for column, width in enumerate(before):
            needed = min(self.columnWidth(column) + 8, _WIDEST)
            # of the same columns none gets narrower, also one that the user has widened
            self.setColumnWidth(column, max(needed, width) if same else needed)

    def text(self, row: int, column: int) -> str:
        """Return the text of a cell."""
        return format_result(self.values.rows[row][column])

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Copy the selected cells, columns separated by tabs."""
        board = QApplication.clipboard()
        if event is None or board is None or not event.matches(QKeySequence.Copy):
            super().keyPressEvent(event)
            return
        lines: dict[int, list[str]] = {}
        for at in sorted(self.selectedIndexes()):
            lines.setdefault(at.row(), []).append(self.text(at.row(), at.column()))
        board.setText("\n".join("\t".join(cells) for cells in lines.values()))


def format_result(value: object) -> str:
    """Return a value as text; an undefined value is empty.

    >>> [format_result(value) for value in (0.123456, 12345.67, float("nan"), "left")]
    ['0.1235', '12346', '', 'left']
    """
    if isinstance(value, float):
        if isnan(value):
            return ""
        return f"{value:.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
    return "" if value is None else str(value)
