"""Run regions: show, draw and save regions and points of a recorded run."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from deeplabstream.analysis.region_list import (
    PlacesOfRun,
    PointOfInterest,
    RegionOfInterest,
    change_places,
)
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.regions import parse_region
from deeplabstream.files.exclusive_writing import WINDOW_PATIENCE_S
from deeplabstream.gui.results_process import RunMeasures
from deeplabstream.gui.shapes import Shape, ShapeKind, shape_of
from deeplabstream.gui.undo_history import History
from deeplabstream.gui.widgets.panels import Panel
from deeplabstream.gui.widgets.region_canvas import RegionCanvas

_SIDE_WIDTH = 230  # px
_TOOLS: tuple[ShapeKind, ...] = (
    *("circle", "ellipse", "rectangle"),
    *("polygon", "ring", "point"),
)
_HOW = (
    "Choose a shape, then drag. Regions of triggers can't be changed here. Drawn regions "
    "are used for the animal's position, and saved in regions.json of the run folder."
)
_FIXED = (
    "{} is the region of a trigger of this run and can't be changed: draw another one."
)

_Place: TypeAlias = RegionOfInterest | PointOfInterest
_Places: TypeAlias = Mapping[str, tuple[_Place, ...]]
"""Regions and points by name; an empty tuple: the name is not used."""


class RunRegions(QWidget):
    """Draws regions on the image of a run; each change is written at once."""

    changed = pyqtSignal()
    """The regions of the run have changed: analyse it again."""
    failed = pyqtSignal(str)
    """Why something can't be changed."""

    def __init__(self) -> None:
        super().__init__()
        self.canvas, self.list, self.name = RegionCanvas(""), QListWidget(), QLineEdit()
        self.delete = QPushButton("Delete")
        self.tools = {kind: QPushButton(kind) for kind in _TOOLS}
        self.history: History[_Places] = History()
        self._run: Path | None = None
        self._camera = ""
        self._own: set[str] = set()
        """Names of regions and points that can be edited."""
        self._arrange()
        self._connect()

    def show_run(self, run: Path, found: RunMeasures) -> None:
        """Show the regions of a run."""
        if run != self._run:
            self.history.clear()
        self._run, self._camera = run, found.camera
        self.canvas.camera = found.camera
        height, width = found.size
        image = found.image
        if image is None:
            image = np.zeros((height, width), np.uint8)
        self.canvas.show_image(image, 0, None)
        shapes: dict[str, Shape] = {}
        self._own = set()
        for place in found.places:
            shape = shape_of("POINT" if place.is_point else "REGION", place.text)
            if shape is not None:
                shapes[place.name] = shape
                if place.is_own:
                    self._own.add(place.name)
        chosen = self.canvas.chosen_name
        self.canvas.show_shapes(shapes, chosen if chosen in shapes else "")
        self.list.blockSignals(True)
        self.list.clear()
        for name in shapes:
            self.list.addItem(name if name in self._own else f"{name} (trigger)")
        self.list.blockSignals(False)
        self._choose(self.canvas.chosen_name)

    def clear(self, text: str) -> None:
        """Show a message instead of a run."""
        self._run = None
        self.list.clear()
        self.canvas.show_shapes({}, "")
        self.canvas.camera = ""
        self.canvas.clear(text)
        self._choose("")

    def undo(self) -> None:
        """Undo the last change."""
        self.history.undo(self._write)

    def redo(self) -> None:
        """Redo the change that was undone last."""
        self.history.redo(self._write)

    def deselect_tool(self) -> bool:
        """Deselect the drawing tool; return whether one was selected."""
        drawing = self.canvas.tool is not None
        for button in self.tools.values():
            button.setChecked(False)
        self.canvas.use_tool(None)
        return drawing

    def _arrange(self) -> None:
        group = QButtonGroup(self)
        group.setExclusive(False)
        draw = Panel("Draw")
        grid = QGridLayout()
        for at, (kind, button) in enumerate(self.tools.items()):
            button.setCheckable(True)
            button.clicked.connect(partial(self._use, kind))
            grid.addWidget(button, *divmod(at, 2))
        draw.column.addLayout(grid)
        how = QLabel(_HOW)
        how.setObjectName("caption")
        how.setWordWrap(True)
        draw.column.addWidget(how)
        listed = Panel("Regions of the run")
        self.list.setObjectName("clear")
        listed.column.addWidget(self.list, 1)
        row = QHBoxLayout()
        self.name.setToolTip("name of the selected region in tables and plots")
        row.addWidget(self.name, 1)
        row.addWidget(self.delete)
        listed.column.addLayout(row)
        side = QVBoxLayout()
        side.setSpacing(8)
        for panel in (draw, listed):
            panel.setFixedWidth(_SIDE_WIDTH)
        side.addWidget(draw)
        side.addWidget(listed, 1)
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(8)
        whole.addWidget(self.canvas, 1)
        whole.addLayout(side)

    def _connect(self) -> None:
        self.list.currentRowChanged.connect(
            lambda row: self._choose(list(self.canvas.shapes)[row] if row >= 0 else "")
        )
        self.canvas.chosen.connect(self._choose)
        self.canvas.changed.connect(self._change)
        self.canvas.made.connect(self._make)
        self.name.editingFinished.connect(self._rename)
        self.delete.clicked.connect(self._delete)

    def _use(self, kind: ShapeKind, checked: bool) -> None:
        for other, button in self.tools.items():
            button.setChecked(checked and other == kind)
        self.canvas.use_tool(kind if checked else None)

    def _choose(self, name: str) -> None:
        names = list(self.canvas.shapes)
        self.list.blockSignals(True)
        self.list.setCurrentRow(names.index(name) if name in names else -1)
        self.list.blockSignals(False)
        self.canvas.show_shapes(self.canvas.shapes, name)
        self.name.setText(name)
        for widget in (self.name, self.delete):
            widget.setEnabled(name in self._own)

    def _make(self, shape: Shape) -> None:
        self.deselect_tool()
        names, name = set(self.canvas.shapes), str(shape.kind)
        number = 2
        while name in names:
            name, number = f"{shape.kind} {number}", number + 1
        self.canvas.chosen_name = name
        self._replace("", name, shape)

    def _change(self, name: str, shape: Shape) -> None:
        if name in self._own:
            self._replace(name, name, shape)
        else:
            self.canvas.show_shapes(self.canvas.shapes, name)
            self.failed.emit(_FIXED.format(name))

    def _rename(self) -> None:
        old, new = self.canvas.chosen_name, " ".join(self.name.text().split())
        if old not in self._own or new == old:
            return
        if not new or new in self.canvas.shapes:
            self.name.setText(old)
            self.failed.emit(
                f"{new} is the name of another region"
                if new
                else "A region needs a name"
            )
            return
        self.canvas.chosen_name = new
        self._replace(old, new, self.canvas.shapes[old])

    def _delete(self) -> None:
        self._replace(self.canvas.chosen_name, "", None)

    def _replace(self, old: str, new: str, shape: Shape | None) -> None:
        """Add, change or delete one region or point of the run."""
        changed: dict[str, tuple[_Place, ...]] = {old: ()} if old else {}
        if shape is not None and shape.kind == "point":
            x, y = shape.numbers
            changed[new] = (PointOfInterest(new, x, y, self._camera),)
        elif shape is not None:
            region = parse_region(shape.word)
            changed[new] = (RegionOfInterest(new, region, self._camera),)
        before = self._write(changed, "" if new == old else new)
        if before is not None:
            self.history.remember(before)

    def _write(self, changed: _Places, unused: str = "") -> _Places | None:
        """Write the regions of these names; return the ones before; None: it failed.

        The name `unused` is refused if another program has used it since.
        """
        if self._run is None:
            return None
        before: dict[str, tuple[_Place, ...]] = {}

        def change(places_of_run: PlacesOfRun) -> PlacesOfRun:
            known: list[_Place] = [*places_of_run.regions, *places_of_run.points]
            for name in changed:
                before[name] = tuple(place for place in known if place.name == name)
            if before.get(unused):
                raise DeepLabStreamError(
                    f"Not written: {unused} is the name of a region or point that another "
                    "program has added meanwhile. Select the run again to see it."
                )

            new = [place for places in changed.values() for place in places]
            kept = [place for place in known if place.name not in changed]
            written = (*kept, *new)
            return PlacesOfRun().with_added(
                [place for place in written if isinstance(place, RegionOfInterest)],
                [place for place in written if isinstance(place, PointOfInterest)],
            )

        try:
            change_places(self._run, change, WINDOW_PATIENCE_S)
        except DeepLabStreamError as error:
            self.failed.emit(str(error))
            return None
        self.changed.emit()
        return before
