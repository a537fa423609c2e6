"""Uncertain place list: the uncertain places of a run, with marks of those that were checked."""

from collections.abc import Sequence
from dataclasses import replace

from PyQt5.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.recording.uncertain_places import (
    REASONS,
    UncertainPlace,
    next_place,
)


class _List(QListWidget):
    """A list whose chosen item stays in view when the height changes."""

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        super().resizeEvent(event)
        if (item := self.currentItem()) is not None:
            self.scrollToItem(item)


class UncertainPlaceList(QWidget):
    """Lists uncertain places; hidden while there are none."""

    chosen = pyqtSignal(object)
    """UncertainPlace to show."""
    checked = pyqtSignal(object)
    """UncertainPlace that is now checked."""

    def __init__(self, list_heights: tuple[int, int]) -> None:
        super().__init__()
        self.list, self.remaining = _List(), QLabel()
        self.next, self.check = QPushButton("Next place"), QPushButton("Checked")
        self.places: tuple[UncertainPlace, ...] = ()
        self.list.setMinimumHeight(list_heights[0])
        self.list.setMaximumHeight(list_heights[1])
        self._arrange()
        self.list.itemClicked.connect(self._choose)
        self.list.currentRowChanged.connect(self._offer)
        self.check.clicked.connect(self._check)
        self.show_places(())

    def show_places(self, places: Sequence[UncertainPlace]) -> None:
        """Show these places; the chosen one stays chosen, also when it is now checked."""
        before, self.places = self.current, tuple(places)
        with QSignalBlocker(self.list):
            self.list.clear()
            for place in self.places:
                item = QListWidgetItem(
                    f"{'✓ ' if place.checked else ''}{place.start_s:.2f} s, "
                    f"{', '.join(place.animals)}: {REASONS[place.reason]}"
                )
                item.setToolTip(str(place))
                self.list.addItem(item)
            if before is not None:
                unmarked = [replace(place, checked=False) for place in self.places]
                before = replace(before, checked=False)
                row = unmarked.index(before) if before in unmarked else -1
                self.list.setCurrentRow(row)

        count = sum(not place.checked for place in self.places)
        self.remaining.setText(
            f"{count} of {len(self.places)} uncertain places to check"
        )
        self.setVisible(bool(self.places))
        self._offer()

    @property
    def current(self) -> UncertainPlace | None:
        """The chosen place; None: none is chosen."""
        row = self.list.currentRow()
        return self.places[row] if 0 <= row < len(self.places) else None

    def go_to_next(self, frame: int) -> None:
        """Choose the next unchecked place after a frame, or the first one."""
        place = next_place(self.places, frame)
        if place is not None:
            self.list.setCurrentRow(self.places.index(place))
            self.chosen.emit(place)

    def _arrange(self) -> None:
        self.next.setToolTip("next uncertain place that is not checked (N)")
        self.check.setToolTip("the chosen place is as it should be (C)")
        self.list.setToolTip("uncertain places; a click shows and marks one")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.remaining.setObjectName("caption")

        head = QHBoxLayout()
        head.addWidget(self.remaining, 1)
        head.addWidget(self.check)
        head.addWidget(self.next)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self.list)

    def _offer(self) -> None:
        place = self.current
        self.check.setEnabled(place is not None and not place.checked)
        self.next.setEnabled(not all(place.checked for place in self.places))

    def _choose(self) -> None:
        if self.current is not None:
            self.chosen.emit(self.current)

    def _check(self) -> None:
        if self.current is not None:
            self.checked.emit(self.current)
