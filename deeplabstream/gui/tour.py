"""Tour: a ring around a control and a text beside it, painted above the window.

Five steps to a first closed loop: each shows the control that does the real thing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PyQt5.QtCore import QObject, QSettings
from PyQt5.QtWidgets import QAbstractButton, QMessageBox

from deeplabstream.engine.session.session_state import Action, Phase
from deeplabstream.settings.sections import Settings
from deeplabstream.simulation.arena import ArenaCamera
from deeplabstream.simulation.virtual_output import VirtualOutput

if TYPE_CHECKING:
    from deeplabstream.gui.main_window import MainWindow
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

from deeplabstream.gui.theme import palette

_SEEN = "tour_seen"


@dataclass(frozen=True)
class Stop:
    """One step of the tour."""

    title: str
    text: str
    target: "Callable[[MainWindow], QAbstractButton]"
    """What is to be pressed."""
    done: "Callable[[MainWindow], bool]"
    meanwhile: str = ""
    """What to wait for once it was pressed."""


def _button(action: Action) -> "Callable[[MainWindow], QAbstractButton]":
    return lambda window: window.live.controls.buttons[action]


STOPS = (
    Stop(
        "Start the stream",
        "This rig is simulated: a mouse walks in an arena, and no device is "
        "needed. Start Stream opens its camera.",
        _button(Action.START_STREAM),
        lambda window: window.bridge.session.state.phase is Phase.STREAMING,
        "Opening the camera …",
    ),
    Stop(
        "Track the animal",
        "Start Analysis: a network finds snout, ears and tail in each frame. "
        "Triggers check whether the snout is in a circle.",
        _button(Action.START_ANALYSIS),
        lambda window: window.bridge.session.state.analysing,
        "Loading the network …",
    ),
    Stop(
        "Close the loop",
        "Start Experiment: when the mouse enters a circle, its stimulus goes on. "
        "From now on everything is recorded.",
        _button(Action.START_EXPERIMENT),
        lambda window: (
            window.bridge.session.state.experimenting
            and any(level > 0 for level in window.bridge.session.state.levels.values())
        ),
        "Wait until the mouse enters a circle. The image gets an amber frame, "
        "and the output lights up under Outputs.",
    ),
    Stop(
        "Stop everything",
        "The stimulus went on. STOP switches all outputs off at once and ends the "
        "experiment, on every page. Esc does the same.",
        lambda window: window.rail.stop,
        lambda window: not window.bridge.session.state.experimenting,
    ),
    Stop(
        "End the run",
        "Stop Stream closes the camera and ends the run. Its video, poses and "
        "events are in a new folder.",
        _button(Action.STOP_STREAM),
        lambda window: window.bridge.session.state.phase is Phase.IDLE,
        "Ending the run …",
    ),
)
_END = (
    "That was a closed loop",
    "This is the recorded run: drag the timeline. Regions moves the circles, "
    "Experiment offers other tasks, Network trains on your own animal. Continue "
    "with docs/tutorial.md. Help, Tour shows this again.",
)


class Tour(QObject):
    """Leads through the stops; `memory` is where it is remembered that it was shown."""

    def __init__(self, window: "MainWindow", memory: QSettings | None) -> None:
        super().__init__(window)
        self.window, self.memory = window, memory
        self.place = -1
        """The number of the stop, from 0; -1: no tour."""
        self.bubble, self.ring = Bubble(window), HighlightRing(window)
        self.bubble.press.clicked.connect(self._press)
        self.bubble.leave.clicked.connect(self.end)
        window.bridge.ticked.connect(self._tick)

    def offer(self) -> None:
        """Begin where it was never shown, and the rig has nothing that could do harm."""
        seen = self.memory is not None and self.memory.value(_SEEN, "") == "yes"
        idle = self.window.bridge.session.state.phase is Phase.IDLE
        if not seen and idle and is_simulated(self.window.bridge.session.settings):
            self.begin()

    def begin(self) -> None:
        """Begin, or say why not."""
        rig = self.window.bridge.session
        if not is_simulated(rig.settings):
            QMessageBox.information(
                self.window,
                "Tour – DeepLabStream",
                "The tour switches outputs, so it runs only with the simulated "
                "rig. Open the settings.ini that comes with the program (File, "
                "Open settings).",
            )
            return
        if self.memory is not None:
            self.memory.setValue(_SEEN, "yes")
        self.place = 0
        self.window.show_page("Live")
        self._show()

    def end(self) -> None:
        """Leave; what runs goes on."""
        self.place = -1
        self.bubble.hide()
        self.ring.hide()

    @property
    def stop(self) -> Stop | None:
        """Where the tour is; None: at its end, or nowhere."""
        return STOPS[self.place] if 0 <= self.place < len(STOPS) else None

    def _show(self) -> None:
        stop = self.stop
        if stop is None:
            self._show_end()
            return
        self.bubble.show_text(
            f"{self.place + 1} of {len(STOPS)}  {stop.title}", stop.text
        )
        self._point(stop)

    def _show_end(self) -> None:
        folder = self.window.bridge.session.state.run_folder
        if folder is not None:
            self.window.bridge.looked_back.emit(folder)
        self.ring.hide()
        self.bubble.show_text(*_END)
        self.bubble.press.hide()
        self.bubble.leave.setText("Close")
        self.bubble.settle(None)

    def _point(self, stop: Stop) -> None:
        target = stop.target(self.window)
        self.bubble.press.setText(f"{target.text()} for me")
        self.bubble.press.setVisible(True)
        self.bubble.press.setEnabled(target.isEnabled())
        self.bubble.leave.setText("End the tour")
        if target.isVisible():
            self.ring.surround(target)
            self.bubble.settle(target)
        else:
            self.ring.hide()
            self.bubble.settle(None)

    def _press(self) -> None:
        stop = self.stop
        if stop is not None:
            self.window.show_page("Live")
            stop.target(self.window).click()
            self._wait(stop)

    def _wait(self, stop: Stop) -> None:
        if stop.meanwhile and not stop.done(self.window):
            self.bubble.words.setText(stop.meanwhile)

    def _tick(self) -> None:
        stop = self.stop
        if stop is None:
            return
        if stop.done(self.window):
            self.place += 1
            self._show()
            return
        target = stop.target(self.window)
        pressed = not target.isEnabled() and self.bubble.press.isEnabled()
        self._point(stop)
        if pressed:
            self._wait(stop)


def is_simulated(settings: Settings) -> bool:
    """Return whether nothing of a rig is a device: cameras and outputs are on paper."""
    return all(
        isinstance(camera, ArenaCamera) for camera in settings.cameras.values()
    ) and all(isinstance(output, VirtualOutput) for output in settings.outputs.values())


_WIDTH = 340
_GAP = 36
_MARGIN = 6


class HighlightRing(QWidget):
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
        self.press, self.leave = QPushButton(), QPushButton("End the tour")
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

    def show_text(self, title: str, words: str) -> None:
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
