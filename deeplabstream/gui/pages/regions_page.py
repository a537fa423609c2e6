"""Regions page: regions, lines and points, drawn on the image."""

from functools import partial

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Frame
from deeplabstream.core.journal_entries import Step
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.dialogs.scale_calibration import Calibrating
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.shapes import Shape, ShapeKind, shape_of
from deeplabstream.gui.widgets.region_canvas import RegionCanvas
from deeplabstream.gui.widgets.settings_form import (
    free_name,
    names_in,
    problems_of,
    why_no_name,
)
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model
from deeplabstream.settings import ini_editing
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
_CORNERS = "later, double-click adds a corner, right-click removes one"
_HOW = (
    "Choose a shape, then drag. Polygon: click the corners, double-click to "
    "close. Drag a region or its handles to change it. Arrow keys move it by 1 "
    "px, with Shift by 10 px."
)


class RegionsPage(QWidget):
    """Draws the places of triggers, each change a step that can be undone."""

    def __init__(self, bridge: Bridge, document: Document) -> None:
        super().__init__()
        self.bridge = bridge
        self.document = document
        self.camera = QComboBox()
        self.canvas = RegionCanvas("")
        self.list = QListWidget()
        self.list.setObjectName("clear")
        self.name = QLineEdit()
        self.place = QLineEdit()
        self.parts = QLineEdit()
        self.choose_parts = QPushButton("Parts")
        self.problem = QLabel()
        self.problem.setObjectName("problem")
        self.problem.setWordWrap(True)
        self.tools: dict[ShapeKind, QPushButton] = {}
        self.copy = QPushButton("Copy")
        self.delete = QPushButton("Delete")
        self.calibrating = Calibrating(document, self.canvas)
        self._tools = QButtonGroup(self)
        self._tools.setExclusive(False)
        self._arrange()
        self._connect()
        self._refresh()

    def cancel(self) -> bool:
        """Put the drawing tool away; return whether there was one."""
        drawing = self.canvas.tool is not None
        if drawing:
            self._put_tool_away()
        return drawing

    def _arrange(self) -> None:
        side = QVBoxLayout()
        side.setSpacing(8)
        panels = (self._drawing(), self._choosing(), self._chosen(), self.calibrating)
        for panel in panels:
            panel.setFixedWidth(_SIDE_WIDTH)
            side.addWidget(panel, 1 if panel.findChild(QListWidget) else 0)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 10, 10, 10)
        row.setSpacing(10)
        row.addWidget(self.canvas, 1)
        row.addLayout(side)

    def _drawing(self) -> QFrame:
        panel, grid = _panel("Draw")
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
        help_ = QLabel(_HOW)
        help_.setObjectName("caption")
        help_.setWordWrap(True)
        grid.addWidget(help_, 5, 0, 1, 3)
        return panel

    def _choosing(self) -> QFrame:
        panel, grid = _panel("Regions in camera")
        self.camera.setToolTip("camera whose image is shown")
        grid.addWidget(self.camera, 1, 0, 1, 3)
        grid.addWidget(self.list, 2, 0, 1, 3)
        return panel

    def _chosen(self) -> QFrame:
        panel, grid = _panel("Selected region")
        rows = (("name", self.name), ("place", self.place), ("body parts", self.parts))
        self.name.setToolTip("name in experiments; they follow when it changes")
        self.place.setToolTip("as in the settings; px from the upper left corner")
        self.parts.setToolTip("all of these must be seen; separated by commas")
        for row, (text, line) in enumerate(rows, start=1):
            grid.addWidget(QLabel(text), row, 0)
            grid.addWidget(line, row, 1, 1, 3)
        for column, button in enumerate((self.choose_parts, self.copy, self.delete)):
            grid.addWidget(button, 5, 1 + column)
        grid.addWidget(self.problem, 4, 0, 1, 4)
        self.choose_parts.setToolTip("choose from the body parts of the network")
        menu = QMenu(self)
        menu.aboutToShow.connect(partial(self._list_parts, menu))
        self.choose_parts.setMenu(menu)
        return panel

    def _list_parts(self, menu: QMenu) -> None:
        """Offer the body parts of the network, those that the trigger has ticked."""
        menu.clear()
        has = [part.strip() for part in self.parts.text().split(",") if part.strip()]
        for part in self._known_parts():
            if (action := menu.addAction(part)) is not None:
                action.setCheckable(True)
                action.setChecked(part in has)
                action.triggered.connect(partial(self._toggle_part, part))
        if menu.isEmpty() and (action := menu.addAction("no network")) is not None:
            action.setEnabled(False)

    def _known_parts(self) -> tuple[str, ...]:
        skeleton = self.bridge.session.state.skeleton
        settings = self.document.settings
        if skeleton is None and settings is not None:
            try:
                skeleton = load_model_folder(find_model(settings.model)).skeleton
            except DeepLabStreamError:
                return ()
        return () if skeleton is None else skeleton.bodyparts

    def _toggle_part(self, part: str, chosen: bool) -> None:
        has = [each.strip() for each in self.parts.text().split(",") if each.strip()]
        has = [each for each in has if each != part]
        self.parts.setText(", ".join([*has, part] if chosen else has))
        self._write_parts()

    def _connect(self) -> None:
        self.document.changed.connect(self._refresh)
        self.bridge.imaged.connect(self._show_image)
        self.camera.activated.connect(self._refresh)
        self.list.currentTextChanged.connect(self._choose)
        self.canvas.chosen.connect(self._choose)
        self.canvas.changed.connect(self._change)
        self.canvas.made.connect(self._make)
        self.name.editingFinished.connect(self._rename)
        self.place.editingFinished.connect(self._write_place)
        self.parts.editingFinished.connect(self._write_parts)
        self.copy.clicked.connect(self._copy)
        self.delete.clicked.connect(self._delete)

    def _refresh(self) -> None:
        cameras = names_in(self.document, "Camera")
        if [self.camera.itemText(at) for at in range(self.camera.count())] != cameras:
            shown = self.camera.currentText()
            self.camera.clear()
            self.camera.addItems(cameras)
            deciding = self.bridge.session.settings.deciding_camera
            wanted = shown if shown in cameras else deciding
            self.camera.setCurrentText(wanted)
        if self.canvas.camera != self.camera.currentText():
            self.canvas.camera = self.camera.currentText()
            self.canvas.clear("Start the stream to see the image")
        shapes = self._shapes()
        chosen = self.canvas.chosen_name if self.canvas.chosen_name in shapes else ""
        self.list.blockSignals(True)
        self.list.clear()
        self.list.addItems(list(shapes))
        self.list.setCurrentRow(list(shapes).index(chosen) if chosen else -1)
        self.list.blockSignals(False)
        self.canvas.show_shapes(shapes, chosen)
        self.calibrating.refresh()
        self._show_chosen()

    def _shapes(self) -> dict[str, Shape]:
        """Return what is drawn in this camera's image, by trigger."""
        found = {}
        deciding = self.bridge.session.settings.deciding_camera
        for name in names_in(self.document, "Trigger"):
            words = self.document.words[f"Trigger {name}"]
            if (words.get("CAMERA") or deciding) != self.canvas.camera:
                continue
            scale = self._mm_per_pixel(name)
            for key in ("REGION", "LINE", "POINT"):
                shape = shape_of(key, words.get(key, ""))
                if shape is not None and scale is not None:
                    found[name] = shape.scaled(1 / scale)
        return found

    def _mm_per_pixel(self, name: str) -> float | None:
        """Return the size of a pixel in a trigger's unit; None: its floor is seen aslant.

        A region in mm of a camera with MARKS has another shape in the image. It is edited
        in its settings, not drawn.
        """
        if self.document.words[f"Trigger {name}"].get("UNIT", "px").strip() != "mm":
            return 1.0
        words = self.document.words.get(f"Camera {self.canvas.camera}", {})
        try:
            scale = float(words.get("MM_PER_PIXEL", ""))
        except ValueError:
            return None
        return scale if scale > 0 else None

    def _choose(self, name: str) -> None:
        self.canvas.chosen_name = name
        self._refresh()

    def _show_chosen(self) -> None:
        name = self.canvas.chosen_name
        words = self.document.words.get(f"Trigger {name}", {})
        shape = self.canvas.shapes.get(name)
        self.name.setText(name)
        self.place.setText(words.get(shape.key, "") if shape else "")
        self.parts.setText(words.get("BODYPARTS", ""))
        told = problems_of(self.document.problems, f"Trigger {name}")
        self.problem.setText("\n".join(f"{key}: {told[key]}" for key in told))
        fields = (self.name, self.place, self.parts, self.choose_parts)
        for widget in (*fields, self.copy, self.delete):
            widget.setEnabled(bool(name))

    def _use(self, kind: ShapeKind, checked: bool) -> None:
        self.calibrating.waiting = ""
        for other, button in self.tools.items():
            button.setChecked(checked and other == kind)
        self.canvas.use_tool(kind if checked else None)

    def _put_tool_away(self) -> None:
        self.calibrating.waiting = ""
        for button in self.tools.values():
            button.setChecked(False)
        self.canvas.use_tool(None)

    def _change(self, name: str, shape: Shape) -> None:
        scaled = shape.scaled(self._mm_per_pixel(name) or 1.0)
        self.document.set_word(f"Trigger {name}", shape.key, scaled.word)

    def _make(self, shape: Shape) -> None:
        if self.calibrating.take(shape):
            return
        self._put_tool_away()
        words = {"KIND": _KINDS.get(shape.kind, "InsideRegion")}
        words["BODYPARTS"] = self._usual_part()
        if self.canvas.camera != self.bridge.session.settings.deciding_camera:
            words["CAMERA"] = self.canvas.camera
        words[shape.key] = shape.word
        self._add(shape.kind, words)

    def _copy(self) -> None:
        name = self.canvas.chosen_name
        shape = self.canvas.shapes[name]
        words = dict(self.document.words[f"Trigger {name}"])
        scale = self._mm_per_pixel(name) or 1.0
        words[shape.key] = shape.moved(20, 20).scaled(scale).word
        self._add(name, words)

    def _add(self, stem: str, words: dict[str, str]) -> None:
        name = free_name(self.document, "Trigger", stem)
        self.canvas.chosen_name = name
        text = ini_editing.add_section(self.document.text, f"Trigger {name}", words)
        self.document.edit(text)
        self._choose(name)

    def _usual_part(self) -> str:
        if known := self._known_parts():
            return known[0]
        triggers = [t for t in self.document.words if t.startswith("Trigger ")]
        used = (self.document.words[title].get("BODYPARTS") for title in triggers)
        return next((parts for parts in used if parts), "")

    def _delete(self) -> None:
        title = f"Trigger {self.canvas.chosen_name}"
        self.document.edit(ini_editing.remove_section(self.document.text, title))

    def _rename(self) -> None:
        old, new = self.canvas.chosen_name, " ".join(self.name.text().split())
        why = why_no_name(self.document, "Trigger", new, old) if old else ""
        if old and not why and new != old:
            self.canvas.chosen_name = new
            text = with_name(self.document.text, f"Trigger {old}", new)
            self.document.edit(text)
        self._show_chosen()
        if why:
            self.problem.setText(why)

    def _write_place(self) -> None:
        name = self.canvas.chosen_name
        if name in self.canvas.shapes and self.place.text().strip():
            key = self.canvas.shapes[name].key
            self.document.set_word(f"Trigger {name}", key, self.place.text())

    def _write_parts(self) -> None:
        if name := self.canvas.chosen_name:
            words = self.parts.text().strip() or None
            self.document.set_word(f"Trigger {name}", "BODYPARTS", words)

    def _show_image(self, frame: Frame, step: Step | None) -> None:
        if frame.camera == self.canvas.camera and self.isVisible():
            self.canvas.threshold = self.bridge.session.state.thresholds.of(
                frame.camera
            )
            self.canvas.show_image(frame.image, frame.index, step)


def _panel(title: str) -> tuple[QFrame, QGridLayout]:
    panel = QFrame()
    panel.setObjectName("panel")
    grid = QGridLayout(panel)
    grid.setContentsMargins(12, 8, 12, 10)
    grid.setSpacing(6)
    label = QLabel(title.upper())
    label.setObjectName("title")
    grid.addWidget(label, 0, 0, 1, 3, Qt.AlignmentFlag.AlignTop)
    grid.setColumnStretch(1, 1)
    return panel, grid
