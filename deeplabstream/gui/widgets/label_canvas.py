"""Label canvas: the image on which body parts are placed, with zoom and brightness."""

from math import hypot

import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QMouseEvent, QPainter, QPen, QWheelEvent

from deeplabstream.core.frame import Image
from deeplabstream.gui.theme import AMBER, bodypart_colour
from deeplabstream.gui.widgets.frame_overlay import Fit, draw_tag, fit
from deeplabstream.gui.widgets.video_view import VideoView

_NEAR = 9.0
"""Px of the screen within which the mouse takes hold of a point."""
_MOST_ZOOM = 20.0


class LabelCanvas(VideoView):
    """Shows one picture and its points; what a person does to them is told."""

    placed = pyqtSignal(int, float, float)
    """A body part was put there: its number, x and y in px."""
    removed = pyqtSignal(int)
    """A body part is not to be seen."""

    def __init__(self) -> None:
        super().__init__("")
        self.bodyparts: tuple[str, ...] = ()
        self.points: NDArray[np.float32] = np.empty((0, 2), np.float32)
        self.part = 0
        """The body part that the next click places."""
        self.edges: tuple[tuple[str, str], ...] = ()
        self.proposed = False
        """Whether a network found the points, and nobody has said that they are right."""
        self.gain = 1.0
        """Contrast, around the middle grey."""
        self._raw: Image | None = None
        self._zoom = 1.0
        self._centre = (0.5, 0.5)
        """Where in the picture the middle of the widget is, as shares."""
        self._held: int | None = None
        self._panned: QPointF | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def show_labels(
        self, image: Image, points: NDArray[np.float32], part: int, number: int
    ) -> None:
        """Show a picture with its points (body part, 2)."""
        self._raw, self.points, self.part = image, points.copy(), part
        self._held = None
        self._show(number)

    def use_gain(self, gain: float) -> None:
        """Show with another contrast."""
        self.gain = gain
        if self._raw is not None:
            self._show(self._index or 0)

    @property
    def place(self) -> Fit | None:
        """Where the zoomed picture lies in the widget."""
        if self._image is None:
            return None
        width, height = self._image.width(), self._image.height()
        whole = fit(width, height, QRectF(self.rect()))
        if self._zoom == 1:
            return whole
        scale = whole.scale * self._zoom
        left = self.width() / 2 - self._centre[0] * width * scale
        top = self.height() / 2 - self._centre[1] * height * scale
        return Fit(scale, left, top)

    def pixel(self, at: QPointF) -> tuple[float, float] | None:
        """Return where in the picture a place of the widget is; None: outside of it."""
        place, image = self.place, self._image
        if place is None or image is None:
            return None
        x = (at.x() - place.left) / place.scale - 0.5
        y = (at.y() - place.top) / place.scale - 0.5
        inside = -0.5 <= x < image.width() - 0.5 and -0.5 <= y < image.height() - 0.5
        return (round(x, 2), round(y, 2)) if inside else None

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Take hold of a point, place one, remove one, or move the picture."""
        if event is None:
            return
        near = self._near(event.localPos())
        if event.button() == Qt.MouseButton.MiddleButton:
            self._panned = event.localPos()
        elif event.button() == Qt.MouseButton.RightButton:
            if near is not None:
                self.removed.emit(near)
        elif near is not None:
            self._held = near
        elif (at := self.pixel(event.localPos())) is not None:
            self.placed.emit(self.part, *at)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Drag a point, or the picture."""
        if event is None:
            return
        at = self.pixel(event.localPos())
        if self._held is not None and at is not None:
            self.points[self._held] = at
            self.update()
        elif self._panned is not None and self.place and self._image is not None:
            moved = event.localPos() - self._panned
            self._panned = event.localPos()
            width = self._image.width() * self.place.scale
            height = self._image.height() * self.place.scale
            x, y = self._centre
            self._centre = (x - moved.x() / width, y - moved.y() / height)
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Tell where a dragged point is now."""
        held, self._held, self._panned = self._held, None, None
        at = self.pixel(event.localPos()) if event is not None else None
        if held is not None and at is not None:
            self.placed.emit(held, *at)

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Zoom, the place under the mouse staying where it is."""
        if event is None or self.place is None or self._image is None:
            return
        self._zoom_at(event.position(), event.angleDelta().y() > 0)

    def zoom(self, closer: bool) -> None:
        """Zoom about the chosen point, or the middle where it is not placed."""
        place = self.place
        at = QPointF(self.rect().center())
        if place is not None and self.part < len(self.points):
            x, y = place.to_view(self.points[self.part]).tolist()
            inside = x == x and self.rect().contains(round(x), round(y))
            at = QPointF(x, y) if inside else at
        self._zoom_at(at, closer)

    def show_whole(self) -> None:
        """Zoom no more."""
        self._zoom, self._centre = 1.0, (0.5, 0.5)
        self.update()

    def _zoom_at(self, at: QPointF, closer: bool) -> None:
        under = self.pixel(at)
        if under is None or self._image is None:
            return
        factor = 1.25 if closer else 0.8
        self._zoom = min(max(1.0, self._zoom * factor), _MOST_ZOOM)
        self._centre = (0.5, 0.5)
        place = self.place
        if place is None:
            return
        width, height = self._image.width(), self._image.height()
        x = under[0] + 0.5 - (at.x() - self.width() / 2) / place.scale
        y = under[1] + 0.5 - (at.y() - self.height() / 2) / place.scale
        self._centre = (x / width, y / height)
        self.update()

    def paint_above(self, painter: QPainter, place: Fit) -> None:
        """Paint the points, the present one's name beside it."""
        views = place.to_view(self.points).tolist()
        self._draw_edges(painter, views)
        for part, (x, y) in enumerate(views):
            if np.isnan(x):
                continue
            chosen = part in (self._held, self.part)
            colour = bodypart_colour(part)
            edge = (
                QColor(AMBER)
                if chosen
                else colour
                if self.proposed
                else QColor(0, 0, 0)
            )
            line = Qt.PenStyle.DotLine if self.proposed else Qt.PenStyle.SolidLine
            painter.setPen(QPen(edge, 2, line))
            colour.setAlpha(50 if self.proposed else 150)
            painter.setBrush(colour)
            painter.drawEllipse(QPointF(x, y), 5.5, 5.5)
            painter.drawPoint(QPointF(x, y))
            if chosen:
                name = self.bodyparts[part]
                draw_tag(painter, QPointF(x + 10, y - 6), name, QColor(AMBER))
        if self.proposed:
            corner = QPointF(10, self.height() - 10)
            draw_tag(
                painter,
                corner,
                "Pre-labelled: drag wrong points, then press Space",
                QColor(AMBER),
            )

    def _draw_edges(self, painter: QPainter, views: list[list[float]]) -> None:
        painter.setPen(QPen(QColor(255, 255, 255, 150), 1.5))
        for one, other in self.edges:
            ends = [views[self.bodyparts.index(name)] for name in (one, other)]
            if not np.isnan(ends).any():
                painter.drawLine(QPointF(*ends[0]), QPointF(*ends[1]))

    def _show(self, number: int) -> None:
        if self._raw is None:
            return
        shown = (self._raw.astype(np.float32) - 128) * self.gain + 128
        self.show_picture(np.clip(shown, 0, 255).astype(np.uint8), number, None)

    def _near(self, at: QPointF) -> int | None:
        place = self.place
        if place is None or not len(self.points):
            return None
        views = place.to_view(self.points).tolist()
        away = [hypot(x - at.x(), y - at.y()) for x, y in views]
        known = [(far, part) for part, far in enumerate(away) if far == far]
        return min(known)[1] if known and min(known)[0] <= _NEAR else None
