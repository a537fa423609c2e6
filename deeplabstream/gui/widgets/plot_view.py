"""Plot view: a plot in the colours of the window, scaled to fit, or a message."""

from PyQt5.QtCore import QEvent, QRectF, QSize, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QColor, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PyQt5.QtWidgets import QSizePolicy, QWidget

from deeplabstream.analysis.plot_style import FigureColours
from deeplabstream.gui.theme import palette

_SETTLE_MS = 200
_MARGIN = 8  # px


class PlotView(QWidget):
    """Shows a PNG drawn for `size_in_pixels`, or a message."""

    changed = pyqtSignal()
    """Size or colours have changed: draw the plot again."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.text = text
        """Message shown without a plot."""
        self.plot: QPixmap | None = None
        self.setMinimumSize(240, 160)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SETTLE_MS)
        self._timer.timeout.connect(self.changed)

    @property
    def size_in_pixels(self) -> tuple[int, int]:
        """Width and height of a plot, in pixels of the screen."""
        ratio = self.devicePixelRatioF()
        sides = (self.width() - 2 * _MARGIN, self.height() - 2 * _MARGIN)
        return int(sides[0] * ratio), int(sides[1] * ratio)

    @property
    def colours(self) -> FigureColours:
        """Colours of a plot in the style of the window."""
        used = palette()
        return FigureColours(used.panel, used.text, used.blue, used.line)

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Request another plot when the style of the window has changed."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange:
            self._timer.start()

    def show_png(self, content: bytes) -> None:
        """Show a plot."""
        plot = QPixmap()
        plot.loadFromData(content)
        self.plot = plot
        self.update()

    def clear(self, text: str) -> None:
        """Show a message instead of a plot."""
        self.text, self.plot = text, None
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of a plot."""
        return QSize(560, 400)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Request another plot when the size no longer changes."""
        super().resizeEvent(event)
        self._timer.start()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint the plot in the middle."""
        painter, colours = QPainter(self), palette()
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
            painter.setPen(QColor(colours.line))
            painter.setBrush(QColor(colours.panel))
            painter.drawRoundedRect(area, 8, 8)
            if self.plot is None:
                painter.setPen(QColor(colours.faint))
                inside = self.rect().adjusted(20, 10, -20, -10)
                flags = int(Qt.AlignmentFlag.AlignCenter) | int(
                    Qt.TextFlag.TextWordWrap
                )
                painter.drawText(inside, flags, self.text)
            else:
                painter.drawPixmap(self._fit(self.plot), self.plot, QRectF())
        finally:
            painter.end()

    def _fit(self, plot: QPixmap) -> QRectF:
        """Return the rectangle of the plot."""
        room = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        size = plot.size().scaled(
            room.size().toSize(), Qt.AspectRatioMode.KeepAspectRatio
        )
        left = room.center().x() - size.width() / 2
        top = room.center().y() - size.height() / 2
        return QRectF(left, top, size.width(), size.height())
