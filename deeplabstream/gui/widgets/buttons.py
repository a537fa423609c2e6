"""Small widgets: stop button, play button and indicator lamp."""

from functools import partial

from PyQt5.QtCore import QPointF, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QAbstractButton, QPushButton, QWidget

from deeplabstream.gui.theme import palette
from deeplabstream.gui.widgets.field_editors import commit_field


class StopButton(QPushButton):
    """Never takes the focus, so that neither Space nor Enter presses it by accident."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAutoDefault(False)  # Enter presses such a button in a dialog


def keep_focus_on_clicks(root: QWidget) -> None:
    """Let a click on the buttons of `root` leave the focus where it is.

    Space and Enter press the button with the focus: after a click they would press it
    again. The field with the focus is taken over, as if it had lost the focus.
    """
    for button in root.findChildren(QAbstractButton):
        if button.focusPolicy() & Qt.FocusPolicy.ClickFocus:
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.pressed.connect(partial(commit_field, button))


TICK_MS = 33


class PlayButton(QPushButton):
    """Play and pause button; `due` is emitted for each next frame."""

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
    """Shows a colour, or none."""

    def __init__(self) -> None:
        super().__init__()
        self.colour = ""
        self.hollow = False
        self.setFixedSize(14, 14)
        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)

    def show_colour(self, colour: str, hollow: bool = False) -> None:
        """Shine in `colour`, one of `deeplabstream.gui.theme`; empty: be dark.

        Only the outline has the colour if it is `hollow`.
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
