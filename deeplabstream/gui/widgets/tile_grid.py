"""Tile grid: tiles in as many columns as have room, with a scroll bar."""

from collections.abc import Sequence

from PyQt5.QtCore import Qt
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import QGridLayout, QScrollArea, QWidget

_SPACING = 10  # px


class TileGrid(QScrollArea):
    """Places tiles; all columns have the same width."""

    def __init__(self, tiles: Sequence[QWidget]) -> None:
        super().__init__()
        self._tiles = tiles
        self.columns = 0
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inner = QWidget()
        self._grid = QGridLayout(inner)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(_SPACING)
        self.setWidget(inner)
        self._place(1)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Use the columns that have room."""
        super().resizeEvent(event)
        least = max((tile.minimumWidth() for tile in self._tiles), default=1)
        room = self.width() - 10  # the scroll bar
        # as square as possible, so that few tiles are large
        square = round(max(len(self._tiles), 1) ** 0.5 + 0.49)
        self._place(max(1, min((room + _SPACING) // (least + _SPACING), square)))

    def _place(self, columns: int) -> None:
        if columns == self.columns:
            return
        for column in range(self.columns):
            self._grid.setColumnStretch(column, 0)
        self.columns = columns
        for number, tile in enumerate(self._tiles):
            self._grid.addWidget(tile, *divmod(number, columns))
        for column in range(columns):
            self._grid.setColumnStretch(column, 1)
