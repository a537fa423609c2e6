"""Trails: recent positions of each animal, as a fading line."""

from collections import deque

import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import QPointF
from PyQt5.QtGui import QColor, QPainter, QPen, QPolygonF

from deeplabstream.core.journal_entries import Step
from deeplabstream.gui.theme import animal_colour
from deeplabstream.gui.widgets.frame_overlay import Fit

SPAN_NS = 1_500_000_000
_SHADES = 6
_MOST = 96
"""Largest number of points of a trail; at higher frame rates some are left out."""


class Trail:
    """Recent positions of the animals in one camera, newest last."""

    def __init__(self) -> None:
        self._positions: deque[tuple[int, NDArray[np.float64]]] = deque()
        """Time, and centres (animal, 2), px; NaN: too few points."""

    def clear(self) -> None:
        """Delete all positions."""
        self._positions.clear()

    def add(self, step: Step, threshold: float) -> None:
        """Add the filtered pose of a frame; an earlier time starts a new trail."""
        if self._positions and step.exposed_ns < self._positions[-1][0]:
            self.clear()
        oldest_ns = step.exposed_ns - SPAN_NS
        while self._positions and self._positions[0][0] < oldest_ns:
            self._positions.popleft()
        last_ns = self._positions[-1][0] if self._positions else oldest_ns
        if step.exposed_ns - last_ns >= SPAN_NS // _MOST:
            self._positions.append((step.exposed_ns, middles(step, threshold)))

    def draw(self, painter: QPainter, place: Fit) -> None:
        """Draw the trails, fading with age; gaps where an animal was lost."""
        if len(self._positions) < 2:
            return
        newest_ns = self._positions[-1][0]
        ages = np.array([newest_ns - when for when, _ in self._positions]) / SPAN_NS
        shades = np.minimum(((1 - ages) * _SHADES).astype(int), _SHADES - 1)
        most = max(len(middle) for _, middle in self._positions)
        for animal in range(most):
            trail = [
                middle[animal] if animal < len(middle) else (np.nan, np.nan)
                for _, middle in self._positions
            ]
            colour = animal_colour(animal) if most > 1 else QColor(255, 255, 255)
            self._draw_one(painter, place.to_view(trail), shades, colour)

    def _draw_one(
        self,
        painter: QPainter,
        trail: NDArray[np.float64],
        shades: NDArray[np.int64],
        colour: QColor,
    ) -> None:
        known: NDArray[np.bool_] = np.asarray(np.isfinite(trail).all(axis=1))
        for shade in range(_SHADES):
            places = np.flatnonzero(shades == shade)
            if not len(places):
                continue
            last = min(places[-1] + 2, len(trail))  # up to where the next shade begins
            colour.setAlpha(30 + 170 * shade // (_SHADES - 1))
            painter.setPen(QPen(colour, 2.0))
            for start, end in _runs(known[places[0] : last]):
                part = trail[places[0] + start : places[0] + end]
                painter.drawPolyline(
                    QPolygonF([QPointF(x, y) for x, y in part.tolist()])
                )


def middles(step: Step, threshold: float) -> NDArray[np.float64]:
    """Return the mean (animal, 2), px, of an animal's points; NaN: less than half seen."""
    points = step.as_seen(threshold).points.astype(np.float64)
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=2))
    number = seen.sum(axis=1)
    sums = np.where(seen[:, :, None], points, 0.0).sum(axis=1)
    found = sums / np.maximum(number, 1)[:, None]
    middle: NDArray[np.float64] = np.asarray(found)
    middle[2 * number < seen.shape[1]] = np.nan
    return middle


def _runs(known: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return start and end of each sequence of at least two known points."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]])))
    pairs = edges.reshape(-1, 2).tolist()
    return [(start, end) for start, end in pairs if end - start > 1]
