"""Tour: five steps to a first closed loop, each pointing at the control to use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PyQt5.QtCore import QObject, QPoint, QRect, QSettings, Qt
from PyQt5.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import (
    QAbstractButton,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.engine.session.session_state import Action, Phase, SessionState
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.questions import show_message
from deeplabstream.gui.theme import palette
from deeplabstream.settings.sections import Settings
from deeplabstream.simulation.arena import ArenaCamera
from deeplabstream.simulation.virtual_output import VirtualOutput

_SEEN = "tour_seen"
_WIDTH = 320
_GAP = 12
_STEP = 16  # px
"""Distance of the places that are tried for the bubble."""
_MARGIN = 6
_TUTORIAL = "tutorial.md"


@dataclass(frozen=True)
class TourStep:
    """One step of the tour."""

    title: str
    text: str
    action: Action | None
    """Action of the button to press; None: STOP."""
    done: Callable[[SessionState], bool]
    """Returns whether the step is completed."""
    meanwhile: str = ""
    """Text while the action is being performed."""
    shows: tuple[str, ...] = ("controls", "image")
    """Parts of the window that the text speaks of: the bubble does not cover them."""


STEPS = (
    TourStep(
        "Start the stream",
        "This rig is simulated: a mouse walks in an arena, and no device is "
        "needed. Start Stream opens its camera.",
        Action.START_STREAM,
        lambda state: state.phase is Phase.STREAMING,
        "Opening the camera …",
    ),
    TourStep(
        "Track the animal",
        "Start Analysis: a network finds snout, ears and tail in each frame. "
        "Triggers check whether the snout is in a circle.",
        Action.START_ANALYSIS,
        lambda state: state.analysing,
        "Loading the network …",
        ("controls", "image", "triggers"),
    ),
    TourStep(
        "Close the loop",
        "Start Experiment: when the mouse enters a circle, its stimulus goes on. "
        "From now on everything is recorded.",
        Action.START_EXPERIMENT,
        lambda state: (
            state.experimenting and any(level > 0 for level in state.levels.values())
        ),
        "Wait until the mouse enters a circle. The image gets an amber frame, "
        "and the output lights up under Outputs.",
        ("controls", "image", "outputs"),
    ),
    TourStep(
        "Stop everything",
        "The stimulus went on. STOP switches all outputs off at once and ends the "
        "experiment, on every page. Esc does the same.",
        None,
        lambda state: not state.experimenting,
        shows=("image", "outputs"),
    ),
    TourStep(
        "End the run",
        "Stop Stream closes the camera and ends the run. Its video, poses and "
        "events are in a new folder.",
        Action.STOP_STREAM,
        lambda state: state.phase is Phase.IDLE,
        "Ending the run …",
        ("controls",),
    ),
)
_END = (
    "That was a closed loop",
    "This is the recorded run: drag the timeline. Regions moves the circles, "
    "Experiment offers other tasks, Network trains on your own animal. Continue "
    "with the {link}. Help, Tour shows this again.",
)
_END_SHOWS = ("image", "timeline")


class Tour(QObject):
    """Shows the steps one after the other.

    `button` returns the button of an action in `window` (None: STOP), `part` the widget of
    a part of the window that a text speaks of (None: it is not shown). `show_live` shows the
    page with these buttons, `show_help` a page of the documentation. `memory` stores that
    the tour was shown.
    """

    def __init__(
        self,
        window: QWidget,
        bridge: Bridge,
        button: Callable[[Action | None], QAbstractButton],
        part: Callable[[str], QWidget | None],
        show_live: Callable[[], object],
        show_help: Callable[[str], None],
        memory: QSettings | None,
    ) -> None:
        super().__init__(window)
        self.window, self.bridge, self.memory = window, bridge, memory
        self._button, self._part, self._show_live = button, part, show_live
        self.place = -1
        """Number of the step, from 0; -1: the tour is not shown."""
        self.bubble, self.ring = Bubble(window), HighlightRing(window)
        self.bubble.press.clicked.connect(self._press)
        self.bubble.leave.clicked.connect(self.end)
        self.bubble.message.linkActivated.connect(show_help)
        bridge.ticked.connect(self._tick)

    def offer(self) -> None:
        """Start the tour if it was never shown, and the rig is idle and simulated."""
        seen = self.memory is not None and self.memory.value(_SEEN, "") == "yes"
        session = self.bridge.session
        idle = session.state.phase is Phase.IDLE
        if not seen and idle and is_simulated(session.settings):
            self.begin()

    def begin(self) -> None:
        """Start the tour, or show why it can't be started."""
        if not is_simulated(self.bridge.session.settings):
            show_message(
                self.window,
                "The tour switches outputs, so it runs only with the simulated "
                "rig. Open the settings.ini that comes with the program (File, "
                "Open settings).",
            )
            return

        if self.memory is not None:
            self.memory.setValue(_SEEN, "yes")
        self.place = 0
        self._show_live()
        self._show()

    def end(self) -> None:
        """Hide the tour; the session continues."""
        self.place = -1
        self.bubble.hide()
        self.ring.hide()

    def settle(self) -> None:
        """Place the bubble again, in a window that has another size."""
        if self.step is not None:
            self._point(self.step)
        elif self.place >= 0:
            self.bubble.settle(None, self._places(_END_SHOWS))

    @property
    def step(self) -> TourStep | None:
        """The current step; None: the tour has ended or is not shown."""
        return STEPS[self.place] if 0 <= self.place < len(STEPS) else None

    def _show(self) -> None:
        step = self.step
        if step is None:
            self._show_end()
            return
        self.bubble.show_text(
            f"{self.place + 1} of {len(STEPS)}  {step.title}", step.text
        )
        self._point(step)

    def _show_end(self) -> None:
        folder = self.bridge.session.state.run_folder
        if folder is not None:
            self.bridge.run_requested.emit(folder)
        self.ring.hide()
        title, text = _END
        link = f'<a href="{_TUTORIAL}" style="color: {palette().blue}">tutorial</a>'
        self.bubble.show_text(title, text.format(link=link))
        self.bubble.press.hide()
        self.bubble.leave.setText("Close")
        self.bubble.settle(None, self._places(_END_SHOWS))

    def _places(self, parts: tuple[str, ...]) -> list[QRect]:
        """Return where the parts are that the text speaks of."""
        widgets = [self._part(name) for name in parts]
        return [_place(w, self.window) for w in widgets if w is not None]

    def _point(self, step: TourStep) -> None:
        target = self._button(step.action)
        self.bubble.press.setText(f"Press {target.text()}")
        self.bubble.press.setVisible(True)
        self.bubble.press.setEnabled(target.isEnabled())
        self.bubble.leave.setText("End the tour")
        if target.isVisible():
            self.ring.surround(target)
            self.bubble.settle(target, self._places(step.shows))
        else:
            self.ring.hide()
            self.bubble.settle(None, [])

    def _press(self) -> None:
        step = self.step
        if step is not None:
            self._show_live()
            self._button(step.action).click()
            self._wait(step)

    def _wait(self, step: TourStep) -> None:
        if step.meanwhile and not step.done(self.bridge.session.state):
            self.bubble.message.setText(step.meanwhile)

    def _tick(self) -> None:
        step = self.step
        if step is None:
            return
        if step.done(self.bridge.session.state):
            self.place += 1
            self._show()
            return

        # A button that has become disabled was pressed, by the user or by the tour.
        pressed = (
            not self._button(step.action).isEnabled() and self.bubble.press.isEnabled()
        )
        self._point(step)
        if pressed:
            self._wait(step)


