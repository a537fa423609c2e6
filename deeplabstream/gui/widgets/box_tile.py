"""Box tile: a box of a rack with its image, state, figures, alarm, Start, menu and STOP."""

from collections.abc import Callable

from PyQt5.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.frame import Frame
from deeplabstream.gui.dialogs.dialog_input import keep_usable
from deeplabstream.gui.theme import AMBER, GREEN, RED
from deeplabstream.gui.widgets.buttons import Lamp
from deeplabstream.gui.widgets.elided_text import Elided
from deeplabstream.gui.widgets.stop_button import StopButton
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.rack.box_status import SILENT
from deeplabstream.rack.box_views import BoxView
from deeplabstream.rack.newest_frames import reduced
from deeplabstream.rack.rack_commands import COMMANDS
from deeplabstream.rack.shown_steps import ShownStep

IMAGE_WIDTH = 480
"""Largest width of an image in a tile, px; more would only cost time."""
LEAST_WIDTH = 428
"""Smallest width of a tile, px."""
_LEAST_IMAGE = 200, 150  # px
_UNKNOWN = "–"
_HELP = {
    "subject": "animal in the box",
    "frames/s": "analysed frames a second of each camera, and the camera's frame rate",
    "light": "phase of the room, and zeitgeber time: hours since lights-on",
    "trials": "trials that the experiment has begun",
    "p50/p99 ms": "from exposure to decision or output: median, and 99 % are faster",
    "lost": "frames lost at the camera or missing in the video; ?: can't be counted",
    "disk GB": "free space where the box records",
}


class BoxFigures(QWidget):
    """The figures of a box with their captions, in columns."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.setObjectName("clear")
        self.values = {name: Elided(_UNKNOWN) for name in _HELP}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(1)
        for number, (name, value) in enumerate(self.values.items()):
            caption = QLabel(name)
            caption.setObjectName("caption")
            caption.setToolTip(_HELP[name])
            value.setObjectName("value")
            row, column = divmod(number, columns)
            grid.addWidget(caption, 2 * row, column)
            grid.addWidget(value, 2 * row + 1, column)
            grid.setColumnStretch(column, 1)
        grid.setRowStretch(grid.rowCount(), 1)

    def show_box(self, box: BoxView) -> None:
        """Show the figures of the last report, also after the end of the box."""
        found = {"subject": box.animal}
        if box.status is not None:
            found |= box.status.figures
        if not box.runs:  # the rate of the time before
            found["frames/s"] = ""
        for name, value in self.values.items():
            text = found.get(name, "") or _UNKNOWN
            if value.text() != text:
                value.setText(text)
                value.setToolTip(f"{text}: {_HELP[name]}")


class BoxHead(QWidget):
    """Lamp, name and state of a box, and its alarm below them."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName("clear")
        self.lamp, self.state = Lamp(), Elided()
        self.name = Elided(name)
        self.name.setObjectName("heading")
        self.state.setObjectName("caption")
        self.alarm = Elided()
        self.alarm.setObjectName("problem")
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.lamp)
        line.addWidget(self.name, 1)
        line.addWidget(self.state, 2, Qt.AlignmentFlag.AlignRight)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(line)
        column.addWidget(self.alarm)
        self.alarm.hide()

    def show_box(self, box: BoxView) -> None:
        """Show the state of a box."""
        colour = GREEN if box.runs else ""
        if box.fails:
            colour = RED if box.state == SILENT or not box.runs else AMBER
        self.lamp.show_colour(colour)
        if self.state.text() != box.state:
            self.state.setText(box.state)
        alarm = " ".join(box.status.alarm.split()) if box.status else ""
        self.alarm.setVisible(bool(alarm))
        if self.alarm.text() != alarm:
            self.alarm.setText(alarm)


class BoxTile(QFrame):
    """A box among others; a click on its image shows it in full."""

    opened = pyqtSignal(str)
    """The name of the box that is to be shown in full."""
    start_requested = pyqtSignal(str)
    """The name of the box that is to be started."""
    restart_requested = pyqtSignal(str)
    """The name of the box that is to be restarted."""
    stop_requested = pyqtSignal(str)
    """The name of the box whose STOP was pressed."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setMinimumWidth(LEAST_WIDTH)
        self.box = name
        self.head, self.figures = BoxHead(name), BoxFigures(columns=2)
        self.view = VideoView("")
        self.view.setMinimumSize(*_LEAST_IMAGE)
        self.view.setCursor(Qt.CursorShape.PointingHandCursor)
        self.view.setToolTip("click: shows this box in full")
        self.view.installEventFilter(self)
        self.full = QPushButton("Show in full")
        self.full.clicked.connect(lambda: self.opened.emit(name))
        self.start = QPushButton("Start")
        self.start.setProperty("starts", True)
        self.start.clicked.connect(lambda: self.start_requested.emit(name))
        self.more = more_of(lambda: self.restart_requested.emit(name))
        self.stop = stop_of(name)
        self.stop.clicked.connect(lambda: self.stop_requested.emit(name))

        middle, buttons = QHBoxLayout(), QHBoxLayout()
        middle.setSpacing(12)
        middle.addWidget(self.view, 3)
        middle.addWidget(self.figures, 2)
        buttons.setSpacing(8)
        for button in (self.full, self.start, self.more):
            buttons.addWidget(button)
        buttons.addWidget(self.stop, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 12)
        column.setSpacing(8)
        column.addWidget(self.head)
        column.addLayout(middle, 1)
        column.addLayout(buttons)

    def show_box(self, box: BoxView, can_start: bool) -> None:
        """Show the state of the box; `can_start`: whether a rack takes its start."""
        self.head.show_box(box)
        self.figures.show_box(box)
        self.start.setEnabled(can_start and not box.runs)
        self.more.setEnabled(can_start and box.runs)
        if not (box.status and box.status.rings and box.runs):
            show_no_image(self.view, box.state)

    def show_frame(self, frame: Frame, shown: ShownStep | None) -> None:
        """Show an image of the box's camera, with its pose; None: it has none."""
        self.view.camera = frame.camera
        image = reduced(frame.image, IMAGE_WIDTH)
        step = None
        if shown is not None:
            step = shown.reduced(image.shape[1] / frame.image.shape[1]).step
        self.view.show_image(image, frame.index, step)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Show the box in full after a click on its image."""
        if event is not None and event.type() == QEvent.Type.MouseButtonRelease:
            self.opened.emit(self.box)
        return super().eventFilter(watched, event)


def more_of(restart: Callable[[], None]) -> QPushButton:
    """Return the button with the menu of a box that runs."""
    button, told = QPushButton("More"), COMMANDS["restart"]
    menu = QMenu(button)
    entry = menu.addAction(f"{told.title} …")
    if entry is not None:
        entry.setToolTip(told.consequence)
        entry.triggered.connect(lambda: restart())
    menu.setToolTipsVisible(True)
    button.setMenu(menu)
    return button


def stop_of(box: str) -> StopButton:
    """Return a STOP button of one box."""
    button = StopButton("STOP")
    button.setObjectName("stopOne")
    button.setToolTip(f"switches the outputs of {box} off and ends its experiment")
    keep_usable(button)
    return button


def show_no_image(view: VideoView, text: str) -> None:
    """Show a text in place of the image, if there is one or another text."""
    if view.place is not None or view.empty_text != text:
        view.clear(text)
