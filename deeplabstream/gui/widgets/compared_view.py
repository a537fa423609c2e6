"""Comparison view: an image with its labels and the points of a network."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PyQt5.QtCore import QPointF, QSize, Qt
from PyQt5.QtGui import QColor, QPainter, QPen

from deeplabstream.core.frame import Image
from deeplabstream.gui.theme import bodypart_colour
from deeplabstream.gui.widgets.frame_overlay import Fit
from deeplabstream.gui.widgets.zoomed_view import ZoomedView
from deeplabstream.pose.image_files import decode

_SMALL = (120, 84)


class ComparedView(ZoomedView):
    """Shows labels as rings and predictions as dots, joined by lines."""

    def __init__(self, *, small: bool = False) -> None:
        super().__init__("")
        self.labels: NDArray[np.float64] = np.empty((0, 2))
        self.found: NDArray[np.float64] = np.empty((0, 2))
        self._small = small
        self._parts = 0
        if small:
            self.setMinimumSize(*_SMALL)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of a small view."""
        return QSize(*_SMALL) if self._small else super().sizeHint()

    def compare(
        self,
        file: Path,
        number: int,
        labels: ArrayLike,
        found: ArrayLike,
        parts: int = 0,
    ) -> None:
        """Show an image file with points (animal · body part, 2), px; NaN: none.

        `parts`: body parts per animal; 0: one animal.
        """
        self._parts = parts
        self.labels = np.asarray(labels, np.float64).reshape(-1, 2)
        self.found = np.asarray(found, np.float64).reshape(-1, 2)
        image = read_image(file)
        if image is None:
            self.clear(f"Can't read {file.name}")
            return
        self.camera = file.stem
        self.show_whole()
        self.show_image(image, number, None)

    def paint_above(self, painter: QPainter, place: Fit) -> None:
        """Paint labels and predictions."""
        size = 3.0 if self._small else 5.0
        labels, found = place.to_view(self.labels), place.to_view(self.found)
        for part in range(max(len(labels), len(found))):
            colour = bodypart_colour(part % self._parts if self._parts else part)
            label = labels[part] if part < len(labels) else np.full(2, np.nan)
            dot = found[part] if part < len(found) else np.full(2, np.nan)
            labelled, seen = np.isfinite(label).all(), np.isfinite(dot).all()
            if labelled and seen:
                painter.setPen(QPen(QColor(255, 255, 255, 170), 1.2))
                painter.drawLine(QPointF(*label), QPointF(*dot))
            if labelled:
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(QColor(0, 0, 0, 180), 3.5))
                painter.drawEllipse(QPointF(*label), size + 1.5, size + 1.5)
                painter.setPen(QPen(colour, 2))
                painter.drawEllipse(QPointF(*label), size + 1.5, size + 1.5)
            if seen:
                painter.setPen(QPen(QColor(0, 0, 0, 190), 1))
                painter.setBrush(colour)
                painter.drawEllipse(QPointF(*dot), size - 1, size - 1)


def read_image(file: Path, *, small: bool = False) -> Image | None:
    """Return the pixels of an image file, `small`: at a quarter of its size; None: unreadable."""
    how = cv2.IMREAD_REDUCED_COLOR_4 if small else cv2.IMREAD_ANYCOLOR
    try:
        read = decode(file.read_bytes(), how)
    except OSError:
        return None
    return None if read is None else np.asarray(read, np.uint8)
