"""Scrolled text: lines of text that are never higher than a limit."""

from PyQt5.QtCore import Qt
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import QLabel, QScrollArea


class ScrolledText(QScrollArea):
    """A wrapped label as high as its text, up to `most` px; a longer text scrolls.

    A label alone makes its window as high as all of its text needs, also higher than the
    screen.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most, self._label = most, QLabel()
        self._label.setWordWrap(True)
        self._label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
        )
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(self._label)

    @property
    def label(self) -> QLabel:
        """The label."""
        return self._label

    def text(self) -> str:
        """Return the text."""
        return self._label.text()

    def setText(self, text: str) -> None:  # noqa: N802
        """Show a text."""
        self._label.setText(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit the height to the text at the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        viewport = self.viewport()
        width = self.width() if viewport is None else viewport.width()
        needed = self._label.heightForWidth(width) if self.text() else 0
        self.setFixedHeight(min(self._most, needed))
