"""Small widgets: play button and indicator lamp; clicks that keep the focus."""

from functools import partial

from PyQt5.QtCore import QPointF, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QAbstractButton, QPushButton, QWidget

from deeplabstream.gui.theme import palette
from deeplabstream.gui.widgets.field_editors import commit_field


def keep_focus_on_clicks(root: QWidget) -> None:
    """Keep the focus where it is when buttons in `root` are clicked.

    Space and Enter press the button with the focus: after a click they would press it
    again. The edited field is committed, as if it had lost the focus.
    """
    for button in root.findChildren(QAbstractButton):
        if button.focusPolicy() & Qt.FocusPolicy.ClickFocus:
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.pressed.connect(partial(commit_field, button))


def fold_text(text: str, unfolded: bool) -> str:
    """Return the text of a button that folds and unfolds something."""
    return f"{'▾' if unfolded else '▸'} {text}"


TICK_MS = 33


class PlayButton(QPushButton):
    """Play and pause button; `due` is emitted when the next frame is to be shown."""

    due = pyqtSignal()

    def __init__(self) -> None:
        super().__init__("Play")
        self.setCheckable(True)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.due)
        self.toggled.connect(self._play)

    def stop(self) -> None:
        """Pause."""
        self.setChecked(False)

    def _play(self, playing: bool) -> None:
        self.setText("Pause" if playing else "Play")
        if playing:
            self._timer.start(TICK_MS)
        else:
            self._timer.stop()


class Lamp(QWidget):
    """Indicator lamp: a filled or hollow circle."""

    def __init__(self) -> None:
        super().__init__()
        self.colour = ""
        self.hollow = False
        self.setFixedSize(14, 14)
        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)

    def show_colour(self, colour: str, hollow: bool = False) -> None:
        """Show `colour`, one of `deeplabstream.gui.theme`; empty: off.

        If `hollow`, only the outline is coloured.
        """
        if (colour, hollow) != (self.colour, self.hollow):
            self.colour, self.hollow = colour, hollow
            self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint the lamp."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self.colour or palette().line), 1.5))
        filled = bool(self.colour) and not self.hollow
        painter.setBrush(QColor(self.colour) if filled else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QPointF(7, 7), 5, 5)
