"""Zoomed view: an image that the wheel zooms and the middle button moves."""

from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QMouseEvent, QWheelEvent

from deeplabstream.gui.widgets.frame_overlay import Fit, fit
from deeplabstream.gui.widgets.video_view import VideoView

_MOST_ZOOM = 20.0


class ZoomedView(VideoView):
    """Shows a part of its image; `show_whole` shows all of it again."""

    def __init__(self, camera: str) -> None:
        super().__init__(camera)
        self._zoom = 1.0
        self._centre = (0.5, 0.5)
        """Image position at the middle of the widget, as shares of width and height."""
        self._panned: QPointF | None = None

    @property
    def place(self) -> Fit | None:
        """Scale and position of the zoomed image; None: no image."""
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
        """Return the image position of a widget position; None: outside of the image."""
        place, image = self.place, self._image
        if place is None or image is None:
            return None
        x = (at.x() - place.left) / place.scale - 0.5
        y = (at.y() - place.top) / place.scale - 0.5
        inside = -0.5 <= x < image.width() - 0.5 and -0.5 <= y < image.height() - 0.5
        return (round(x, 2), round(y, 2)) if inside else None

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Start to move the image with the middle button."""
        if event is not None and event.button() == Qt.MouseButton.MiddleButton:
            self._panned = event.localPos()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Move the image."""
        place, image = self.place, self._image
        if event is None or self._panned is None or place is None or image is None:
            return
        moved = event.localPos() - self._panned
        self._panned = event.localPos()
        width, height = image.width() * place.scale, image.height() * place.scale
        x, y = self._centre
        self._centre = (x - moved.x() / width, y - moved.y() / height)
        self.update()

    def mouseReleaseEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802
        """Stop moving the image."""
        self._panned = None

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Zoom around the mouse."""
        if event is None or self.place is None or self._image is None:
            return
        self._zoom_at(event.position(), event.angleDelta().y() > 0)

    def zoom(self, closer: bool) -> None:
        """Zoom around `zoom_centre`."""
        self._zoom_at(self.zoom_centre, closer)

    @property
    def zoom_centre(self) -> QPointF:
        """Position around which buttons and keys zoom: the middle."""
        return QPointF(self.rect().center())

    def show_whole(self) -> None:
        """Reset the zoom."""
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
