"""Box in full: one box of a rack with large images, the outlines of its triggers, figures."""

from collections.abc import Sequence

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from deeplabstream.core.frame import Frame
from deeplabstream.engine.trigger_shapes import TriggerShape
from deeplabstream.gui.widgets.box_tile import (
    BoxFigures,
    BoxHead,
    more_of,
    show_no_image,
    stop_of,
)
from deeplabstream.gui.widgets.video_view import VideoGrid
from deeplabstream.rack.box_views import BoxView
from deeplabstream.rack.shown_steps import ShownStep


class BoxInFull(QWidget):
    """One box; Back returns to the tiles."""

    closed = pyqtSignal()
    """Back was pressed."""
    start_requested = pyqtSignal(str)
    """The name of the box that is to be started."""
    restart_requested = pyqtSignal(str)
    """The name of the box that is to be restarted."""
    stop_requested = pyqtSignal(str)
    """The name of the box whose STOP was pressed."""

    def __init__(
        self, name: str, cameras: Sequence[str], zones: Sequence[TriggerShape]
    ) -> None:
        super().__init__()
        self.box = name
        self.back = QPushButton("Back")
        self.back.setToolTip("shows all boxes")
        self.back.clicked.connect(self.closed)
        self.head, self.figures = BoxHead(name), BoxFigures(columns=6)
        self.grid = VideoGrid(cameras, zones)
        self.start = QPushButton("Start")
        self.start.setProperty("starts", True)
        self.start.clicked.connect(lambda: self.start_requested.emit(name))
        self.more = more_of(lambda: self.restart_requested.emit(name))
        self.stop = stop_of(name)
        self.stop.setObjectName("stop")
        self.stop.setMinimumWidth(200)
        self.stop.setText(f"STOP {name}")
        self.stop.clicked.connect(lambda: self.stop_requested.emit(name))

        top, bottom = QHBoxLayout(), QHBoxLayout()
        for row in (top, bottom):
            row.setSpacing(12)
        top.addWidget(self.back)
        top.addWidget(self.head, 1)
        bottom.addWidget(self.figures, 1)
        bottom.addWidget(self.start)
        bottom.addWidget(self.more)
        bottom.addWidget(self.stop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(top)
        column.addWidget(self.grid, 1)
        column.addLayout(bottom)

    def show_box(self, box: BoxView, can_start: bool) -> None:
        """Show the state of the box; `can_start`: whether a rack takes its start."""
        self.head.show_box(box)
        self.figures.show_box(box)
        self.start.setEnabled(can_start and not box.runs)
        self.more.setEnabled(can_start and box.runs)
        rings = box.status.rings if box.status and box.runs else {}
        for camera, view in self.grid.views.items():
            if camera not in rings:
                show_no_image(view, box.state)

    def show_frame(self, frame: Frame, shown: ShownStep | None) -> None:
        """Show an image of a camera of the box, with its pose; None: it has none."""
        if (view := self.grid.views.get(frame.camera)) is not None:
            view.levels = {} if shown is None else shown.levels
            view.threshold = 0.0 if shown is None else shown.threshold
            view.show_image(frame.image, frame.index, shown.step if shown else None)
