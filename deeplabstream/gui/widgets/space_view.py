"""Space view: skeleton, cameras, floor and volumes in three dimensions, turned by the mouse."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PyQt5.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PyQt5.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PyQt5.QtWidgets import QSizePolicy, QWidget

from deeplabstream.gui.space_geometry import Floats, Orbit, view_of
from deeplabstream.gui.space_scene import (
    SpaceMoment,
    SpaceScene,
    SpaceShape,
    still_lines,
)
from deeplabstream.gui.theme import AMBER, HINT_PX, TEXT, bodypart_colour, palette
from deeplabstream.gui.widgets.frame_overlay import Reprojection, draw_tag, tag_font

_DEGREES_PER_PX, _DEGREES_PER_KEY = 0.4, 5.0
_ZOOM_PER_STEP = 1.15
_CLICK_PX = 12.0
"""Largest distance of a click from the body part that it chooses."""
_HELP = (
    "The pose in space. Drag: turn; wheel: zoom; double click: first view; click on a body "
    "part: write its height. Keys: arrows, +, −, Home."
)


class SpaceView(QWidget):
    """Shows the newest moment of a scene. It paints only when Qt asks, never in the loop."""

    def __init__(self, scene: SpaceScene) -> None:
        super().__init__()
        self.scene = scene
        self.orbit = view_of(scene.cameras)
        self.moment: SpaceMoment | None = None
        self.trails = True
        self.bodypart = scene.bodypart
        """Body part whose height is written."""
        self.chosen_shape = ""
        """Trigger whose shape is amber; empty: none."""
        self.empty_text = "No stream"
        self._grid, self._spacing, self._cameras = still_lines(scene)
        self._pressed: QPointF | None = None
        self._dragged: QPointF | None = None
        self.setMinimumSize(240, 180)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.setToolTip(_HELP)
        self.setAccessibleName("Pose in space")
        self.setAccessibleDescription(_HELP)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of an image of 640×480."""
        return QSize(640, 480)

    def show_moment(self, moment: SpaceMoment) -> None:
        """Show a moment from the next painting on."""
        self.moment = moment
        self.update()

    def show_shapes(self, shapes: Sequence[SpaceShape], chosen: str) -> None:
        """Show other volumes, heights and planes; that of the trigger `chosen` in amber."""
        self.scene = replace(self.scene, shapes=tuple(shapes))
        self.chosen_shape = chosen
        self.update()

    def clear(self, text: str) -> None:
        """Show the scene without a body, and a message."""
        self.moment, self.empty_text = None, text
        self.update()

    def captions(self) -> list[tuple[str, str]]:
        """Return the lines in the upper left corner, with their colours."""
        moment = self.moment
        if moment is None:
            return [(f"3-D  {self.empty_text}", TEXT)]
        parts = moment.skeleton.bodyparts
        known = np.isfinite(moment.points).all(axis=1)
        unknown = [name for name, seen in zip(parts, known, strict=True) if not seen]
        lines = [(f"3-D  {self.height_text(moment)}", TEXT)]
        if len(unknown) == len(parts):
            lines.append(("all points unknown", AMBER))
        elif unknown:
            lines.append((f"unknown: {', '.join(unknown)}", AMBER))
        return lines

    def height_text(self, moment: SpaceMoment) -> str:
        """Return the height of the chosen body part in words."""
        part = self._chosen(moment)
        height = float(moment.points[moment.skeleton.bodyparts.index(part), 2])
        return f"{part} z {height:.0f} mm" if height == height else f"{part} z unknown"

    def reprojection(self, moment: SpaceMoment, camera: str) -> Reprojection | None:
        """Return where a camera sees a moment; None: it is not one of the scene."""
        if camera not in self.scene.cameras.names:
            return None
        pixels = self.scene.cameras.camera(camera).project(moment.points)
        return Reprojection(moment.skeleton, pixels, self.height_text(moment))

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint floor, cameras and volumes, then the body, then the texts."""
        painter = QPainter(self)
        try:
            painter.fillRect(self.rect(), QColor(palette().field))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_still(painter)
            self._paint_shapes(painter)
            if self.moment is not None:
                self._paint_body(painter, self.moment)
            self._paint_texts(painter)
            border = palette().blue if self.hasFocus() else palette().line
            painter.setPen(QPen(QColor(border), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))
        finally:  # Qt warns about a painter that is not ended
            painter.end()

    def _flat(self, points: object) -> Floats:
        return self.orbit.project(
            np.asarray(points, np.float64), self.width(), self.height()
        )

    def _draw(self, painter: QPainter, lines: Floats, pen: QPen) -> None:
        flat = self.orbit.project_lines(lines, self.width(), self.height())
        painter.setPen(pen)
        for line in flat.reshape(-1, 4).tolist():
            painter.drawLine(QLineF(*line))

    def _paint_still(self, painter: QPainter) -> None:
        colours = palette()
        self._draw(painter, self._grid, QPen(QColor(colours.line), 1))
        length = 2 * self._spacing
        axes = {"x": colours.red, "y": colours.green, "z": colours.blue}
        for axis, (name, colour) in enumerate(axes.items()):
            end = length * np.eye(3)[axis]
            self._draw(painter, np.array([[np.zeros(3), end]]), QPen(QColor(colour), 2))
            self._write(painter, end, name, colour)
        for name, lines in self._cameras.items():
            self._draw(painter, lines, QPen(QColor(colours.grey), 1))
            self._write(painter, lines[0, 0], name, colours.faint)

    def _paint_shapes(self, painter: QPainter) -> None:
        """Draw the shapes of triggers: green if true, blue if false, dashed if unknown."""
        colours = palette()
        answers = self.moment.answers if self.moment is not None else {}
        for shape in self.scene.shapes:
            answer = answers.get(shape.trigger)
            colour = colours.green if answer else colours.blue
            pen = QPen(QColor(colour), 3 if answer else 1.5)
            if answer is None:
                pen = QPen(QColor(colours.grey), 1.5, Qt.PenStyle.DashLine)
            if shape.trigger == self.chosen_shape:
                pen = QPen(QColor(colours.amber), 3)
            self._draw(painter, shape.lines, pen)
            state = {True: "true", False: "false", None: "unknown"}[answer]
            highest = shape.lines[:, 0][shape.lines[:, 0, 2].argmax()]
            text = f"{shape.trigger}: {state}" if self.moment else shape.trigger
            self._write(painter, highest, text, pen.color().name())

    def _paint_body(self, painter: QPainter, moment: SpaceMoment) -> None:
        """Draw trail, edges and known points; an unknown point is not drawn."""
        colour = QColor(palette().text)
        if self.trails and len(moment.trail) > 1:
            trail = np.array(moment.trail)
            colour.setAlpha(90)
            self._draw(
                painter, np.stack([trail[:-1], trail[1:]], axis=1), QPen(colour, 1.5)
            )
        skeleton, points = moment.skeleton, np.asarray(moment.points, np.float64)
        # shadow on the floor: shows height and place at once
        floor = points * np.array([1.0, 1.0, 0.0])
        edges = [skeleton.indices(edge) for edge in skeleton.edges]
        if edges:
            colour.setAlpha(60)
            self._draw(painter, floor[np.array(edges)], QPen(colour, 3))
            colour.setAlpha(190)
            self._draw(painter, points[np.array(edges)], QPen(colour, 2))
        at = skeleton.bodyparts.index(self._chosen(moment))
        drop = np.array([[points[at], floor[at]]])
        self._draw(painter, drop, QPen(colour, 1, Qt.PenStyle.DotLine))
        for part, (x, y) in enumerate(self._flat(points).tolist()):
            if x == x and y == y:
                painter.setPen(QPen(QColor(0, 0, 0, 190), 1.2))
                painter.setBrush(bodypart_colour(part))
                size = 6.0 if part == at else 4.5
                painter.drawEllipse(QPointF(x, y), size, size)

    def _chosen(self, moment: SpaceMoment) -> str:
        parts = moment.skeleton.bodyparts
        return self.bodypart if self.bodypart in parts else parts[0]

    def _paint_texts(self, painter: QPainter) -> None:
        for number, (text, colour) in enumerate(self.captions()):
            corner = QPointF(10, 30 + 24 * number)
            draw_tag(painter, corner, self._elided(painter, text), QColor(colour))
        corner = QPointF(10, self.height() - 10)
        draw_tag(painter, corner, f"grid {self._spacing:g} mm", QColor(TEXT))

    def _elided(self, painter: QPainter, text: str) -> str:
        """Return a text that fits the width, shortened at its end if need be."""
        mode, room = Qt.TextElideMode.ElideRight, self.width() - 36
        return QFontMetricsF(tag_font(painter)).elidedText(text, mode, room)

    def _write(self, painter: QPainter, place: Floats, text: str, colour: str) -> None:
        """Write a text beside a point of space, if all of it is in the view."""
        x, y = self._flat(place).tolist()
        font = QFont(painter.font())
        font.setPixelSize(HINT_PX)
        font.setBold(False)
        painter.setFont(font)
        width = QFontMetricsF(font).horizontalAdvance(text)
        if x == x and x >= 4 and x + width + 10 <= self.width() and y >= 14:
            painter.setPen(QColor(colour))
            painter.drawText(QPointF(x + 5, y - 4), text)

    def _use(self, orbit: Orbit) -> None:
        self.orbit = orbit
        self.update()

    def reset(self) -> None:
        """Show the first view again."""
        self._use(view_of(self.scene.cameras))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Start to turn the view."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._pressed = self._dragged = event.localPos()
            self.setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Turn the view with the mouse."""
        if event is None or self._dragged is None:
            return
        moved = event.localPos() - self._dragged
        self._dragged = event.localPos()
        turn = _DEGREES_PER_PX
        self._use(self.orbit.turned(-turn * moved.x(), turn * moved.y()))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """End the turn; a click without one chooses the body part below the mouse."""
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        pressed, self._pressed, self._dragged = self._pressed, None, None
        if event is None or pressed is None or self.moment is None:
            return
        if (event.localPos() - pressed).manhattanLength() > 3:
            return
        away = self._flat(self.moment.points) - (pressed.x(), pressed.y())
        far = np.nan_to_num(np.hypot(away[:, 0], away[:, 1]), nan=np.inf)
        if far.min() <= _CLICK_PX:
            self.bodypart = self.moment.skeleton.bodyparts[int(far.argmin())]
            self.update()

    def mouseDoubleClickEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802
        """Show the first view again."""
        self.reset()

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Zoom."""
        if event is not None:
            steps = event.angleDelta().y() / 120
            self._use(self.orbit.zoomed(_ZOOM_PER_STEP**steps))
            event.accept()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Turn by the arrow keys, zoom by + and −, first view by Home."""
        if event is None:
            return
        turn = _DEGREES_PER_KEY
        keys: dict[int, Callable[[], Orbit]] = {
            Qt.Key.Key_Left: lambda: self.orbit.turned(-turn, 0),
            Qt.Key.Key_Right: lambda: self.orbit.turned(turn, 0),
            Qt.Key.Key_Up: lambda: self.orbit.turned(0, turn),
            Qt.Key.Key_Down: lambda: self.orbit.turned(0, -turn),
            Qt.Key.Key_Plus: lambda: self.orbit.zoomed(_ZOOM_PER_STEP),
            Qt.Key.Key_Equal: lambda: self.orbit.zoomed(_ZOOM_PER_STEP),
            Qt.Key.Key_Minus: lambda: self.orbit.zoomed(1 / _ZOOM_PER_STEP),
            Qt.Key.Key_Home: lambda: view_of(self.scene.cameras),
        }
        if event.key() in keys:
            self._use(keys[event.key()]())
        else:
            super().keyPressEvent(event)
