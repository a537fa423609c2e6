"""What the tour paints above the window: a ring around a control, words beside it."""

from PyQt5.QtCore import QPoint, QRect, Qt
from PyQt5.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui.theme import palette

_WIDTH = 340
_GAP = 36
_MARGIN = 6


class Ring(QWidget):
    """Surrounds a control; clicks go through it."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._above = window
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setObjectName("clear")
        self.hide()

    def surround(self, target: QWidget) -> None:
        """Lie around `target`."""
        around = _place(target, self._above).adjusted(
            -_MARGIN, -_MARGIN, _MARGIN, _MARGIN
        )
        if self.geometry() != around or not self.isVisible():
            self.setGeometry(around)
            self.show()
            self.raise_()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint the ring."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(palette().amber), 3))
        painter.drawRoundedRect(self.rect().adjusted(2, 2, -2, -2), 9, 9)
        painter.end()


class Bubble(QFrame):
    """A title, a sentence or two, and what can be done."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._above = window
        self.setObjectName("tour")
        self.setFixedWidth(_WIDTH)
        self.title, self.words = QLabel(), QLabel()
        self.title.setObjectName("heading")
        self.press, self.leave = QPushButton(), QPushButton("Leave the tour")
        self.press.setProperty("starts", True)
        for label in (self.title, self.words):
            label.setWordWrap(True)
        foot = QHBoxLayout()
        foot.addWidget(self.leave)
        foot.addWidget(self.press)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 14)
        column.setSpacing(8)
        for widget in (self.title, self.words):
            column.addWidget(widget)
        column.addLayout(foot)
        self.hide()

    def tell(self, title: str, words: str) -> None:
        """Show these words."""
        self.title.setText(title)
        self.words.setText(words)

    def settle(self, target: QWidget | None) -> None:
        """Lie beside `target`, or at the lower edge, within the window."""
        room = self._above.rect()
        height = self.heightForWidth(_WIDTH) if self.hasHeightForWidth() else 0
        self.resize(_WIDTH, max(height, self.sizeHint().height()))
        corner = QPoint(
            (room.width() - _WIDTH) // 2, room.height() - self.height() - 40
        )
        if target is not None:
            place = _place(target, self._above)
            left = place.left() - _WIDTH - _GAP
            if left < 0:
                left = place.right() + _GAP
            corner = QPoint(left, place.top() - 10)
        most_x, most_y = room.width() - _WIDTH - 8, room.height() - self.height() - 8
        corner = QPoint(
            max(8, min(corner.x(), most_x)), max(8, min(corner.y(), most_y))
        )
        if self.pos() != corner or not self.isVisible():
            self.move(corner)
            self.show()
            self.raise_()


def _place(target: QWidget, window: QWidget) -> QRect:
    return QRect(target.mapTo(window, QPoint(0, 0)), target.size())
