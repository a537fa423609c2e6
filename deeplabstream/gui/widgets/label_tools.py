"""Label tools: body parts, zoom, undo and keys beside the label canvas."""

from PyQt5.QtCore import Qt
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QSlider,
    QWidget,
)

from deeplabstream.gui.widgets.panels import Panel

_WIDTH = 268
_LEAST_HEIGHT = 760  # px
"""Height from which mouse and keys are listed; below it, body parts need the room."""
KEYS = (
    ("Click", "place point, go to the next"),
    ("Drag", "move a point"),
    ("Right click, Delete", "mark as not visible"),
    ("1 to 9, P", "choose a body part"),
    ("A", "next animal"),
    ("S", "swap two animals"),
    ("C", "copy the last frame"),
    ("Arrows", "move the point by 0.5 px"),
    ("Space", "accept, next frame"),
    ("B", "previous frame"),
    ("U, Shift+U", "undo, redo"),
    ("Wheel, + −, 0", "zoom; fit"),
    ("Middle button", "move the image"),
)
"""Mouse actions and keys of the labelling tab, and their effects."""


class LabelTools(Panel):
    """Tools beside the canvas; only the field of edges takes the keyboard focus."""

    def __init__(self) -> None:
        super().__init__("Body parts")
        self.parts = QListWidget()
        self.animals = QListWidget()
        self.add, self.remove = QPushButton("+"), QPushButton("−")
        self.swap, self.copy = QPushButton("Swap"), QPushButton("Copy last")
        self.edges = QLineEdit()
        self.contrast = QSlider(Qt.Orientation.Horizontal)
        self.closer, self.wider = QPushButton("+"), QPushButton("−")
        self.whole = QPushButton("Fit")
        self.undo, self.redo = QPushButton("Undo"), QPushButton("Redo")
        self.good = QPushButton("Accept (Space)")
        self.keys, self.where_keys = QWidget(), _caption("Mouse and keys: F2")
        self.contrast.setRange(50, 400)
        self.contrast.setValue(100)
        self.setFixedWidth(_WIDTH)
        self._explain()
        self._arrange()

    def _explain(self) -> None:
        self.contrast.setToolTip(
            "display contrast and brightness, 50 to 400 %; files do not change"
        )
        self.edges.setPlaceholderText("nose-tail, …")
        self.edges.setToolTip(
            "skeleton edges, A-B, separated by commas; saved with the network"
        )
        self.undo.setToolTip("U; up to 200 changes")
        self.redo.setToolTip("Shift+U")
        self.closer.setToolTip("zoom in (+ or the wheel)")
        self.wider.setToolTip("zoom out (− or the wheel)")
        self.whole.setToolTip("fit the frame (0)")
        self.parts.setToolTip("P: next body part; Shift+P: the one before")
        self.animals.setToolTip(
            "A: next animal; Shift+A: the one before; double click: rename"
        )
        self.add.setToolTip("add an animal")
        self.remove.setToolTip("remove the last animal, if it has no points")
        self.swap.setToolTip("swap the points of two animals in this frame (S)")
        self.copy.setToolTip(
            "copy points that are missing here from the frame before (C)"
        )
        self.good.setToolTip(
            "mark unplaced points as not visible; go to the next frame"
        )
        self.good.setProperty("starts", True)

    def _arrange(self) -> None:
        self.parts.setObjectName("clear")
        self.animals.setObjectName("clear")
        self.column.addWidget(self.parts, 1)
        self.column.addWidget(_caption("Animals"))
        self.column.addWidget(self.animals)
        line = QHBoxLayout()
        line.setSpacing(4)
        for button in (self.add, self.remove, self.swap, self.copy):
            line.addWidget(button)
        self.column.addLayout(line)
        for text, widget in (("Edges", self.edges), ("Contrast", self.contrast)):
            self.column.addWidget(_caption(text))
            self.column.addWidget(widget)
        for buttons in ((self.wider, self.whole, self.closer), (self.undo, self.redo)):
            line = QHBoxLayout()
            for button in buttons:
                line.addWidget(button)
            self.column.addLayout(line)
        self.column.addWidget(self.good)
        keys = QGridLayout(self.keys)
        keys.setContentsMargins(0, 0, 0, 0)
        keys.setVerticalSpacing(0)
        keys.setColumnStretch(1, 1)
        for place, texts in enumerate(KEYS):
            for column, text in enumerate(texts):
                label = _caption(text)
                keys.addWidget(label, place, column, Qt.AlignmentFlag.AlignTop)
        self.column.addWidget(self.keys)
        self.column.addWidget(self.where_keys)
        for widget in (
            self.parts,
            self.contrast,
            self.animals,
            *self.findChildren(QPushButton),
        ):
            widget.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.edges.setFocusPolicy(Qt.FocusPolicy.ClickFocus)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """List mouse and keys only where the list of body parts keeps its room."""
        super().resizeEvent(event)
        listed = self.height() >= _LEAST_HEIGHT
        self.keys.setVisible(listed)
        self.where_keys.setVisible(not listed)


def _caption(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("caption")
    label.setWordWrap(True)
    return label
