"""A small round lamp."""

from PyQt5.QtCore import QPointF, Qt
from PyQt5.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QWidget

from deeplabstream.gui.theme import palette


class Lamp(QWidget):
    """Shows a colour, or none."""

    def __init__(self) -> None:
        super().__init__()
        self.colour = ""
        self.setFixedSize(14, 14)
        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)

    def show_colour(self, colour: str) -> None:
        """Shine in `colour`, one of `deeplabstream.gui.theme`; empty: be dark."""
        if colour != self.colour:
            self.colour = colour
            self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint the lamp."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self.colour or palette().line), 1.5))
        painter.setBrush(QColor(self.colour) if self.colour else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QPointF(7, 7), 5, 5)
