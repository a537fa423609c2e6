"""Scale calibration: millimetres from a line of known length or the corners of a rectangle.

Also the length of the longest animal, px, for rigs that find animals by their contrast.
"""

from collections.abc import Callable
from math import ceil
from typing import Literal

import numpy as np
from PyQt5.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QPushButton,
    QWidget,
)

from deeplabstream.core.lens import Lens, parse_lens
from deeplabstream.gui.dialogs.questions import input_number
from deeplabstream.gui.settings_document import Document
from deeplabstream.gui.shapes import Shape
from deeplabstream.gui.widgets.region_canvas import RegionCanvas
from deeplabstream.pose.background.background_detector import BACKGROUND
from deeplabstream.settings import ini_editing

EnterLength = Callable[[QWidget, str, float], float | None]
"""Shows a dialog for a length in mm; None: cancelled."""


def enter_mm(parent: QWidget, question: str, usual: float) -> float | None:
    """Return a length that the user enters, mm; None: cancelled."""
    return input_number(parent, f"{question}, mm:", usual, 0.1, 100_000)


class Calibrating(QFrame):
    """Shows the scale of a camera, and calibrates it from a drawn line or rectangle."""

    def __init__(
        self, document: Document, canvas: RegionCanvas, enter: EnterLength = enter_mm
    ) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.document = document
        self.canvas = canvas
        self._enter_mm = enter
        self.waiting: Literal["", "scale", "corners", "animal"] = ""
        """Use of the next shape on the canvas; empty: a trigger."""
        self.message = QLabel()
        self.message.setObjectName("caption")
        self.message.setWordWrap(True)
        self.scale = QPushButton("Draw a scale")
        self.scale.setToolTip("drag along an object of known length")
        self.corners = QPushButton("Click 4 corners")
        self.corners.setToolTip(
            "of a rectangle on the floor: upper left, upper right, lower right, "
            "lower left; end with a double click or Enter. For oblique cameras"
        )
        self.animal = QPushButton()
        self.animal.setToolTip(
            "drag along the longest animal: LENGTH_PX of [Background Subtraction]"
        )
        self.animal.clicked.connect(self._draw_animal)
        self.scale.clicked.connect(self._draw_scale)
        self.corners.clicked.connect(self._click_corners)
        title = QLabel("MILLIMETRES")
        title.setObjectName("title")
        grid = QGridLayout(self)
        grid.setContentsMargins(12, 8, 12, 10)
        grid.setSpacing(6)
        grid.addWidget(title, 0, 0, 1, 2)
        grid.addWidget(self.message, 1, 0, 1, 2)
        grid.addWidget(self.scale, 2, 0)
        grid.addWidget(self.corners, 2, 1)
        grid.addWidget(self.animal, 3, 0, 1, 2)

    def refresh(self) -> None:
        """Show the calibration of the selected camera."""
        settings = self.document.settings
        if settings is None:
            self.message.setText("–")
        else:
            found = settings.calibrations.get(self.canvas.camera)
            self.message.setText(str(found) if found else "not calibrated")
            length = f"{settings.background.length_px} px"
            self.animal.setText(f"Draw an animal's length ({length})")
        models = self.document.values.get("Pose Estimation", {}).get("MODEL", "")
        self.animal.setVisible(models.strip() == BACKGROUND)

    def take(self, shape: Shape) -> bool:
        """Calibrate from a drawn shape; False: the shape is for a trigger."""
        waiting, self.waiting = self.waiting, ""
        if not waiting:
            return False
        self.canvas.use_tool(None)
        if waiting == "scale":
            self._take_scale(shape)
        elif waiting == "animal":
            self._take_animal(shape)
        else:
            self._take_corners(shape)
        return True

    def _draw_scale(self) -> None:
        self._wait_for("scale")

    def _click_corners(self) -> None:
        self._wait_for("corners")

    def _draw_animal(self) -> None:
        self._wait_for("animal")

    def _wait_for(self, what: Literal["scale", "corners", "animal"]) -> None:
        self.waiting = what
        self.canvas.use_tool("polygon" if what == "corners" else "line")

    def _take_scale(self, line: Shape) -> None:
        lens = self._lens()
        ends = np.asarray(line.corners if lens is None else lens.straight(line.corners))
        length = float(np.linalg.norm(ends[1] - ends[0]))
        if not np.isfinite(length):
            self.message.setText(
                "The line leaves what the lens shows; draw another one"
            )
            return
        millimetres = self._enter_mm(self, "Length of this line", 100.0)
        if millimetres and length:
            self._write(MM_PER_PIXEL=f"{millimetres / length:.5g}", MARKS=None)

    def _take_animal(self, line: Shape) -> None:
        """Set the length of the longest animal, in px of the image as it is."""
        first, second = np.asarray(line.corners)
        length = ceil(float(np.linalg.norm(second - first)))
        text = ini_editing.set_value(
            self.document.text, "Background Subtraction", "LENGTH_PX", str(length)
        )
        self.document.edit(text)

    def _take_corners(self, shape: Shape) -> None:
        if len(shape.corners) != 4:
            self.message.setText(f"expected 4 corners, not {len(shape.corners)}")
            return
        width = self._enter_mm(self, "Length from corner 1 to corner 2", 400.0)
        if not width:
            return
        if height := self._enter_mm(self, "Length from corner 2 to corner 3", 400.0):
            floor = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
            marks = [
                f"{x:g} {y:g} {x_mm:g} {y_mm:g}"
                for (x, y), (x_mm, y_mm) in zip(shape.corners, floor, strict=True)
            ]
            self._write(MM_PER_PIXEL=None, MARKS=", ".join(marks))

    def _lens(self) -> Lens | None:
        """Return the lens of the selected camera; None: it has none."""
        title = f"Camera {self.canvas.camera}"
        try:
            return parse_lens(self.document.values.get(title, {}).get("LENS"))
        except ValueError:  # the settings page shows the problem
            return None

    def _write(self, **values: str | None) -> None:
        """Set keys of the camera's section, as one step of the undo history."""
        text, title = self.document.text, f"Camera {self.canvas.camera}"
        for key, value in values.items():
            text = ini_editing.set_value(text, title, key, value)
        self.document.edit(text)
