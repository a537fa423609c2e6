"""Space canvas: volumes, heights and planes seen along one axis, drawn and changed by the mouse."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, hypot

import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import QLineF, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt5.QtGui import (
    QColor,
    QFont,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PyQt5.QtWidgets import QSizePolicy, QWidget
from PyQt5.sip import voidptr

from deeplabstream.gui.shapes import Corner, Shape
from deeplabstream.gui.space_geometry import round_length
from deeplabstream.gui.space_items import (
    ABOVE,
    AXES,
    SpaceAxes,
    SpaceItem,
    SpaceTool,
    VolumeItem,
    item_from_drag,
    polygon_item,
)
from deeplabstream.gui.theme import (
    AMBER,
    BLUE,
    HINT_PX,
    TEXT,
    bodypart_colour,
    palette,
)
from deeplabstream.gui.widgets.arrow_keys import arrow_step
from deeplabstream.gui.widgets.frame_overlay import draw_tag

_NEAR_PX = 8.0
"""Distance within which the mouse grabs an item or handle."""
_ARM_PX, _GRID_PX = 60.0, 90.0
_ZOOM_PER_STEP, _CLOSEST, _FURTHEST = 1.15, 50.0, 0.005
"""Factor of a step of the wheel, and limits of the scale, px for each mm."""
KEYS = (
    ("Drag", "draws a volume, moves one, changes it by its handles, or moves the view"),
    ("Wheel", "zooms"),
    ("Arrows", "move the selected one by 1 mm, with Shift by 10 mm"),
)
"""Mouse actions and keys of the canvas, and their effects."""


@dataclass
class _Grip:
    """The item that is dragged, as it was; None: the view."""

    item: SpaceItem | None
    start: Corner
    handle: int | None = None


class SpaceCanvas(QWidget):
    """Shows named items in two axes of space; emits a signal when the user edits one."""

    chosen = pyqtSignal(str)
    """Name of the item that was clicked; empty: none."""
    dragged = pyqtSignal(str, object)
    """An item is being dragged: its name and how it is now."""
    changed = pyqtSignal(str, object)
    """An item was moved or changed: its name and the new SpaceItem."""
    made = pyqtSignal(object)
    """A new SpaceItem was drawn."""
    moved = pyqtSignal()
    """Another part of space is shown."""

    def __init__(self, title: str, axes: SpaceAxes) -> None:
        super().__init__()
        self.title, self.axes = title, axes
        self.centre, self.scale = (0.0, 0.0), 1.0
        """Place in the middle of the view, in mm, and px for each mm."""
        self.items: dict[str, SpaceItem] = {}
        self.chosen_name = ""
        self.tool: SpaceTool | None = None
        """What the next drag draws; None: it moves and changes."""
        self.heights = (0.0, 100.0)
        """Bottom and top of new volumes, mm."""
        self.points: NDArray[np.floating] | None = None
        """Body parts (n, 3) in mm; None: none."""
        self._floor: tuple[QImage, Corner, Corner] | None = None
        self._grip: _Grip | None = None
        self._draft: SpaceItem | None = None
        self._corners: list[Corner] = []
        self._mouse: Corner | None = None
        self.setMinimumSize(200, 130)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(title)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of an image of 640×480."""
        return QSize(640, 480)

    def show_items(self, items: Mapping[str, SpaceItem], chosen: str) -> None:
        """Show these items; the one named `chosen` is selected."""
        self.items, self.chosen_name = dict(items), chosen
        self.update()

    def show_points(self, points: NDArray[np.floating] | None) -> None:
        """Show body parts (n, 3) in mm; None: none."""
        self.points = points
        self.update()

    def show_floor(
        self, floor: NDArray[np.uint8] | None, least: Corner, most: Corner
    ) -> None:
        """Show an image (y, x, 4) of the part of the floor between two corners; None: none."""
        self._floor = None
        if floor is not None:
            height, width = floor.shape[:2]
            pixels = np.ascontiguousarray(floor)
            form = QImage.Format.Format_ARGB32
            image = QImage(voidptr(pixels.ctypes.data), width, height, 4 * width, form)
            self._floor = image.copy(), least, most
        self.update()

    def look_at(self, centre: Corner, half: Corner) -> None:
        """Show all within `half` mm of a place."""
        self.centre = centre
        room = [max(self.width(), 2) / 2, max(self.height(), 2) / 2]
        self.scale = min(px / mm for px, mm in zip(room, half, strict=True))
        self.moved.emit()
        self.update()

    def use_tool(self, tool: SpaceTool | None) -> None:
        """Choose what the next drag draws; None: it moves and changes."""
        self.tool = tool
        self._reset_draft()
        drawing = Qt.CursorShape.CrossCursor
        self.setCursor(drawing if tool else Qt.CursorShape.ArrowCursor)

    @property
    def room(self) -> tuple[Corner, Corner]:
        """Smallest and largest coordinates that are shown, mm."""
        across, up = self.width() / 2 / self.scale, self.height() / 2 / self.scale
        x, y = self.centre
        return (x - across, y - up), (x + across, y + up)

    def to_view(self, at: Corner) -> QPointF:
        """Return where a place in mm is in the widget."""
        x = self.width() / 2 + (at[0] - self.centre[0]) * self.scale
        return QPointF(x, self.height() / 2 - (at[1] - self.centre[1]) * self.scale)

    def to_mm(self, at: QPointF) -> Corner:
        """Return the place in mm of a position in the widget."""
        x = self.centre[0] + (at.x() - self.width() / 2) / self.scale
        return x, self.centre[1] - (at.y() - self.height() / 2) / self.scale

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Start to draw, grab an item, or move the view."""
        if event is None:
            return
        at = self.to_mm(event.localPos())
        if event.button() == Qt.MouseButton.RightButton:
            self._drop_corner(at)
        elif self.tool == "polygon" and self.axes == ABOVE:
            self._corners.append(at)
            self.update()
        elif self.tool is not None:
            self._grip = _Grip(None, at)
        else:
            self._grab(at)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Update what is drawn or dragged, and the coordinates of the mouse."""
        if event is None:
            return
        at = self._mouse = self.to_mm(event.localPos())
        grip = self._grip
        if grip is not None and self.tool is not None:
            start = grip.start
            self._draft = item_from_drag(self.tool, self.axes, start, at, self.heights)
        elif grip is not None and grip.item is not None:
            self._draft = self._dragged_to(grip, grip.item, at)
            self.dragged.emit(self.chosen_name, self._draft)
        elif grip is not None:
            x, y = self.centre
            self.centre = x + grip.start[0] - at[0], y + grip.start[1] - at[1]
            self._mouse = None
            self.moved.emit()
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Finish drawing or dragging, and emit the result."""
        if event is None or self._grip is None:
            return
        self.mouseMoveEvent(event)
        grip, draft = self._grip, self._draft
        self._grip = self._draft = None
        if self.tool is not None:
            at = self.to_mm(event.localPos())
            far = hypot(at[0] - grip.start[0], at[1] - grip.start[1])
            # a click without a drag draws no volume; a height is one
            if draft is not None and (self.tool == "height" or far > self._near() / 2):
                self.made.emit(draft)
        elif draft is not None and draft != grip.item:
            self.changed.emit(self.chosen_name, draft)
        self.update()

    def leaveEvent(self, event: object) -> None:  # noqa: N802
        """Write no coordinates any more."""
        self._mouse = None
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Close the polygon that is being drawn, or add a corner to the selected one."""
        if event is None:
            return
        item = self.items.get(self.chosen_name)
        if self.tool == "polygon":
            self._close_polygon()
        elif isinstance(item, VolumeItem) and self.axes == ABOVE:
            self._grip = self._draft = None
            self._change(item.with_corner(self.to_mm(event.localPos())))

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Zoom around the mouse."""
        if event is None:
            return
        at = event.position()
        before = self.to_mm(at)
        factor = _ZOOM_PER_STEP ** (event.angleDelta().y() / 120)
        self.scale = min(max(self.scale * factor, _FURTHEST), _CLOSEST)
        after = self.to_mm(at)
        x, y = self.centre
        self.centre = x + before[0] - after[0], y + before[1] - after[1]
        event.accept()
        self.moved.emit()
        self.update()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Move the selected item by 1 mm, with Shift by 10 mm; Enter closes a polygon."""
        if event is None:
            return
        item = self.items.get(self.chosen_name)
        step = arrow_step(event)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._close_polygon()
        elif step is not None and item is not None:
            right, down = step
            self._change(item.moved(self.axes, right, -down))
        else:
            super().keyPressEvent(event)

    def _change(self, item: SpaceItem) -> None:
        if item != self.items.get(self.chosen_name):
            self.changed.emit(self.chosen_name, item)

    def _dragged_to(self, grip: _Grip, item: SpaceItem, at: Corner) -> SpaceItem:
        if grip.handle is not None:
            return item.reshaped(self.axes, grip.handle, at, grip.start)
        return item.moved(self.axes, at[0] - grip.start[0], at[1] - grip.start[1])

    def _grab(self, at: Corner) -> None:
        item = self.items.get(self.chosen_name)
        if item is not None and (handle := self._handle(item, at)) is not None:
            self._grip = _Grip(item, at, handle)
            return
        held = [name for name, one in self.items.items() if self._holds(one, at)]
        if not held:
            self._grip = _Grip(None, at)
            self.chosen.emit("")
            return
        name = self.chosen_name if self.chosen_name in held else held[-1]
        if name != self.chosen_name:
            self.chosen_name = name
            self.chosen.emit(name)
        self._grip = _Grip(self.items[name], at)

    def _holds(self, item: SpaceItem, at: Corner) -> bool:
        mark = item.mark(self.axes, self.room)
        return mark is not None and mark.holds(*at, self._near())

    def _handle(self, item: SpaceItem, at: Corner) -> int | None:
        handles = item.handles(self.axes, _ARM_PX / self.scale)
        far = [hypot(x - at[0], y - at[1]) for x, y in handles]
        return far.index(min(far)) if far and min(far) <= self._near() else None

    def _drop_corner(self, at: Corner) -> None:
        item = self.items.get(self.chosen_name)
        if isinstance(item, VolumeItem) and self.axes == ABOVE:
            corner = self._handle(item, at)
            if corner is not None:
                self._change(item.without_corner(corner))

    def _close_polygon(self) -> None:
        corners = self._corners
        self._reset_draft()
        if self.tool == "polygon" and (made := polygon_item(corners, self.heights)):
            self.made.emit(made)

    def _near(self) -> float:
        return _NEAR_PX / self.scale

    def _reset_draft(self) -> None:
        self._grip = self._draft = None
        self._corners = []
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint floor, grid, items, body and texts."""
        painter = QPainter(self)
        try:
            painter.fillRect(self.rect(), QColor(palette().field))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_floor(painter)
            self._paint_grid(painter)
            for name, item in self.items.items():
                held = name == self.chosen_name and self.tool is None
                shown = self._draft if held and self._draft is not None else item
                self._paint_item(painter, name, shown)
            if self._draft is not None and self.tool is not None:
                self._paint_item(painter, "", self._draft)
            self._paint_corners(painter)
            self._paint_points(painter)
            self._paint_texts(painter)
        finally:  # Qt warns about a painter that is not ended
            painter.end()

    def _paint_floor(self, painter: QPainter) -> None:
        if self._floor is None:
            return
        image, least, most = self._floor
        corners = self.to_view((least[0], most[1])), self.to_view((most[0], least[1]))
        painter.setOpacity(0.8)
        painter.drawImage(QRectF(*corners), image)
        painter.setOpacity(1.0)

    def _paint_grid(self, painter: QPainter) -> None:
        """Draw lines of whole lengths, the axes thicker, and below z = 0 a darker area."""
        colours = palette()
        (left, low), (right, high) = self.room
        if self.axes != ABOVE and low < 0:
            under = QRectF(
                self.to_view((left, min(0.0, high))), self.to_view((right, low))
            )
            painter.fillRect(under, QColor(colours.raised))
        step = round_length(_GRID_PX / self.scale)
        font = QFont(painter.font())
        font.setPixelSize(HINT_PX)
        painter.setFont(font)
        lines = [(x, True) for x in _multiples(left, right, step)]
        lines += [(y, False) for y in _multiples(low, high, step)]
        for at, upright in lines:
            ends = ((at, low), (at, high)) if upright else ((left, at), (right, at))
            painter.setPen(QPen(QColor(colours.line), 2 if at == 0 else 1))
            painter.drawLine(QLineF(*map(self.to_view, ends)))
            place = self.to_view(ends[0])
            corner = QPointF(place.x() + 3, place.y() - 4)
            # the lower left corner has the name of the axis
            if not upright or place.x() > 60:
                painter.setPen(QColor(colours.faint))
                painter.drawText(corner, f"{at:g}")

    def _paint_item(self, painter: QPainter, name: str, item: SpaceItem) -> None:
        mark = item.mark(self.axes, self.room)
        if mark is None:
            return
        chosen = name in ("", self.chosen_name)
        colour = QColor(palette().amber if chosen else palette().blue)
        painter.setPen(QPen(colour, 3 if chosen else 2))
        fill = QColor(colour)
        fill.setAlpha(30)
        painter.setBrush(fill)
        corners = [self.to_view((x, y)) for x, y in mark.corners]
        if mark.kind == "polygon":
            painter.drawPolygon(QPolygonF(corners))
        elif len(corners) == 2:
            painter.drawLine(QLineF(*corners))
        else:
            painter.drawEllipse(corners[0], 6, 6)
        if name:
            draw_tag(painter, self._tag_place(mark), name, _on_tag(chosen))
        if chosen and name:
            self._paint_handles(painter, item)

    def _tag_place(self, mark: Shape) -> QPointF:
        """Return the lower left corner of an item's name, inside the view."""
        corners = [self.to_view((x, y)) for x, y in mark.corners]
        highest = min(corners, key=lambda corner: (corner.y(), corner.x()))
        x = min(max(highest.x(), 8.0), self.width() - 60.0)
        return QPointF(x, min(max(highest.y() - 6, 54.0), self.height() - 30.0))

    def _paint_handles(self, painter: QPainter, item: SpaceItem) -> None:
        places = item.handles(self.axes, _ARM_PX / self.scale)
        handles = [self.to_view(at) for at in places]
        painter.setPen(QPen(QColor(palette().amber), 2))
        if len(handles) == 2 and not isinstance(item, VolumeItem):
            painter.drawLine(QLineF(*handles))  # the direction of a plane
        painter.setPen(QPen(QColor(palette().field), 1.5))
        painter.setBrush(QColor(palette().amber))
        for at in handles:
            painter.drawRect(int(at.x()) - 4, int(at.y()) - 4, 9, 9)

    def _paint_corners(self, painter: QPainter) -> None:
        """Paint the corners of the polygon that is being drawn."""
        if not self._corners:
            return
        corners = [*self._corners, *([self._mouse] if self._mouse else [])]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(palette().amber), 3))
        painter.drawPolyline(QPolygonF([self.to_view(at) for at in corners]))

    def _paint_points(self, painter: QPainter) -> None:
        if self.points is None:
            return
        for part, place in enumerate(self.points[:, list(self.axes)].tolist()):
            if place[0] == place[0] and place[1] == place[1]:
                painter.setPen(QPen(QColor(0, 0, 0, 190), 1.2))
                painter.setBrush(bodypart_colour(part))
                painter.drawEllipse(self.to_view((place[0], place[1])), 4.5, 4.5)

    def _paint_texts(self, painter: QPainter) -> None:
        across, up = (AXES[axis] for axis in self.axes)
        draw_tag(painter, QPointF(10, 30), self.title, QColor(TEXT))
        if self._mouse is not None:
            x, y = map(round, self._mouse)
            text = f"{across} {x}, {up} {y} mm"
        else:
            text = f"{across} →, {up} ↑, mm"
        draw_tag(painter, QPointF(10, self.height() - 22), text, QColor(TEXT))
        border = palette().blue if self.hasFocus() else palette().line
        painter.setPen(QPen(QColor(border), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))


def _on_tag(chosen: bool) -> QColor:
    """Return the colour of a name on its dark background, in both styles."""
    return QColor(AMBER if chosen else BLUE)


def _multiples(least: float, most: float, step: float) -> list[float]:
    """Return the multiples of a step between two numbers."""
    first = ceil(least / step)
    return [step * place for place in range(first, int(most // step) + 1)]
