"""Navigation bar: one button per page, and STOP, which switches all outputs off."""

from collections.abc import Sequence

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QButtonGroup, QFrame, QPushButton, QVBoxLayout

from deeplabstream.gui.widgets.buttons import StopButton

_WIDTH = 118


class Rail(QFrame):
    """Navigation bar: a button for each page, and STOP."""

    chosen = pyqtSignal(str)
    """The name of a page."""
    stopped = pyqtSignal()
    """STOP was pressed."""

    def __init__(self, pages: Sequence[str]) -> None:
        super().__init__()
        self.setObjectName("rail")
        self.setFixedWidth(_WIDTH)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 10, 0, 10)
        column.setSpacing(2)
        self._group = QButtonGroup(self)
        self.pages = {name: self._page(name, at + 1) for at, name in enumerate(pages)}
        for button in self.pages.values():
            column.addWidget(button)
        column.addStretch(1)
        self.stop = StopButton("STOP")
        self.stop.setObjectName("stop")
        self.stop.setToolTip("switches all outputs off and ends the experiment (Esc)")
        self.stop.clicked.connect(self.stopped)
        around = QVBoxLayout()
        around.setContentsMargins(10, 0, 10, 0)
        around.addWidget(self.stop)
        column.addLayout(around)

    def show_page(self, name: str) -> None:
        """Mark the button of a page."""
        self.pages[name].setChecked(True)

    @property
    def page(self) -> str:
        """The name of the page that is shown."""
        return next(name for name, button in self.pages.items() if button.isChecked())

    def _page(self, name: str, number: int) -> QPushButton:
        button = QPushButton(name)
        button.setObjectName("page")
        button.setCheckable(True)
        button.setToolTip(f"Ctrl+{number}")
        button.clicked.connect(lambda: self.chosen.emit(name))
        self._group.addButton(button)
        return button
