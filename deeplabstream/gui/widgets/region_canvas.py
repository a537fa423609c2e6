"""Region canvas: the image on which regions are drawn, moved and reshaped."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import QPointF, Qt, pyqtSignal
from PyQt5.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPen,
    QPolygonF,
)

from deeplabstream.gui.shapes import Corner, Shape, ShapeKind, polygon, shape_from_drag
from deeplabstream.gui.theme import AMBER, BLUE, GREY
from deeplabstream.gui.widgets.arrow_keys import arrow_step
from deeplabstream.gui.widgets.frame_overlay import Fit, draw_tag, name_place
from deeplabstream.gui.widgets.video_view import VideoView

_NEAR = 8.0
"""Distance within which the mouse grabs a shape or handle, px of the screen."""
KEYS = (
    ("Drag", "draws a shape, moves a region, or changes it by its handles"),
    ("Click, Enter", "corner of a polygon; Enter or a double click closes it"),
    ("Arrows", "move the selected region by 1 px, with Shift by 10 px"),
)
"""Mouse actions and keys of the canvas, and their effects."""


@dataclass
class _Grip:
    """The shape that is dragged, as it was, and its handle; None: the whole shape."""

    shape: Shape
    start: Corner
    handle: int | None


class RegionCanvas(VideoView):
    """Shows named shapes over an image; emits a signal when the user edits one."""

    chosen = pyqtSignal(str)
    """Name of the shape that was clicked; empty: none."""
    changed = pyqtSignal(str, object)
    """A shape was moved or resized: its name and the new Shape."""
    made = pyqtSignal(object)
    """A new Shape was drawn."""

    def __init__(self, camera: str) -> None:
        super().__init__(camera)
        self.shapes: dict[str, Shape] = {}
        self.chosen_name = ""
        self.around = ""
        """Name of a shape around others: a click inside does not select it."""
        self.outlines: tuple[NDArray[np.float64], ...] = ()
        """Outlines that are shown only, (point, 2) each, px of the image."""
        self.muted: frozenset[str] = frozenset()
        """Names of shapes that are shown in grey."""
        self.movable = True
        """Whether shapes can be dragged; else a click only selects one."""
        self.tool: ShapeKind | None = None
        """Kind of the next shape to draw; None: dragging moves shapes."""
        self._draft: Shape | None = None
        self._corners: list[Corner] = []
        self._mouse: Corner | None = None
        """Position of the next corner of a polygon."""
        self._grip: _Grip | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def show_shapes(self, shapes: Mapping[str, Shape], chosen: str) -> None:
        """Show these shapes; the one named `chosen` is selected."""
        self.shapes, self.chosen_name = dict(shapes), chosen
        self._grip = None
        self.update()

    def use_tool(self, kind: ShapeKind | None) -> None:
        """Select the kind of shape to draw; None: do not draw."""
        self.tool = kind
        self._reset_draft()
        drawing = Qt.CursorShape.CrossCursor
        self.setCursor(drawing if kind else Qt.CursorShape.ArrowCursor)

    def _reset_draft(self) -> None:
        self._draft = self._grip = self._mouse = None
        self._corners = []
        self.update()

    def pixel(self, at: QPointF) -> Corner | None:
        """Return the image position of a widget position; None: no image."""
        place = self.place
        if place is None:
            return None
        x = (at.x() - place.left) / place.scale - 0.5
        return round(x, 1), round((at.y() - place.top) / place.scale - 0.5, 1)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Start to draw, or grab a shape."""
        at = self._at(event)
        if event is None or at is None:
            return
        if event.button() == Qt.MouseButton.RightButton:
            self._drop_corner(at)
        elif self.tool == "polygon":
            self._corners.append(at)
            self.update()
        elif self.tool is not None:
            self._grip = _Grip(shape_from_drag(self.tool, at, at), at, None)
            self._draft = self._grip.shape
        else:
            self._grab(at)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Update the shape that is drawn or dragged."""
        at = self._at(event)
        if at is not None:
            self._drag(at)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Finish drawing or dragging, and emit the result."""
        at = self._at(event)
        if self._grip is None or at is None or self.tool == "polygon":
            return
        self._drag(at)
        draft, start, self._draft, self._grip = (
            self._draft,
            self._grip.start,
            None,
            None,
        )
        if draft is not None and self.tool is not None:
            if self.tool == "point" or hypot(at[0] - start[0], at[1] - start[1]) > (
                self._near() / 2
            ):
                self.made.emit(draft)  # a click without a drag draws nothing
        elif draft is not None and draft != self.shapes.get(self.chosen_name):
            self.changed.emit(self.chosen_name, draft)
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Close the polygon that is being drawn, or add a corner to the selected one."""
        at = self._at(event)
        shape = self.shapes.get(self.chosen_name)
        if self.tool == "polygon":
            self._close_polygon()
        elif at is not None and shape is not None and shape.kind == "polygon":
            self._grip = self._draft = None
            self.changed.emit(self.chosen_name, shape.with_corner(*at))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Move the selected shape by 1 px, with Shift by 10 px; Enter closes a polygon."""
        if event is None:
            return
        shape = self.shapes.get(self.chosen_name)
        step = arrow_step(event)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._close_polygon()
        elif step is not None and shape is not None and self.movable:
            self.changed.emit(self.chosen_name, shape.moved(*step))
        else:
            super().keyPressEvent(event)

    def paint_above(self, painter: QPainter, place: Fit) -> None:
        """Paint the shapes, and the handles of the selected one."""
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(BLUE), 1))
        for outline in self.outlines:
            views = place.to_view(outline).tolist()
            painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in views]))
        for name, shape in self.shapes.items():
            chosen = name == self.chosen_name
            held = chosen and self._draft is not None and self.tool is None
            self._paint(painter, place, name, self._draft if held else shape, chosen)
        if self._draft is not None and self.tool is not None:
            self._paint(painter, place, "", self._draft, True)
        if self._corners:
            self._paint_corners(painter, place)

    def _paint_corners(self, painter: QPainter, place: Fit) -> None:
        """Paint the corners of the polygon that is being drawn, and its open outline."""
        corners = [*self._corners, *([self._mouse] if self._mouse else [])]
        views = [QPointF(x, y) for x, y in place.to_view(np.array(corners)).tolist()]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(AMBER), 3))
        painter.drawPolyline(QPolygonF(views))
        for at in views[: len(self._corners)]:
            _draw_handle(painter, at)

    def _paint(
        self,
        painter: QPainter,
        place: Fit,
        name: str,
        shape: Shape | None,
        chosen: bool,
    ) -> None:
        if shape is None:
            return
        usual = GREY if name in self.muted else BLUE
        colour = QColor(AMBER if chosen else usual)
        painter.setPen(QPen(colour, 3 if chosen else 2))
        colour.setAlpha(30)
        painter.setBrush(colour)
        outline = place.to_view(shape.outline()).tolist()
        corners = [QPointF(x, y) for x, y in outline]
        if len(corners) == 1:
            painter.drawEllipse(corners[0], 6, 6)
        else:
            painter.drawPolygon(QPolygonF(corners))
        if name:
            tag = QColor(AMBER if chosen else usual)
            draw_tag(painter, name_place(place, outline), name, tag)
        if chosen:
            handles = np.reshape(shape.handles(), (-1, 2))
            for x, y in place.to_view(handles).tolist():
                _draw_handle(painter, QPointF(x, y))

    def _drag(self, at: Corner) -> None:
        grip = self._grip
        if self.tool == "polygon" and self._corners:
            self._mouse = at
        elif grip is None:
            return
        elif self.tool is not None:
            self._draft = shape_from_drag(self.tool, grip.start, at)
        elif grip.handle is not None:
            self._draft = grip.shape.reshaped(grip.handle, *at)
        else:
            dx, dy = at[0] - grip.start[0], at[1] - grip.start[1]
            self._draft = grip.shape.moved(dx, dy)
        self.update()

    def _grab(self, at: Corner) -> None:
        near = self._near()
        shape = self.shapes.get(self.chosen_name) if self.movable else None
        if shape is not None and (handle := self._handle(shape, at)) is not None:
            self._grip = _Grip(shape, at, handle)
            return
        held = [
            name
            for name, one in self.shapes.items()
            if one.holds(*at, near)
            and (name != self.around or name == self.chosen_name)
        ]
        if not held:
            self.chosen.emit("")
            return
        name = self.chosen_name if self.chosen_name in held else held[-1]
        if name != self.chosen_name:
            self.chosen_name = name
            self.chosen.emit(name)
        if self.movable:
            self._grip = _Grip(self.shapes[name], at, None)

    def _handle(self, shape: Shape, at: Corner) -> int | None:
        far = [hypot(x - at[0], y - at[1]) for x, y in shape.handles()]
        return far.index(min(far)) if far and min(far) <= self._near() else None

    def _drop_corner(self, at: Corner) -> None:
        shape = self.shapes.get(self.chosen_name)
        if shape is not None and shape.kind == "polygon":
            corner = self._handle(shape, at)
            if corner is not None:
                self.changed.emit(self.chosen_name, shape.without_corner(corner))

    def _close_polygon(self) -> None:
        corners = list(dict.fromkeys(self._corners))
        self._reset_draft()
        if self.tool == "polygon" and len(corners) >= 3:
            self.made.emit(polygon(corners))

    def _near(self) -> float:
        return _NEAR / self.place.scale if self.place else _NEAR

    def _at(self, event: QMouseEvent | None) -> Corner | None:
        return None if event is None else self.pixel(event.localPos())


def _draw_handle(painter: QPainter, at: QPointF) -> None:
    painter.setPen(QPen(QColor(20, 22, 26), 1.5))
    painter.setBrush(QColor(AMBER))
    painter.drawRect(int(at.x()) - 4, int(at.y()) - 4, 9, 9)
