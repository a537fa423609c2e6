"""Label canvas: the image on which body parts are placed, with zoom and brightness."""

from math import hypot

import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QMouseEvent, QPainter, QPen

from deeplabstream.core.frame import Image
from deeplabstream.gui.theme import AMBER, animal_colour, bodypart_colour
from deeplabstream.gui.widgets.frame_overlay import Fit, draw_tag
from deeplabstream.gui.widgets.zoomed_view import ZoomedView

_NEAR = 9.0
"""Distance within which the mouse grabs a point, px of the screen."""


class LabelCanvas(ZoomedView):
    """Shows an image and its points; emits a signal when the user edits one."""

    placed = pyqtSignal(int, float, float)
    """A point was placed: its number, x and y in px."""
    removed = pyqtSignal(int)
    """A body part was marked as not visible: its number."""

    def __init__(self) -> None:
        super().__init__("")
        self.bodyparts: tuple[str, ...] = ()
        self.individuals: tuple[str, ...] = ()
        """Names of the animals; empty: one animal without a name."""
        self.points: NDArray[np.float32] = np.empty((0, 2), np.float32)
        self.part = 0
        """Number of the point that the next click places: body part + animal · body parts."""
        self.edges: tuple[tuple[str, str], ...] = ()
        self.pending = ""
        """Why the points are not labels yet (pre-labelled, copied); empty: they are."""
        self.gain = 1.0
        """Contrast factor around middle grey."""
        self._raw: Image | None = None
        self._held: int | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def show_labels(
        self, image: Image, points: NDArray[np.float32], part: int, number: int
    ) -> None:
        """Show an image with its points (animal · body part, 2)."""
        self._raw, self.points, self.part = image, points.copy(), part
        self._held = None
        self._show(number)

    def use_gain(self, gain: float) -> None:
        """Set the contrast of the display."""
        self.gain = gain
        if self._raw is not None:
            self._show(self._index or 0)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Grab, place or remove a point, or start moving the image."""
        if event is None:
            return
        near = self._near(event.localPos())
        super().mousePressEvent(event)
        if event.button() == Qt.MouseButton.MiddleButton:
            return
        if event.button() == Qt.MouseButton.RightButton:
            if near is not None:
                self.removed.emit(near)
        elif near is not None:
            self._held = near
        elif (at := self.pixel(event.localPos())) is not None:
            self.placed.emit(self.part, *at)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Drag a point or the image."""
        if event is None:
            return
        at = self.pixel(event.localPos())
        if self._held is not None and at is not None:
            self.points[self._held] = at
            self.update()
        else:
            super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Emit the new position of a dragged point."""
        held, self._held = self._held, None
        super().mouseReleaseEvent(event)
        at = self.pixel(event.localPos()) if event is not None else None
        if held is not None and at is not None:
            self.placed.emit(held, *at)

    @property
    def zoom_centre(self) -> QPointF:
        """The current point, or the middle if it is not placed."""
        place = self.place
        if place is not None and self.part < len(self.points):
            x, y = place.to_view(self.points[self.part]).tolist()
            if x == x and self.rect().contains(round(x), round(y)):
                return QPointF(x, y)
        return super().zoom_centre

    def paint_above(self, painter: QPainter, place: Fit) -> None:
        """Paint the points, with the name of the current one."""
        views = place.to_view(self.points).tolist()
        self._draw_edges(painter, views)
        for part, (x, y) in enumerate(views):
            if np.isnan(x):
                continue
            chosen = part in (self._held, self.part)
            animal, place_in_animal = divmod(part, len(self.bodyparts))
            colour = bodypart_colour(place_in_animal)
            if chosen:
                edge = QColor(AMBER)
            elif self.individuals:
                edge = animal_colour(animal)
            else:
                edge = colour if self.pending else QColor(0, 0, 0)
            line = Qt.PenStyle.DotLine if self.pending else Qt.PenStyle.SolidLine
            painter.setPen(QPen(edge, 2, line))
            colour.setAlpha(50 if self.pending else 150)
            painter.setBrush(colour)
            painter.drawEllipse(QPointF(x, y), 5.5, 5.5)
            painter.drawPoint(QPointF(x, y))
            if chosen:
                self._draw_name(painter, part, views)
        for animal, name in enumerate(self.individuals):
            self._draw_animal(painter, animal, name, views)
        if self.pending:
            corner = QPointF(10, self.height() - 10)
            hint = f"{self.pending}: drag wrong points, then press Space"
            draw_tag(painter, corner, hint, QColor(AMBER))

    def _draw_animal(
        self, painter: QPainter, animal: int, name: str, views: list[list[float]]
    ) -> None:
        """Write an animal's name above its points, except for the current animal."""
        count = len(self.bodyparts)
        own = np.array(views[animal * count : (animal + 1) * count], np.float64)
        if np.isfinite(own).any() and self.part // count != animal:
            x, y = float(np.nanmean(own[:, 0])), float(np.nanmin(own[:, 1])) - 10
            draw_tag(painter, QPointF(x, y), name, animal_colour(animal), centre=True)

    def _draw_name(
        self, painter: QPainter, part: int, views: list[list[float]]
    ) -> None:
        """Write a point's name where it hides the fewest other points."""
        x, y = views[part]
        animal, own = divmod(part, len(self.bodyparts))
        name = self.bodyparts[own]
        if self.individuals:
            name = f"{self.individuals[animal]} {name}"
        width = painter.fontMetrics().horizontalAdvance(name) + 16
        corners = [
            QPointF(left, low)
            for low in (y - 8, y + 24)
            for left in (x + 10, x - 10 - width)
        ]

        def hidden(corner: QPointF) -> int:
            tag = QRectF(corner.x() - 8, corner.y() - 20, width, 26)
            others = (QPointF(*at) for place, at in enumerate(views) if place != part)
            return sum(tag.contains(at) for at in others)

        draw_tag(painter, min(corners, key=hidden), name, QColor(AMBER))

    def _draw_edges(self, painter: QPainter, views: list[list[float]]) -> None:
        painter.setPen(QPen(QColor(255, 255, 255, 150), 1.5))
        count = len(self.bodyparts)
        for animal in range(len(views) // count if count else 0):
            if self.individuals:
                painter.setPen(QPen(animal_colour(animal), 2))
            own = views[animal * count : (animal + 1) * count]
            for one, other in self.edges:
                ends = [own[self.bodyparts.index(name)] for name in (one, other)]
                if not np.isnan(ends).any():
                    painter.drawLine(QPointF(*ends[0]), QPointF(*ends[1]))

    def _show(self, number: int) -> None:
        if self._raw is None:
            return
        shown = (self._raw.astype(np.float32) - 128) * self.gain + 128
        self.show_image(np.clip(shown, 0, 255).astype(np.uint8), number, None)

    def _near(self, at: QPointF) -> int | None:
        place = self.place
        if place is None or not len(self.points):
            return None
        views = place.to_view(self.points).tolist()
        away = [hypot(x - at.x(), y - at.y()) for x, y in views]
        known = [(far, part) for part, far in enumerate(away) if far == far]
        return min(known)[1] if known and min(known)[0] <= _NEAR else None
