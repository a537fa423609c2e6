"""Space editor: volumes, heights and planes of triggers, edited in two views."""

from collections.abc import Callable
from functools import partial
from time import perf_counter

import numpy as np
from PyQt5.QtCore import pyqtSignal
from PyQt5.QtGui import QShowEvent
from PyQt5.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.space_pose import SPACE
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.floor_image import FloorImage, floor_image
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.space_geometry import focus_of, radius_of, round_length
from deeplabstream.gui.space_items import (
    ABOVE,
    FRONT,
    SIDE,
    HeightItem,
    PlaneItem,
    SpaceItem,
    SpaceTool,
    VolumeItem,
    item_of,
)
from deeplabstream.gui.space_scene import (
    SpaceMoment,
    SpaceScene,
    SpaceShape,
    outlines_in,
    plane_square,
)
from deeplabstream.gui.widgets.panels import grid_panel
from deeplabstream.gui.widgets.settings_form import (
    free_name,
    names_in,
)
from deeplabstream.gui.widgets.space_canvas import SpaceCanvas
from deeplabstream.gui.widgets.space_item_panel import SpaceItemPanel
from deeplabstream.gui.widgets.space_view import SpaceView
from deeplabstream.gui.widgets.video_view import VideoView
from deeplabstream.settings import ini_editing
from deeplabstream.settings.space_checks import read_space_cameras
from deeplabstream.space.camera_group import CameraGroup

_SIDE_WIDTH = 310
_TOOLS: tuple[SpaceTool, ...] = ("box", "cylinder", "polygon", "height", "plane")
_KINDS: dict[type[SpaceItem], str] = {
    VolumeItem: "InsideVolume",
    HeightItem: "AboveHeight",
    PlaneItem: "PlaneCrossing",
}
"""Trigger of a newly drawn item."""
_SHOWN = {FRONT: "From the front", SIDE: "From the side"}
_LOOK = {FRONT: "front view", SIDE: "side view"}
_FLOOR_S = 0.1
"""Shortest time between two images of the floor."""
_COPY_MM = 20
_HEIGHT_SHARE, _ROOM_SHARE = 0.4, 0.5
"""Height of a new volume, and half of the floor that is shown, of the cameras' distance."""
_HOW = (
    "Choose a shape, then drag: volumes from above, heights from the front, planes across. "
    "Polygon: click corners, double-click to close. Drag a shape or its handles in either "
    "view, elsewhere to move the view. Arrow keys: 1 mm, with Shift 10 mm."
)


def places_of(document: Document) -> list[str]:
    """Return where regions can be drawn: the cameras, and space if there is a calibration."""
    cameras = names_in(document, "Camera")
    calibrated = document.values.get("Space", {}).get("CALIBRATION", "").strip()
    return [*cameras, SPACE] if calibrated and SPACE not in cameras else cameras


