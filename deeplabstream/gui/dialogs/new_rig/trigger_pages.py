"""Region and trigger pages of the wizard."""

from dataclasses import replace

from PyQt5.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
)

from deeplabstream.gui.dialogs.new_rig.rig_page import RigDraft, RigPage
from deeplabstream.gui.shapes import Shape, ShapeKind
from deeplabstream.gui.widgets.region_canvas import RegionCanvas
from deeplabstream.settings.new_rig import CAMERA, TRIGGER

_TOOLS: tuple[ShapeKind, ...] = ("circle", "rectangle", "polygon", "ellipse", "ring")


class RegionPage(RigPage):
    """The region, drawn on the last frame of the camera."""

    def __init__(self, rig: RigDraft) -> None:
        super().__init__(
            rig,
            "Region",
            "Drag the region or its handles, or choose a shape and draw another one.",
        )
        self.canvas = RegionCanvas(CAMERA)
        self._size: tuple[int, ...] = ()
        """Height and width of the frame on which the region was drawn."""
        self.tools: dict[ShapeKind, QPushButton] = {}
        row = QHBoxLayout()
        for kind in _TOOLS:
            button = QPushButton(kind)
            button.setCheckable(True)
            button.setAutoExclusive(True)
            button.clicked.connect(
                lambda _=False, kind=kind: self.canvas.use_tool(kind)
            )
            self.tools[kind] = button
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.addLayout(row)
        column.addWidget(self.canvas, 1)
        column.addWidget(self.problem)
        self.canvas.made.connect(self._make)
        self.canvas.changed.connect(self._change)

    def initializePage(self) -> None:  # noqa: N802
        """Keep the region; for a frame of another size, propose a circle in its middle."""
        image = self.rig.image
        if image is None:
            return
        self.canvas.show_image(image, 0, None)
        size = height, width = image.shape[:2]
        if size != self._size:
            self._size = size
            shape = Shape("circle", (width / 2, height / 2, round(height / 5)))
            self._change(TRIGGER, shape)

    def take(self) -> str:
        """Take the region."""
        shape = self.canvas.shapes[TRIGGER]
        self.rig.choices = replace(self.rig.choices, region=shape.word)
        return ""

    def _make(self, shape: Shape) -> None:
        self.canvas.use_tool(None)
        for button in self.tools.values():
            button.setAutoExclusive(False)
            button.setChecked(False)
            button.setAutoExclusive(True)
        self._change(TRIGGER, shape)

    def _change(self, _name: str, shape: Shape) -> None:
        self.canvas.show_shapes({TRIGGER: shape}, TRIGGER)


class TriggerPage(RigPage):
    """Condition of the trigger, and duration of the experiment."""

    def __init__(self, rig: RigDraft) -> None:
        super().__init__(rig, "Trigger", "When is the output on?")
        self.bodypart, self.where = QComboBox(), QComboBox()
        self.dwell, self.minutes = QDoubleSpinBox(), QDoubleSpinBox()
        self.where.addItems(["inside the region", "outside the region"])
        self.dwell.setRange(0, 60)
        self.dwell.setSuffix(" s")
        self.minutes.setRange(0.1, 24 * 60)
        self.minutes.setValue(10)
        self.minutes.setSuffix(" min")
        for box in (self.dwell, self.minutes):
            box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.bodypart.setToolTip("BODYPARTS: the body part that decides")
        self.where.setToolTip("KIND: InsideRegion or OutsideRegion")
        self.dwell.setToolTip(
            "MIN_DWELL_S: time in the region before the trigger is true"
        )
        self.minutes.setToolTip("EXP_TIME_S: duration of the experiment")
        form = QFormLayout(self)
        form.addRow("The output is on while the", self.bodypart)
        form.addRow("is", self.where)
        form.addRow("Minimum dwell time", self.dwell)
        form.addRow("Duration of the experiment", self.minutes)
        form.addRow(self.problem)

    def initializePage(self) -> None:  # noqa: N802
        """List the body parts of the network."""
        shown = self.bodypart.currentText()
        self.bodypart.clear()
        self.bodypart.addItems(self.rig.bodyparts)
        self.bodypart.setCurrentText(shown)

    def take(self) -> str:
        """Take body part, condition and duration."""
        self.rig.choices = replace(
            self.rig.choices,
            bodypart=self.bodypart.currentText(),
            outside=self.where.currentIndex() == 1,
            dwell_s=self.dwell.value(),
            minutes=self.minutes.value(),
        )
        return ""
