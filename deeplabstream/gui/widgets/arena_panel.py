"""Arena panel: a grid of arenas drawn over the image, single and unused arenas, markers."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.core.regions import Region, parse_region
from deeplabstream.gui.arena_grid import GRID, corners_word, grid_shape
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.shapes import Shape, shape_of
from deeplabstream.gui.widgets.panels import grid_panel
from deeplabstream.pose.plate_markers import (
    corners_of_plate,
    find_markers,
    markers_in_order,
)
from deeplabstream.settings.arena_geometry import MOST_COLUMNS, MOST_ROWS
from deeplabstream.settings.arena_layout import (
    gap_of,
    lacks_outputs,
    with_grid,
    with_outputs,
    with_unused,
)
from deeplabstream.settings.arenas import ARENAS, SINGLE, Arenas
from deeplabstream.settings.fields import Section
from deeplabstream.settings.ini_editing import set_value
from deeplabstream.settings.plate import points_word

Mode = Literal["grid", "draw", "single", "unused"]
_MODES: dict[Mode, tuple[str, str]] = {
    "draw": (
        "Draw the grid",
        "Enter rows and columns, then drag from the middle of the first arena (A1, upper "
        "left) to that of the last one.",
    ),
    "grid": (
        "Move corners",
        "Drag the corners of the grid onto the middles of the outer arenas. Arrow keys "
        "move it by 1 px, with Shift by 10 px.",
    ),
    "single": (
        "Move one arena",
        "Drag an arena, or its handles. It then no longer follows the grid.",
    ),
    "unused": (
        "Click unused",
        "Click each arena without an animal; click again to use it.",
    ),
}
_USUAL_GAP_PX = 4.0


class ArenaPanel(QWidget):
    """Edits the arenas of a settings document; the canvas shows `shapes`."""

    mode_changed = pyqtSignal()
    """The canvas must show other shapes, or use another tool."""
    left = pyqtSignal()
    """The user goes back to the regions."""

    def __init__(self, document: Document, image: Callable[[], Image | None]) -> None:
        super().__init__()
        self.document = document
        self._image = image
        self.mode: Mode = "grid"
        self.rows, self.columns = QSpinBox(), QSpinBox()
        self.rows.setRange(1, MOST_ROWS)
        self.columns.setRange(1, MOST_COLUMNS)
        self.shape = QComboBox()
        self.shape.addItems(["round", "rectangular"])
        self.gap = QDoubleSpinBox()
        self.gap.setRange(0, 1000)
        self.gap.setDecimals(1)
        self.gap.setSuffix(" px")
        self.unused = QLineEdit()
        self.unused.setPlaceholderText("none")
        self.modes: dict[Mode, QPushButton] = {}
        self.how, self.problem = QLabel(), QLabel()
        self.outputs = QPushButton("Outputs for all arenas")
        self.markers = QPushButton("Find markers")
        self.no_markers = QPushButton("No markers")
        self.print = QPushButton("Print markers …")
        self.found = QLabel()
        self.back = QPushButton("Back to regions")
        self._group = QButtonGroup(self)
        self._arrange()
        self._connect()
        self._set_usual()

    def _arrange(self) -> None:
        for label in (self.how, self.problem, self.found):
            label.setWordWrap(True)

        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._arenas_panel())
        column.addWidget(self._markers_panel())
        column.addStretch(1)
        column.addWidget(self.back)

    def _arenas_panel(self) -> QFrame:
        """Return the panel with the grid, what the mouse does, and the outputs."""
        panel, grid = grid_panel("Arenas (wells)")
        rows = (
            ("rows", self.rows, "named A, B, C … from above"),
            ("columns", self.columns, "numbered 1, 2, 3 … from the left"),
            ("shape", self.shape, "of each arena"),
            ("gap", self.gap, "between neighbouring arenas, px of the image"),
            ("unused", self.unused, "arenas without an animal, such as A3, B7"),
        )
        for row, (text, field, tip) in enumerate(rows, start=1):
            field.setToolTip(tip)
            grid.addWidget(QLabel(text), row, 0)
            grid.addWidget(field, row, 1, 1, 2)

        for place, (mode, (text, _)) in enumerate(_MODES.items()):
            button = QPushButton(text)
            button.setCheckable(True)
            button.clicked.connect(partial(self.use, mode))
            self._group.addButton(button)
            self.modes[mode] = button
            first = (0, 1)[place % 2]
            grid.addWidget(button, 6 + place // 2, first, 1, 1 + first)

        self.how.setObjectName("caption")
        self.problem.setObjectName("problem")
        grid.addWidget(self.how, 8, 0, 1, 3)
        grid.addWidget(self.problem, 9, 0, 1, 3)

        self.outputs.setToolTip(
            "makes each output once for each arena, as copies of the first one; then enter "
            "the port and pin of each on the page Settings"
        )
        grid.addWidget(self.outputs, 10, 0, 1, 3)
        return panel

    def _markers_panel(self) -> QFrame:
        """Return the panel with the markers by which the arenas are found again."""
        panel, grid = grid_panel("Markers on the plate")
        self.markers.setToolTip(
            "four ArUco markers at the corners of the plate: the arenas are then found "
            "again when it was taken out and put back"
        )
        self.print.setToolTip("writes a page with four markers to cut out, PDF or PNG")
        self.found.setObjectName("caption")
        grid.addWidget(self.markers, 1, 0)
        grid.addWidget(self.no_markers, 1, 1, 1, 2)
        grid.addWidget(self.print, 2, 0)
        grid.addWidget(self.found, 3, 0, 1, 3)
        return panel

    def _connect(self) -> None:
        for box in (self.rows, self.columns):
            box.editingFinished.connect(self._write)
        self.gap.editingFinished.connect(self._write)
        self.shape.activated.connect(self._write)
        self.unused.editingFinished.connect(self._write_unused)
        self.outputs.clicked.connect(self._add_outputs)
        self.markers.clicked.connect(self.find_markers)
        self.no_markers.clicked.connect(self._remove_markers)
        self.back.clicked.connect(self.left)

    def _set_usual(self) -> None:
        self.rows.setValue(6)
        self.columns.setValue(8)
        self.gap.setValue(_USUAL_GAP_PX)

    # --- what is shown

    @property
    def plate(self) -> Arenas | None:
        """The section of the grid; None: there is no grid, or it is not valid.

        Other sections may have problems: a new grid needs outputs, which come later.
        """
        texts = self.document.values.get(ARENAS, {})
        section = Section[Arenas](ARENAS, Arenas, texts, self.document.path.parent)
        maker = section.maker(lambda key: None)
        return maker() if maker is not None and maker().rows else None

    def outlines(self) -> tuple[NDArray[np.float64], ...]:
        """Return the outlines of the arenas that are used; none if they are drawn as shapes."""
        plate = self.plate
        if plate is None or self.mode in ("single", "unused"):
            return ()
        return tuple(region.outline() for region in self._regions(plate).values())

    def _regions(self, plate: Arenas, *, unused: bool = False) -> dict[str, Region]:
        """Return the arenas by name, also those that are unused."""
        single = {}
        for title, texts in self.document.values.items():
            with suppress(ValueError):
                if title.startswith(SINGLE):
                    region = parse_region(texts.get("REGION", ""))
                    single[title.removeprefix(SINGLE)] = region
        found = {**plate.grid, **single}
        return {it: found[it] for it in found if unused or it not in plate.unused}

    @property
    def _texts(self) -> tuple[str, str, str]:
        """ROWS, COLUMNS and CORNERS."""
        values = self.document.values.get(ARENAS, {})
        return (
            values.get("ROWS", ""),
            values.get("COLUMNS", ""),
            values.get("CORNERS", ""),
        )

    def open(self) -> None:
        """Show the grid of the settings, or let one be drawn."""
        self.use("grid" if self._texts[2] else "draw")

    def use(self, mode: Mode, _checked: bool = True) -> None:
        """Select what the mouse does."""
        self.mode = mode
        self.refresh()
        self.mode_changed.emit()

    def refresh(self) -> None:
        """Show the settings."""
        values = self.document.values.get(ARENAS, {})
        corners = self._texts[2]
        self._show_grid(values.get("SHAPE", ""))
        self.unused.setText(values.get("UNUSED", ""))

        self.modes[self.mode].setChecked(True)
        for mode in ("grid", "single", "unused"):
            self.modes[mode].setEnabled(bool(corners))
        self.how.setText(_MODES[self.mode][1])

        problems = self.document.problems if corners else []
        shown = [it for it in problems if "Arena" in it or "arena" in it]
        self.problem.setText("\n".join(shown[:2]))
        self.problem.setVisible(bool(shown))
        self.outputs.setVisible(lacks_outputs(self.document.text, self._names()))

        numbers = values.get("MARKERS", "")
        self.markers.setEnabled(bool(corners))
        self.no_markers.setVisible(bool(numbers))
        self.found.setText(
            f"Markers {numbers}: found again at the start of each stream."
            if numbers
            else "None: the plate stays where it is."
        )

    def _show_grid(self, shape: str) -> None:
        """Show size and gap of the grid, and the shape of its arenas, where they are known."""
        rows, columns, corners = self._texts
        if rows.isdigit() and columns.isdigit():
            self.rows.setValue(int(rows))
            self.columns.setValue(int(columns))
        if shape:
            self.shape.setCurrentText(
                "rectangular" if shape.startswith("rectangle") else "round"
            )
            # the problem of an invalid grid is shown below
            with suppress(ValueError):
                self.gap.setValue(gap_of(int(rows), int(columns), corners, shape))

    def _names(self) -> list[str]:
        """Return the arenas that are used; none: there is no valid grid."""
        plate = self.plate
        return [] if plate is None else list(self._regions(plate))

    def shapes(self) -> dict[str, Shape]:
        """Return the shapes that the canvas shows: the grid, or each arena."""
        plate = self.plate
        if self.mode in ("grid", "draw") or plate is None:
            shape = grid_shape(*self._texts)
            return {} if shape is None else {GRID: shape}
        regions = self._regions(plate, unused=self.mode == "unused")
        found = {name: shape_of("REGION", str(it)) for name, it in regions.items()}
        return {name: shape for name, shape in found.items() if shape is not None}

    def _unused(self) -> list[str]:
        words = self.document.values.get(ARENAS, {}).get("UNUSED", "").split(",")
        return [word.strip() for word in words if word.strip()]

    @property
    def muted(self) -> frozenset[str]:
        """Names of the shapes that are shown as unused."""
        return frozenset(self._unused())

    # --- what the user does

    def draw(self, shape: Shape) -> None:
        """Lay out a grid from a rectangle between the middles of the first and last arena."""
        x, y, width, height = shape.numbers
        corners = [(x, y), (x + width, y + height)]
        if self._edit_grid(points_word(np.round(np.array(corners), 1))):
            self.use("grid")

    def change(self, name: str, shape: Shape) -> None:
        """Write the grid, or an arena, that was moved; ValueError: it is not possible."""
        if name == GRID:
            word = corners_word(shape, *self._texts)
            self._edit_grid(word)
        else:
            self.document.set_value(f"{SINGLE}{name}", "REGION", shape.word)

    def click(self, name: str) -> None:
        """Make an arena unused, or used again, if that is what clicks do."""
        if self.mode != "unused" or not name or name == GRID:
            return
        unused = self._unused()
        others = [other for other in unused if other != name]
        self._edit_unused(others if name in unused else [*unused, name])

    def _write(self) -> None:
        corners = self._texts[2]
        if corners:
            self._edit_grid(corners)

    def _edit_grid(self, corners: str) -> bool:
        """Write the grid; return whether it is valid."""
        try:
            text = with_grid(
                self.document.text,
                self.rows.value(),
                self.columns.value(),
                corners,
                is_round=self.shape.currentIndex() == 0,
                gap=self.gap.value(),
            )
        except ValueError as error:
            self.complain(str(error))
            return False
        if text != self.document.text:
            self.document.edit(text)
        return True

    def _write_unused(self) -> None:
        words = self.unused.text().upper().split(",")
        self._edit_unused([word.strip() for word in words if word.strip()])

    def _edit_unused(self, names: list[str]) -> None:
        text = with_unused(self.document.text, names)
        if text != self.document.text:
            self.document.edit(text)

    def _add_outputs(self) -> None:
        self.document.edit(with_outputs(self.document.text, self._names()))

    def find_markers(self) -> None:
        """Write the markers that the shown image has; complain if they are not four."""
        image, values = self._image(), self.document.values.get(ARENAS, {})
        if image is None:
            self.complain("No image: start the stream, or choose Image …")
            return
        try:
            found = find_markers(image, values.get("DICTIONARY", Arenas().dictionary))
            numbers = markers_in_order(found)
            corners = np.concatenate(corners_of_plate(found, numbers))
        except DeepLabStreamError as error:
            self.complain(str(error))
            return
        words = {
            "MARKERS": ", ".join(map(str, numbers)),
            "MARKER_CORNERS": points_word(corners),
        }
        text = self.document.text
        for key, word in words.items():
            text = set_value(text, ARENAS, key, word)
        self.document.edit(text)

    def printed_markers(self) -> dict[str, list[str]]:
        """Return the options of PrintMarkers: the markers of the settings, if there are some."""
        values = self.document.values.get(ARENAS, {})
        options = {"--markers": "MARKERS", "--dictionary": "DICTIONARY"}
        return {
            option: [values[key].replace(" ", "")]
            for option, key in options.items()
            if values.get(key)
        }

    def _remove_markers(self) -> None:
        text = self.document.text
        for key in ("MARKERS", "MARKER_CORNERS"):
            text = set_value(text, ARENAS, key, None)
        self.document.edit(text)

    def complain(self, text: str) -> None:
        """Show why something is not possible."""
        self.problem.setText(text)
        self.problem.show()