class SpaceEditor(QWidget):
    """Draws volumes, heights and planes of triggers; each change can be undone."""

    place_chosen = pyqtSignal(str)
    """A camera was chosen in place of space."""

    def __init__(
        self,
        bridge: Bridge,
        document: Document,
        last_frame: Callable[[str], Frame | None],
    ) -> None:
        super().__init__()
        self.bridge, self.document = bridge, document
        self._last_frame = last_frame
        """Returns a recent frame of a camera; None: there was no stream."""
        self.cameras: CameraGroup | None = None
        """Calibrated cameras; None: they can't be read."""
        self.place, self.shown_camera = QComboBox(), QComboBox()
        self.above = SpaceCanvas("From above", ABOVE)
        self.upright = SpaceCanvas(_SHOWN[FRONT], FRONT)
        self.image = VideoView("")
        self.image.clear("Start the stream")
        self.view: SpaceView | None = None
        """View of space; None: the cameras can't be read."""
        self.other_side = QPushButton(_LOOK[SIDE])
        self.list = QListWidget()
        self.list.setObjectName("clear")
        self.selected = SpaceItemPanel(bridge, document)
        self.notice = QLabel()
        self.notice.setObjectName("problem")
        self.notice.setWordWrap(True)
        self.tools: dict[SpaceTool, QPushButton] = {}
        self._tools = QButtonGroup(self)
        self._tools.setExclusive(False)
        self.items: dict[str, SpaceItem] = {}
        self.chosen_name = ""
        self._read_for: object = None
        """What the cameras were read for; None: they are read again."""
        self._floor: FloorImage | None = None
        self._floor_for: object = None
        self._floor_at_s = 0.0
        self._arrange()
        self._connect()

    def cancel(self) -> bool:
        """Deselect the drawing tool; return whether one was selected."""
        drawing = self.above.tool is not None
        self._deselect_tool()
        return drawing

    def _arrange(self) -> None:
        side = QVBoxLayout()
        side.setSpacing(8)
        for panel in (self._drawing(), self._choosing(), self.selected):
            panel.setFixedWidth(_SIDE_WIDTH)
            side.addWidget(panel, 1 if panel.findChild(QListWidget) else 0)
        self.views = QGridLayout()
        self.views.setSpacing(8)
        self.views.addWidget(self.notice, 0, 0, 1, 2)
        self.views.addWidget(self.above, 1, 0)
        self.views.addWidget(self.upright, 2, 0)
        self.views.addWidget(self.image, 2, 1)
        for number, stretch in ((1, 4), (2, 3)):
            self.views.setRowStretch(number, stretch)
        self.views.setColumnStretch(0, 4)
        self.views.setColumnStretch(1, 3)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 10, 10, 10)
        row.setSpacing(10)
        row.addLayout(self.views, 1)
        row.addLayout(side)

    def _drawing(self) -> QFrame:
        panel, grid = grid_panel("Draw")
        for place, tool in enumerate(_TOOLS):
            button = QPushButton(tool)
            button.setCheckable(True)
            button.clicked.connect(partial(self._use, tool))
            self._tools.addButton(button)
            self.tools[tool] = button
            grid.addWidget(button, 1 + place // 3, place % 3)
            grid.setColumnStretch(place % 3, 1)
        self.other_side.setToolTip("from which side the lower view looks")
        grid.addWidget(self.other_side, 2, 2)
        help_ = QLabel(_HOW)
        help_.setObjectName("caption")
        help_.setWordWrap(True)
        grid.addWidget(help_, 3, 0, 1, 3)
        return panel

    def _choosing(self) -> QFrame:
        panel, grid = grid_panel("Volumes in")
        self.place.setToolTip("space, or a camera whose regions are shown")
        self.shown_camera.setToolTip("camera whose image is shown, also on the floor")
        grid.addWidget(self.place, 1, 0, 1, 3)
        grid.addWidget(QLabel("floor of"), 2, 0)
        grid.addWidget(self.shown_camera, 2, 1, 1, 2)
        grid.addWidget(self.list, 3, 0, 1, 3)
        return panel

    def _connect(self) -> None:
        self.bridge.stepped.connect(self._take_steps)
        self.bridge.imaged.connect(self._show_image)
        self.bridge.status_changed.connect(self._take_status)
        self.place.activated.connect(self._leave)
        self.shown_camera.activated.connect(self._choose_camera)
        self.other_side.clicked.connect(self._turn)
        self.list.currentTextChanged.connect(self._choose)
        self.above.moved.connect(self._renew_floor)
        for canvas in (self.above, self.upright):
            canvas.chosen.connect(self._choose)
            canvas.dragged.connect(self._show_dragged)
            canvas.changed.connect(self._change)
            canvas.made.connect(self._make)
        self.selected.renamed.connect(self._take_name)
        self.selected.copy.clicked.connect(self._copy)
        self.selected.delete.clicked.connect(self._delete)

    def refresh(self) -> None:
        """Show the settings as they are now."""
        self._read_cameras()
        _fill(self.place, places_of(self.document), SPACE)
        self.place.setCurrentText(SPACE)
        self.items = {
            name: item
            for name in names_in(self.document, "Trigger")
            if (item := item_of(self.document.values[f"Trigger {name}"])) is not None
        }
        if self.chosen_name not in self.items:
            self.chosen_name = ""
        self.list.blockSignals(True)
        self.list.clear()
        self.list.addItems(list(self.items))
        names = [*self.items]
        self.list.setCurrentRow(
            names.index(self.chosen_name) if self.chosen_name else -1
        )
        self.list.blockSignals(False)
        self._show_items(self.items)
        self.selected.show_item(self.chosen_name, self.items.get(self.chosen_name))

    def _read_cameras(self) -> None:
        """Read the calibrated cameras again if the settings name others."""
        settings = self.document.settings
        wanted = self.document.path, dict(self.document.values.get("Space", {}))
        if settings is None or wanted == self._read_for:
            # settings with problems elsewhere: the cameras stay
            if self.cameras is None and settings is None:
                self._show_notice("The settings have problems: see page Settings")
            return
        self._read_for = wanted
        try:
            self.cameras = read_space_cameras(settings)
        except SettingsError as error:
            self.cameras = None
            self._show_notice(error.problems[0])
            return
        self._show_notice("")
        _fill(self.shown_camera, list(self.cameras.names), self.cameras.names[0])
        if self.view is not None:
            self.views.removeWidget(self.view)
            self.view.deleteLater()
        self.view = SpaceView(SpaceScene(self.cameras))
        self.views.addWidget(self.view, 1, 1)
        self._look()
        self._choose_camera()

    def _show_notice(self, text: str) -> None:
        self.notice.setText(text)
        self.notice.setVisible(bool(text))
        shown = (self.above, self.upright, self.image, self.view)
        for widget in shown:
            if widget is not None:
                widget.setVisible(not text)
        for button in self.tools.values():
            button.setEnabled(not text)

    def _look(self) -> None:
        """Show the middle of the arena in both views."""
        if self.cameras is None:
            return
        x, y, _ = focus = focus_of(self.cameras)
        radius = radius_of(self.cameras, focus)
        room = _ROOM_SHARE * radius
        height = round_length(_HEIGHT_SHARE * radius)
        self.above.look_at((x, y), (room, room))
        along = x if self.upright.axes == FRONT else y
        self.upright.look_at((along, 0.75 * height), (room, height))
        self.above.heights = self.upright.heights = (0.0, height)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Read the calibration again, which may have changed, and fit the views."""
        super().showEvent(event)
        first = self._read_for is None
        self._read_for = None
        if not first:
            self.refresh()
        self._look()
        self._choose_camera()

    def _show_items(self, items: dict[str, SpaceItem]) -> None:
        """Show items in all views; while one is dragged they differ from the settings."""
        for canvas in (self.above, self.upright):
            canvas.show_items(items, self.chosen_name)
        chosen = items.get(self.chosen_name)
        if isinstance(chosen, VolumeItem):
            self.above.heights = chosen.low, chosen.high
        if self.cameras is None or self.view is None:
            return
        centre, half = plane_square(self.cameras)
        shapes = [
            SpaceShape(name, item.lines(centre, half)) for name, item in items.items()
        ]
        self.view.show_shapes(shapes, self.chosen_name)
        if (camera := self.shown_camera.currentText()) in self.cameras.names:
            seen = self.cameras.camera(camera)
            self.image.space_outlines = outlines_in(shapes, seen)
            self.image.chosen_outline = self.chosen_name
            self.image.update()

    def _show_dragged(self, name: str, item: SpaceItem) -> None:
        self._show_items({**self.items, name: item})

    def _choose(self, name: str) -> None:
        self.chosen_name = name
        self.refresh()

    def _leave(self) -> None:
        if self.place.currentText() != SPACE:
            self.place_chosen.emit(self.place.currentText())

    def _turn(self) -> None:
        """Look from the other side in the lower view."""
        before = self.upright.axes
        self.upright.axes = SIDE if before == FRONT else FRONT
        self.upright.title = _SHOWN[self.upright.axes]
        self.upright.setAccessibleName(self.upright.title)
        self.other_side.setText(_LOOK[before])
        self._look()
        self._show_items(self.items)

    def _use(self, tool: SpaceTool, checked: bool) -> None:
        for other, button in self.tools.items():
            button.setChecked(checked and other == tool)
        for canvas in (self.above, self.upright):
            canvas.use_tool(tool if checked else None)

    def _deselect_tool(self) -> None:
        self._use("box", False)

    def _change(self, name: str, item: SpaceItem) -> None:
        """Write what was dragged, as one change that can be undone."""
        before, text = self.items.get(name), self.document.text
        written = {} if before is None else before.words()
        for key, word in item.words().items():
            if written.get(key) != word:
                text = ini_editing.set_value(text, f"Trigger {name}", key, word)
        self.document.edit(text)
        self.refresh()

    def _make(self, item: SpaceItem) -> None:
        tool = self.above.tool
        self._deselect_tool()
        values = {
            "KIND": _KINDS[type(item)],
            "BODYPARTS": self.selected.choose_parts.usual_part(),
            **item.words(),
        }
        self._add(str(tool), values)

    def _copy(self) -> None:
        name = self.chosen_name
        moved = self.items[name].moved(FRONT, _COPY_MM, _COPY_MM)
        values = dict(self.document.values[f"Trigger {name}"])
        self._add(name, {**values, **moved.words()})

    def _add(self, stem: str, values: dict[str, str]) -> None:
        name = free_name(self.document, "Trigger", stem)
        self.chosen_name = name
        text = ini_editing.add_section(self.document.text, f"Trigger {name}", values)
        self.document.edit(text)
        self._choose(name)

    def _delete(self) -> None:
        title = f"Trigger {self.chosen_name}"
        self.document.edit(ini_editing.remove_section(self.document.text, title))

    def _take_name(self, name: str) -> None:
        self.chosen_name = name

    def _choose_camera(self) -> None:
        """Show the image of another camera, and its floor."""
        camera = self.shown_camera.currentText()
        self.image.camera = camera
        self.image.clear("Start the stream")
        self._floor_for = None
        self.above.show_floor(None, (0, 0), (0, 0))
        self._show_items(self.items)
        frame = self._last_frame(camera)
        if frame is not None:
            self.image.show_image(frame.image, frame.index, None)
            self._show_floor(frame)

    def _renew_floor(self) -> None:
        frame = self._last_frame(self.shown_camera.currentText())
        if frame is not None and self.isVisible():
            self._show_floor(frame)

    def _show_floor(self, frame: Frame) -> None:
        """Show a frame on the floor, as far as the view from above shows it."""
        if self.cameras is None or frame.camera not in self.cameras.names:
            return
        camera = self.cameras.camera(frame.camera)
        height, width = frame.image.shape[:2]
        if any(camera.size) and camera.size != (height, width):
            return  # the calibration is of another size: the checks say so
        least, most = self.above.room
        wanted = (frame.camera, height, width, least, most)
        if self._floor is None or wanted != self._floor_for:
            self._floor = floor_image(camera, (height, width), least, most)
            self._floor_for = wanted
        self._floor_at_s = perf_counter()
        self.above.show_floor(self._floor.of(frame.image), least, most)

    def _show_image(self, frame: Frame, step: Step | None) -> None:
        if frame.camera != self.shown_camera.currentText() or not self.isVisible():
            return
        thresholds = self.bridge.session.state.thresholds
        self.image.threshold = thresholds.of(frame.camera)
        self.image.show_image(frame.image, frame.index, step)
        if perf_counter() - self._floor_at_s >= _FLOOR_S:
            self._show_floor(frame)

    def _take_steps(self, steps: tuple[Step, ...]) -> None:
        """Show the newest pose in space, with the states of its triggers."""
        moments = [step for step in steps if step.space is not None]
        if not moments or not self.isVisible():
            return
        step = moments[-1]
        pose = step.space
        if pose is None or self.view is None:
            return
        self.above.show_points(pose.points)
        self.upright.show_points(pose.points)
        self.image.space_answers = step.space_triggers
        self.view.show_moment(
            SpaceMoment(
                pose.skeleton,
                pose.time_ns,
                np.asarray(pose.points),
                step.space_triggers,
            )
        )

    def _take_status(self, status: object) -> None:
        """Show no body any more after the analysis."""
        if self.bridge.session.state.analysing:
            return
        self.image.space_answers = None
        for canvas in (self.above, self.upright):
            canvas.show_points(None)
        if self.view is not None:
            self.view.clear("No analysis")


def _fill(box: QComboBox, names: list[str], usual: str) -> None:
    """Offer names in a box; the chosen one stays if it is among them."""
    if [box.itemText(at) for at in range(box.count())] == names:
        return
    chosen = box.currentText()
    box.clear()
    box.addItems(names)
    box.setCurrentText(chosen if chosen in names else usual)
