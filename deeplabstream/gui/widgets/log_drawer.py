"""Log drawer: the log below the images, folded to its newest line or open."""

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QHBoxLayout, QPushButton

from deeplabstream.gui.theme import repolish
from deeplabstream.gui.widgets.buttons import fold_text
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.panels import Log

_OPEN_HEIGHT = 150  # px


class LogDrawer(Log):
    """Log that is folded to one line, its newest, until it is opened."""

    def __init__(self) -> None:
        super().__init__("Log")
        self.title.hide()
        self.opener = QPushButton()
        self.opener.setObjectName("link")
        self.opener.setCheckable(True)
        self.opener.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.opener.setToolTip("shows or hides all lines of the log")
        self.opener.toggled.connect(self._unfold)
        self.newest = Elided()
        """The newest line, while the drawer is folded."""
        self.newest.setObjectName("newest")
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(self.opener)
        head.addWidget(self.newest, 1)
        self.column.insertLayout(0, head)
        self.column.setContentsMargins(12, 4, 12, 4)
        self.page.setFixedHeight(_OPEN_HEIGHT)
        self._unfold(False)

    def add_line(
        self, text: str, seconds: float | None = None, tone: str = "text"
    ) -> None:
        """Add a line, and show it as the newest one."""
        super().add_line(text, seconds, tone)
        self.newest.setText(text)
        if self.newest.property("tone") != tone:
            self.newest.setProperty("tone", tone)
            repolish(self.newest)

    def clear(self) -> None:
        """Remove all lines."""
        super().clear()
        self.newest.setText("")

    def _unfold(self, opened: bool) -> None:
        self.opener.setText(fold_text("Log", opened))
        self.page.setVisible(opened)
        self.newest.setVisible(not opened)
