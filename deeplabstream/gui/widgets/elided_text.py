"""Elided text: labels that never request more space than is available."""

from PyQt5.QtCore import QSize, Qt
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import QLabel, QPushButton, QSizePolicy

_LEAST = 60  # px
_AROUND = 6  # px: border of a frame on each side


class Elided(QLabel):
    """One line of text, elided in the middle; the tooltip has the whole text."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._whole = ""
        self.setText(text)

    def text(self) -> str:
        """Return the whole text."""
        return self._whole

    def setText(self, text: str | None) -> None:  # noqa: N802
        """Set the text."""
        self._whole = text or ""
        self.setToolTip(self._whole)
        self._fit()
        self.updateGeometry()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of the whole text."""
        metrics, hint = self.fontMetrics(), super().sizeHint()
        hidden = metrics.horizontalAdvance(self._whole) - metrics.horizontalAdvance(
            super().text()
        )
        return QSize(hint.width() + hidden, hint.height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return the width of a few letters."""
        hint = self.sizeHint()
        return QSize(min(hint.width(), _LEAST), hint.height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit the text to the new size."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = self.contentsRect().width() - 2 * _AROUND
        middle = Qt.TextElideMode.ElideMiddle
        whole = self.fontMetrics().horizontalAdvance(self._whole) <= room + 2 * _AROUND
        shown = self._whole
        if not whole:
            shown = self.fontMetrics().elidedText(self._whole, middle, max(room, 0))
        if shown != super().text():
            super().setText(shown)


class ElidedButton(QPushButton):
    """A button that takes the available width, with its text elided."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self._whole = ""
        self.setMinimumWidth(least)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        """Return the whole text."""
        return self._whole

    def setText(self, text: str | None) -> None:  # noqa: N802
        """Set the text."""
        self._whole = text or ""
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit the text to the new size."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        middle, room = Qt.TextElideMode.ElideMiddle, self.width() - 2 * _AROUND
        super().setText(self.fontMetrics().elidedText(self._whole, middle, room))
