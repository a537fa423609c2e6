"""Regions page: regions, lines and points, drawn on the image; volumes, drawn in space."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import hypot
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt5.QtGui import QShowEvent
from PyQt5.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QStackedLayout,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.frame import Frame, Image
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.space_pose import SPACE
from deeplabstream.engine.session.session_state import Phase, SessionState
from deeplabstream.engine.trigger_shapes import trigger_shapes_of
from deeplabstream.gui.arena_grid import GRID, corners_word, grid_shape
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs import file_dialogs
from deeplabstream.gui.dialogs.program_window import FormWindow
from deeplabstream.gui.dialogs.scale_calibration import Calibrating
from deeplabstream.gui.pages.using_tab import models_of
from deeplabstream.gui.programs import MARKERS
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.shapes import Shape, ShapeKind, shape_of
from deeplabstream.gui.widgets.arena_panel import ArenaPanel
from deeplabstream.gui.widgets.panels import grid_panel
from deeplabstream.gui.widgets.part_choice import PartsButton
from deeplabstream.gui.widgets.region_canvas import RegionCanvas
from deeplabstream.gui.widgets.settings_form import (
    free_name,
    names_in,
    problems_of,
    why_no_name,
)
from deeplabstream.gui.widgets.space_editor import SpaceEditor, places_of
from deeplabstream.gui.widgets.still_image import KINDS, StillImage
from deeplabstream.settings import ini_editing
from deeplabstream.settings.arena_instances import centre_of
from deeplabstream.settings.arenas import ARENAS, SINGLE
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.plate import found_plate
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.text_rewriting import with_name

_SIDE_WIDTH = 310
_TOOLS: tuple[ShapeKind, ...] = (
    "circle",
    "ellipse",
    "rectangle",
    "polygon",
    "ring",
    "line",
    "point",
)
_KINDS = {"line": "LineCrossing", "point": "HeadDirection"}
_NO_IMAGE = "Start the stream, or choose Image …"
_KEEP_NS = 2_000_000_000
"""Age from which the kept frame of a camera is replaced."""
_CORNERS = "later, double-click adds a corner, right-click removes one"
_HOW = (
    "Choose a shape, then drag. Polygon: click the corners, double-click to "
    "close. Drag a region or its handles to change it. Arrow keys move it by 1 "
    "px, with Shift by 10 px."
)
_ARENA_SECTIONS, _POSITIONS = (ARENAS, SINGLE), ("CORNERS", "MARKER_CORNERS", "REGION")
"""Sections and keys that say where arenas are."""
_MOVED = (
    "The arenas were moved to where the plate was found. Undo brings them back to where "
    "they were laid out."
)


class RegionsPage(QWidget):
    """Draws regions, lines and points of triggers; each change can be undone."""

    def __init__(self, bridge: Bridge, document: Document) -> None:
        super().__init__()
        self.bridge = bridge
        self.document = document
        self.camera = QComboBox()
        self.in_image = QWidget()
        """Editor of the regions in the image of a camera."""
        self.in_space: SpaceEditor | None = None
        """Editor of volumes; None: it was not shown yet."""
        self._views = QStackedLayout(self)
        self.canvas = RegionCanvas("")
        self.canvas.around = GRID
        self.list = QListWidget()
        self.list.setObjectName("clear")
        self.name = QLineEdit()
        self.position = QLineEdit()
        self._origin_of_position = QLabel()
        self.parts = QLineEdit()
        self.choose_parts = PartsButton(bridge, document, self.parts)
        self.shelter = QCheckBox("shelter")
        self.problem = QLabel()
        self.problem.setObjectName("problem")
        self.problem.setWordWrap(True)
        self.image = QPushButton("Image …")
        self.image.setToolTip(
            "draw on an image file, or on a frame of a video or of a recorded run, while"
            " no stream runs"
        )
        self.still = StillImage()
        self.image_problem = QLabel()
        self.image_problem.setObjectName("problem")
        self.image_problem.setWordWrap(True)
        self.image_problem.hide()
        self._last: dict[str, Frame] = {}
        """Recent frame of each camera; it stays after the stream has ended."""
        self._rig = document.path
        """Settings file whose cameras have these frames."""
        self.tools: dict[ShapeKind, QPushButton] = {}
        self.copy = QPushButton("Copy")
        self.delete = QPushButton("Delete")
        self.calibrating = Calibrating(document, self.canvas)
        self._found: tuple[Settings, Settings, Settings] | None = None
        """Settings of document and stream, and those of the document where the plate was found."""
        self._used: Settings | None = None
        """Settings of the stream, as they were shown last."""
        self.lay_out = QPushButton("arenas …")
        self.lay_out.setToolTip(
            "wells, tubes or dishes of one camera, each with an animal"
        )
        self.arenas = ArenaPanel(document, self.canvas.grey)
        self.side = QStackedWidget()
        self._tools = QButtonGroup(self)
        self._tools.setExclusive(False)
        self._arrange()
        self._connect()
        self._refresh()

    def cancel(self) -> bool:
        """Deselect the drawing tool; return whether one was selected."""
        if self.in_space is not None and self.in_space.isVisible():
            return self.in_space.cancel()
        drawing = self.canvas.tool is not None
        if self.arranges and drawing:
            self.arenas.use("grid")
        elif drawing:
            self._deselect_tool()
        return drawing

    @property
    def arranges(self) -> bool:
        """Whether arenas are edited, not regions."""
        return self.side.currentWidget() is self.arenas

    def _arrange(self) -> None:
        regions = QWidget()
        side = QVBoxLayout(regions)
        side.setContentsMargins(0, 0, 0, 0)
        side.setSpacing(8)
        panels = (self._drawing(), self._choosing(), self._chosen(), self.calibrating)
        for panel in panels:
            panel.setFixedWidth(_SIDE_WIDTH)
            side.addWidget(panel, 1 if panel.findChild(QListWidget) else 0)
        row = QHBoxLayout(self.in_image)
        row.setContentsMargins(10, 10, 10, 10)
        row.setSpacing(10)
        image = QVBoxLayout()
        image.setSpacing(8)
        image.addWidget(self.canvas, 1)
        image.addWidget(self.image_problem)
        image.addWidget(self.still)
        row.addLayout(image, 1)
        self.arenas.setFixedWidth(_SIDE_WIDTH)
        self.side.addWidget(regions)
        self.side.addWidget(self.arenas)
        self.side.setFixedWidth(_SIDE_WIDTH)
        row.addWidget(self.side)
        self._views.setContentsMargins(0, 0, 0, 0)
        self._views.addWidget(self.in_image)

    def _drawing(self) -> QFrame:
        panel, grid = grid_panel("Draw")
        for place, kind in enumerate(_TOOLS):
            button = QPushButton(kind)
            button.setCheckable(True)
            button.clicked.connect(partial(self._use, kind))
            self._tools.addButton(button)
            if kind == "polygon":
                button.setToolTip(_CORNERS)
            self.tools[kind] = button
            grid.addWidget(button, 1 + place // 3, place % 3)
            grid.setColumnStretch(place % 3, 1)
        grid.addWidget(self.lay_out, 3, 1, 1, 2)
        help_ = QLabel(_HOW)
        help_.setObjectName("caption")
        help_.setWordWrap(True)
        grid.addWidget(help_, 5, 0, 1, 3)
        return panel

    def _choosing(self) -> QFrame:
        panel, grid = grid_panel("Regions in camera")
        self.camera.setToolTip("camera whose image is shown")
        grid.addWidget(self.camera, 1, 0, 1, 2)
        grid.addWidget(self.image, 1, 2)
        grid.addWidget(self.list, 2, 0, 1, 3)
        return panel

    def _chosen(self) -> QFrame:
        panel, grid = grid_panel("Selected region")
        rows = (
            (QLabel("name"), self.name),
            (self._origin_of_position, self.position),
            (QLabel("body parts"), self.parts),
        )
        self.name.setToolTip("name in experiments; a change renames it there too")
        self.parts.setToolTip("all of these must be seen; separated by commas")
        for row, (label, line) in enumerate(rows, start=1):
            grid.addWidget(label, row, 0)
            grid.addWidget(line, row, 1, 1, 2 if line is self.name else 3)
        self.shelter.setToolTip(
            "the camera does not see animals in it; which ones are in it is remembered "
            "([Animals] SHELTERS)"
        )
        # Beside the name: a row of its own does not fit a window of 720 px
        grid.addWidget(self.shelter, 1, 3)
        for column, button in enumerate((self.choose_parts, self.copy, self.delete)):
            grid.addWidget(button, 5, 1 + column)
        grid.addWidget(self.problem, 4, 0, 1, 4)
        return panel

    def _connect(self) -> None:
        self.document.changed.connect(self._refresh)
        self.bridge.imaged.connect(self._show_image)
        self.bridge.status_changed.connect(self._take_status)
        self.image.clicked.connect(self._choose_image)
        self.still.shown.connect(self._show_still)
        self.still.failed.connect(self._show_image_problem)
        self.camera.activated.connect(self._refresh)
        self.list.currentTextChanged.connect(self._choose)
        self.canvas.chosen.connect(self._choose)
        self.canvas.changed.connect(self._change)
        self.canvas.made.connect(self._make)
        self.name.editingFinished.connect(self._rename)
        self.position.editingFinished.connect(self._write_position)
        self.parts.editingFinished.connect(self._write_parts)
        self.choose_parts.changed.connect(self._write_parts)
        self.shelter.clicked.connect(self._set_shelter)
        self.lay_out.clicked.connect(self._lay_out)
        self.arenas.mode_changed.connect(self._show_mode)
        self.arenas.left.connect(self._show_regions)
        self.arenas.print.clicked.connect(self._print_markers)
        self.copy.clicked.connect(self._copy)
        self.delete.clicked.connect(self._delete)

    def _refresh(self) -> None:
        if self._rig != self.document.path:
            self._rig = self.document.path
            self._last.clear()
            self._show_last()
        cameras = places_of(self.document)
        if [self.camera.itemText(at) for at in range(self.camera.count())] != cameras:
            shown = self.camera.currentText()
            self.camera.clear()
            self.camera.addItems(cameras)
            settings = self.bridge.session.settings
            in_space = SPACE in cameras and settings.decides_in_space
            usual = SPACE if in_space else settings.deciding_camera
            self.camera.setCurrentText(shown if shown in cameras else usual)
        if self._shows_space():
            return
        if self.canvas.camera != self.camera.currentText():
            self.canvas.camera = self.camera.currentText()
            self._show_last()
        if self.arranges:
            self.arenas.refresh()
        shapes = self.arenas.shapes() if self.arranges else self._shapes()
        chosen = self.canvas.chosen_name if self.canvas.chosen_name in shapes else ""
        if self.arranges and not chosen and self.arenas.mode == "grid":
            chosen = GRID if GRID in shapes else ""
        self.canvas.muted = self.arenas.muted if self.arranges else frozenset()
        self.list.blockSignals(True)
        self.list.clear()
        self.list.addItems(list(shapes))
        self.list.setCurrentRow(list(shapes).index(chosen) if chosen else -1)
        self.list.blockSignals(False)
        self.canvas.outlines = self._outlines()
        self.canvas.show_shapes(shapes, chosen)
        self.calibrating.refresh()
        self._show_chosen()

    def _shows_space(self) -> bool:
        """Show the editor of volumes if `space` is chosen; return whether it is shown."""
        if self.camera.currentText() != SPACE:
            self._views.setCurrentWidget(self.in_image)
            return False
        if self.in_space is None:
            self.in_space = SpaceEditor(self.bridge, self.document, self._last.get)
            self.in_space.place_chosen.connect(self._show_place)
            self._views.addWidget(self.in_space)
        self.in_space.refresh()
        self._views.setCurrentWidget(self.in_space)
        return True

    def _show_place(self, name: str) -> None:
        self.camera.setCurrentText(name)
        self._refresh()

    def _shapes(self) -> dict[str, Shape]:
        """Return the shapes in the image of the selected camera, by trigger."""
        found = self._grid()
        deciding = self.bridge.session.settings.deciding_camera
        for name in names_in(self.document, "Trigger"):
            values = self.document.values[f"Trigger {name}"]
            if (values.get("CAMERA") or deciding) != self.canvas.camera:
                continue
            scale = self._mm_per_pixel(name)
            for key in ("REGION", "LINE", "POINT"):
                shape = shape_of(key, values.get(key, ""))
                if shape is not None and scale is not None:
                    found[name] = shape.scaled(1 / scale).moved(*self._origin(name))
        return found

    def _grid(self) -> dict[str, Shape]:
        """Return the grid of the arenas in the image of the deciding camera."""
        if self.canvas.camera != self.bridge.session.settings.deciding_camera:
            return {}
        shape = grid_shape(*self._grid_texts())
        return {} if shape is None else {GRID: shape}

    @property
    def _shown_settings(self) -> Settings:
        """The settings of the document, with the arenas where the stream has found the plate."""
        session = self.bridge.session
        settings, used = self.document.settings, session.state.used_settings
        if settings is None:
            return session.settings
        if session.state.phase is Phase.IDLE or used is None:
            return settings
        known = self._found
        if known is None or known[0] is not settings or known[1] is not used:
            known = self._found = settings, used, found_plate(settings, used)
        return known[2]

    def _take_found(self) -> bool:
        """Write the arenas where the plate was found; return whether they were elsewhere.

        Grid and markers must be those of one image: who edits the grid in the present one
        needs the markers of that.
        """
        shown, settings = self._shown_settings, self.document.settings
        if settings is None or shown.plate == settings.plate:
            return False
        text = self.document.text
        for title, values in read_sections(shown.text).texts.items():
            for key in _POSITIONS:
                if key in values and title.startswith(_ARENA_SECTIONS):
                    text = ini_editing.set_value(text, title, key, values[key])
        self.document.edit(text)
        return True

    def _grid_texts(self) -> tuple[str, str, str]:
        """Return ROWS, COLUMNS and CORNERS of the arenas as they are shown."""
        values = self.document.values.get(ARENAS, {})
        if self.document.settings is not None:
            values = read_sections(self._shown_settings.text).texts.get(ARENAS, {})
        return (
            values.get("ROWS", ""),
            values.get("COLUMNS", ""),
            values.get("CORNERS", ""),
        )

    def _outlines(self) -> tuple[NDArray[np.float64], ...]:
        """Return the outlines that are shown only: of arenas, and regions that are not drawn."""
        is_deciding = self.canvas.camera == self.bridge.session.settings.deciding_camera
        if self.arranges:
            return self.arenas.outlines() if is_deciding else ()
        arenas = self._shown_settings.arenas.values() if is_deciding else ()
        return (*(arena.outline() for arena in arenas), *self._bent_outlines())

    def _bent_outlines(self) -> Iterator[NDArray[np.float64]]:
        """Yield the outlines of regions in mm that have another shape in the image."""
        settings = self.document.settings
        if settings is None:
            return
        for shape in trigger_shapes_of(settings, self.canvas.camera):
            is_written = f"Trigger {shape.trigger}" in self.document.values
            if is_written and self._mm_per_pixel(shape.trigger) is None:
                yield shape.outline

    def _origin(self, name: str) -> tuple[float, float]:
        """Return the place of 0 0 of a trigger in the image, px.

        A trigger that is made for each arena is drawn in the first one.
        """
        if not self._is_in_each_arena(name):
            return 0.0, 0.0
        settings = self._shown_settings
        return centre_of(next(iter(settings.arenas.values())))

    def _is_in_each_arena(self, name: str) -> bool:
        """Return whether a trigger is made for each arena."""
        return name in self._shown_settings.in_each_arena

    def _nearest_origin(self, shape: Shape) -> tuple[float, float]:
        """Return the centre of the arena in which a new shape was drawn; 0 0: no arenas."""
        settings = self._shown_settings
        if not settings.arenas:
            return 0.0, 0.0
        x, y = shape.outline().mean(axis=0)
        centres = [centre_of(arena) for arena in settings.arenas.values()]
        return min(centres, key=lambda centre: hypot(centre[0] - x, centre[1] - y))

    def _own(self, name: str, shape: Shape) -> Shape:
        """Return a shape of the image in the unit, and from the origin, of a trigger."""
        x, y = self._origin(name)
        return shape.moved(-x, -y).scaled(self._mm_per_pixel(name) or 1.0)

    def _mm_per_pixel(self, name: str) -> float | None:
        """Return the size of a pixel in a trigger's unit; None: it is not constant.

        A camera with MARKS sees the floor obliquely, a LENS bends it: a region in mm has
        another shape in the image. Such a region is edited in its settings, and only shown.
        """
        if self.document.values[f"Trigger {name}"].get("UNIT", "px").strip() != "mm":
            return 1.0
        values = self.document.values.get(f"Camera {self.canvas.camera}", {})
        if values.get("LENS", "").strip():
            return None
        try:
            scale = float(values.get("MM_PER_PIXEL", ""))
        except ValueError:
            return None
        return scale if scale > 0 else None

    def _lay_out(self) -> None:
        """Show the panel of the arenas, which lie in the image of the deciding camera."""
        self._deselect_tool()
        self.camera.setCurrentText(self.bridge.session.settings.deciding_camera)
        is_moved = self._take_found()
        self.side.setCurrentWidget(self.arenas)
        self.arenas.open()
        if is_moved:
            self.arenas.complain(_MOVED)

    def _show_regions(self) -> None:
        self.side.setCurrentIndex(0)
        self.canvas.movable = True
        self._deselect_tool()
        self._refresh()

    def _print_markers(self) -> None:
        """Open the form of the program that writes a page with markers."""
        models = models_of(self.document)
        FormWindow(MARKERS, self.arenas.printed_markers(), models, self).show()

    def _show_mode(self) -> None:
        """Show the shapes, and use the tool, of the mode of the arena panel."""
        self.canvas.use_tool("rectangle" if self.arenas.mode == "draw" else None)
        self.canvas.movable = self.arenas.mode != "unused"
        self._refresh()

    def _choose(self, name: str) -> None:
        if self.arranges and self.arenas.mode == "unused":
            self.canvas.chosen_name = ""
            self.arenas.click(name)
            return
        self.canvas.chosen_name = name
        self._refresh()

    def _show_chosen(self) -> None:
        name = self.canvas.chosen_name
        title, key = self._place_of(name)
        values = self.document.values.get(title, {})
        shape = self.canvas.shapes.get(name)
        self.name.setText(name)
        self.position.setText(values.get(key, "") if shape else "")
        self.position.setCursorPosition(0)  # a long one is cut at its end
        is_in_arenas = self._is_in_each_arena(name)
        self._origin_of_position.setText("all arenas" if is_in_arenas else "position")
        self.position.setToolTip(
            "the same in each arena, drawn in the first one; as in the settings: px from "
            "the middle of the arena"
            if is_in_arenas
            else "as in the settings; px from the upper left corner"
        )
        self.parts.setText(values.get("BODYPARTS", ""))
        problems = problems_of(self.document.problems, title)
        self.problem.setText("\n".join(f"{key}: {problems[key]}" for key in problems))
        fields = (self.name, self.position, self.parts, self.choose_parts)
        for widget in (*fields, self.copy, self.delete):
            widget.setEnabled(bool(name) and name != GRID)
        self.position.setEnabled(bool(name))
        is_region = shape is not None and shape.key == "REGION" and name != GRID
        self.shelter.setEnabled(is_region)
        self.shelter.setChecked(name in self._shelters())

    def _place_of(self, name: str) -> tuple[str, str]:
        """Return section and key of a shape."""
        if name == GRID:
            return ARENAS, "CORNERS"
        shape = self.canvas.shapes.get(name)
        return f"Trigger {name}", "" if shape is None else shape.key

    def _use(self, kind: ShapeKind, checked: bool) -> None:
        self.calibrating.waiting = ""
        for other, button in self.tools.items():
            button.setChecked(checked and other == kind)
        self.canvas.use_tool(kind if checked else None)

    def _deselect_tool(self) -> None:
        self.calibrating.waiting = ""
        for button in self.tools.values():
            button.setChecked(False)
        self.canvas.use_tool(None)

    def _change(self, name: str, shape: Shape) -> None:
        if self.arranges:
            self._change_arena(name, shape)
            return
        title, key = self._place_of(name)
        if name == GRID:
            self._take_found()
        try:
            word = (
                corners_word(shape, *self._grid_texts())
                if name == GRID
                else self._own(name, shape).word
            )
        except ValueError as error:
            # the outline before the change is shown again
            self._refresh()
            self.problem.setText(str(error))
        else:
            self.document.set_value(title, key, word)

    def _change_arena(self, name: str, shape: Shape) -> None:
        try:
            self.arenas.change(name, shape)
        except ValueError as error:
            self._refresh()
            self.arenas.complain(str(error))

    def _make(self, shape: Shape) -> None:
        if self.arranges:
            self.arenas.draw(shape)
            return
        if self.calibrating.take(shape):
            return
        self._deselect_tool()
        values = {"KIND": _KINDS.get(shape.kind, "InsideRegion")}
        values["BODYPARTS"] = self.choose_parts.usual_part()
        if self.canvas.camera != self.bridge.session.settings.deciding_camera:
            values["CAMERA"] = self.canvas.camera
        x, y = self._nearest_origin(shape)
        values[shape.key] = shape.moved(-x, -y).word
        self._add(shape.kind, values)

    def _copy(self) -> None:
        name = self.canvas.chosen_name
        shape = self.canvas.shapes[name]
        values = dict(self.document.values[f"Trigger {name}"])
        values[shape.key] = self._own(name, shape.moved(20, 20)).word
        self._add(name, values)

    def _add(self, stem: str, values: dict[str, str]) -> None:
        name = free_name(self.document, "Trigger", stem)
        self.canvas.chosen_name = name
        text = ini_editing.add_section(self.document.text, f"Trigger {name}", values)
        self.document.edit(text)
        self._choose(name)

    def _delete(self) -> None:
        name = self.canvas.chosen_name
        text = ini_editing.remove_section(self.document.text, f"Trigger {name}")
        if name in self._shelters():
            text = _with_shelters(text, [n for n in self._shelters() if n != name])
        self.document.edit(text)

    def _shelters(self) -> list[str]:
        """Return the names of the regions that are shelters."""
        words = self.document.values.get("Animals", {}).get("SHELTERS", "").split(",")
        return [word.strip() for word in words if word.strip()]

    def _set_shelter(self, chosen: bool) -> None:
        """Make the selected region a shelter, or an ordinary region."""
        name = self.canvas.chosen_name
        others = [other for other in self._shelters() if other != name]
        names = [*others, name] if chosen else others
        self.document.edit(_with_shelters(self.document.text, names))

    def _rename(self) -> None:
        old, new = self.canvas.chosen_name, " ".join(self.name.text().split())
        why = why_no_name(self.document, "Trigger", new, old) if old else ""
        if old == GRID:
            return
        if old and not why and new != old:
            self.canvas.chosen_name = new
            text = with_name(self.document.text, f"Trigger {old}", new)
            self.document.edit(text)
        self._show_chosen()
        if why:
            self.problem.setText(why)

    def _write_position(self) -> None:
        name = self.canvas.chosen_name
        if name in self.canvas.shapes and self.position.text().strip():
            title, key = self._place_of(name)
            self.document.set_value(title, key, self.position.text())

    def _write_parts(self) -> None:
        name = self.canvas.chosen_name
        if name and name != GRID:
            parts = self.parts.text().strip() or None
            self.document.set_value(f"Trigger {name}", "BODYPARTS", parts)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Show the last frame of a stream that ended while the page was hidden."""
        super().showEvent(event)
        if self.canvas.place is None:
            self._show_last()

    def _show_last(self) -> None:
        """Show the last frame of the camera, if there was a stream."""
        self.still.clear()
        self.image_problem.hide()
        last = self._last.get(self.canvas.camera)
        self.canvas.clear(_NO_IMAGE)
        if last is not None:
            self.canvas.show_image(last.image, last.index, None)

    def _choose_image(self) -> None:
        """Show an image file, or a frame of a video, that the user chooses."""
        settings = self.document.settings
        start = "" if settings is None else str(settings.output_directory)
        title = "Choose an image or a video, such as that of a run"
        if name := file_dialogs.open_file(self, title, start, KINDS):
            self.still.open(Path(name))

    def _show_still(self, image: Image, index: int | None) -> None:
        """Show a still image; tell if its size is not that of the camera's frames."""
        self.canvas.figures = "" if self.still.file is None else self.still.file.name
        self.canvas.show_image(image, index, None)
        camera, shape = self.canvas.camera, image.shape[:2]
        known = self._shape_of(camera)
        self.image_problem.setVisible(known is not None and known != shape)
        if known is not None and known != shape:
            self._show_image_problem(
                f"The image has {shape[1]} × {shape[0]} px, frames of [Camera {camera}] "
                f"{known[1]} × {known[0]}: regions would lie elsewhere."
            )

    def _shape_of(self, camera: str) -> tuple[int, ...] | None:
        """Return height and width of a camera's frames; None: not known before a stream."""
        form = self.bridge.session.state.formats.get(camera)
        if form is not None:
            return form.shape[:2]
        last = self._last.get(camera)
        return None if last is None else last.image.shape[:2]

    def _show_image_problem(self, text: str) -> None:
        self.image_problem.setText(text)
        self.image_problem.show()

    def _take_status(self, status: SessionState) -> None:
        idle = status.phase is Phase.IDLE
        self.image.setEnabled(idle)
        if not idle:
            self.still.clear()
            self.image_problem.hide()
            self.canvas.figures = ""
        if status.used_settings is not self._used:
            # the stream has found the plate
            self._used = status.used_settings
            self._refresh()

    def finish(self) -> None:
        """End the thread that decodes frames."""
        self.still.finish()

    @property
    def running(self) -> str:
        """Always empty: closing loses nothing."""
        return ""

    def _keep(self, frame: Frame) -> None:
        """Keep a copy of a frame, once in a while: a copy of every frame would cost time."""
        kept = self._last.get(frame.camera)
        if kept is None or abs(frame.time_ns - kept.time_ns) >= _KEEP_NS:
            self._last[frame.camera] = replace(frame, image=frame.image.copy())

    def _show_image(self, frame: Frame, step: Step | None) -> None:
        self._keep(frame)
        if frame.camera == self.canvas.camera and self.isVisible():
            self.canvas.threshold = self.bridge.session.state.thresholds.of(
                frame.camera
            )
            self.canvas.show_image(frame.image, frame.index, step)


def _with_shelters(text: str, names: list[str]) -> str:
    """Return the settings with these shelters."""
    word = ", ".join(names) or None
    return ini_editing.set_value(text, "Animals", "SHELTERS", word)
