"""Keyboard shortcuts of the window, in a list."""

from collections.abc import Iterable, Mapping, Sequence

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QAction,
    QDialog,
    QGridLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.gui.widgets.label_tools import KEYS as LABELLING
from deeplabstream.gui.widgets.region_canvas import KEYS as REGIONS

ANYWHERE = (
    ("Esc", "STOP: switches all outputs off and ends the experiment"),
    ("Esc, outputs off", "closes a dialog, cancels a drawing"),
)


def keys_of(
    actions: Iterable[QAction],
) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Return keys and their effects, by the page on which they work."""
    menu = [
        (action.shortcut().toString(), action.text().rstrip("… "))
        for action in actions
        if not action.shortcut().isEmpty()
    ]
    return {
        "Anywhere": (*ANYWHERE, *menu),
        "Regions": REGIONS,
        "Network, Label": LABELLING,
    }


class KeysWindow(QDialog):
    """Shows the keyboard shortcuts of all pages."""

    def __init__(self, actions: Iterable[QAction], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Keyboard shortcuts – DeepLabStream")
        inside = QWidget()
        grid = QGridLayout(inside)
        grid.setColumnMinimumWidth(0, 170)
        grid.setColumnStretch(1, 1)
        grid.setVerticalSpacing(5)
        for where, keys in keys_of(actions).items():
            title = QLabel(where.upper())
            title.setObjectName("title")
            grid.addWidget(title, grid.rowCount(), 0, 1, 2)
            for key, what in keys:
                row = grid.rowCount()
                grid.addWidget(QLabel(key), row, 0)
                grid.addWidget(QLabel(what), row, 1)
        area = QScrollArea()
        area.setWidget(inside)
        area.setWidgetResizable(True)
        column = QVBoxLayout(self)
        column.addWidget(area)
        self.resize(720, 640)