def is_simulated(settings: Settings) -> bool:
    """Return whether a rig has cameras, and they and its outputs are all simulated."""
    cameras, outputs = settings.cameras.values(), settings.outputs.values()
    return (
        bool(cameras)
        and all(isinstance(camera, ArenaCamera) for camera in cameras)
        and all(isinstance(output, VirtualOutput) for output in outputs)
    )


class HighlightRing(QWidget):
    """Ring around a control, transparent to the mouse."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._above = window
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setObjectName("clear")
        self.hide()

    def surround(self, target: QWidget) -> None:
        """Place the ring around `target`."""
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
    """Title, text and buttons of a step."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._above = window
        self._settled: object = None
        """Size, window and places for which the bubble was placed last."""
        self.setObjectName("tour")
        self.setFixedWidth(_WIDTH)
        self.title, self.message = QLabel(), QLabel()
        self.title.setObjectName("heading")
        self.press, self.leave = QPushButton(), QPushButton("End the tour")
        self.press.setProperty("starts", True)
        for label in (self.title, self.message):
            label.setWordWrap(True)
        foot = QHBoxLayout()
        foot.addWidget(self.leave)
        foot.addWidget(self.press)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 14)
        column.setSpacing(8)
        for widget in (self.title, self.message):
            column.addWidget(widget)
        column.addLayout(foot)
        self.hide()

    def show_text(self, title: str, text: str) -> None:
        """Show a title and a text."""
        self.title.setText(title)
        self.message.setText(text)

    def settle(self, target: QWidget | None, shown: Sequence[QRect]) -> None:
        """Move beside `target`, or to the lower edge of the window, and off what is `shown`."""
        room = self._above.rect()
        height = self.heightForWidth(_WIDTH) if self.hasHeightForWidth() else 0
        self.resize(_WIDTH, max(height, self.sizeHint().height()))
        spared, near = [*shown], QPoint(room.center().x(), room.bottom())
        if target is not None:
            place = _place(target, self._above)
            near = place.center()
            spared.append(place.adjusted(-_GAP, -_GAP, _GAP, _GAP))
        wanted = (self.size(), room, near, spared)
        if wanted != self._settled:  # called with each tick
            self._settled = wanted
            self.move(free_place(self.rect(), room, spared, near))
        if not self.isVisible():
            self.show()
            self.raise_()


def free_place(
    bubble: QRect, room: QRect, spared: Sequence[QRect], near: QPoint
) -> QPoint:
    """Return where a rectangle covers least of `spared`; of these, nearest to a point."""
    last_x, last_y = (
        room.width() - bubble.width() - 8,
        room.height() - bubble.height() - 8,
    )

    def cost(corner: QPoint) -> tuple[int, int]:
        place = QRect(corner, bubble.size())
        covered = [place.intersected(other) for other in spared]
        area = sum(part.width() * part.height() for part in covered if part.isValid())
        return area, (place.center() - near).manhattanLength()

    corners = (
        QPoint(x, y)
        for x in (*range(8, last_x, _STEP), max(8, last_x))
        for y in (*range(8, last_y, _STEP), max(8, last_y))
    )
    return min(corners, key=cost)


def _place(target: QWidget, window: QWidget) -> QRect:
    return QRect(target.mapTo(window, QPoint(0, 0)), target.size())
