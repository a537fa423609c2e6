"""Frame overlay: regions, skeletons, trails and banners painted above an image."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PyQt5.QtCore import QLineF, QObject, QPointF, QRectF, QSettings, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF

from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton, is_rejected
from deeplabstream.engine.trigger_shapes import TriggerShape
from deeplabstream.gui.theme import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    animal_colour,
    bodypart_colour,
)
from deeplabstream.settings.arena_instances import is_in_arena
from deeplabstream.settings.arenas import listed

_TOP = 2.0
"""Smallest distance of a name from the upper edge, px."""
_CORNER, _CORNER_WIDTH = 58.0, 250.0
"""Size of the image corner with the camera's name, px."""
CHOICES = {
    "trails": "Trails",
    "states": "Trigger states and output in the image",
    "reprojected": "Skeleton projected from space into the image",
}
"""Titles of optional overlays in the menu, by name."""
TRAIL_NS = 1_500_000_000
_MOST_NAMES = 5
"""Outputs whose names are shown while they are on; wells have one each."""
_TRAIL_SHADES = 6
_TRAIL_POINTS = 96
"""Largest number of points of a trail; at higher frame rates some are left out."""


@dataclass(frozen=True)
class Fit:
    """Scale and position of an image in a widget, with its aspect ratio kept."""

    scale: float
    left: float
    top: float

    def to_view(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return the widget positions of pixel centres (…, 2)."""
        pixels: NDArray[np.float64] = np.asarray(points, np.float64)
        return np.asarray((pixels + 0.5) * self.scale + np.array([self.left, self.top]))


def fit(width: int, height: int, room: QRectF) -> Fit:
    """Return the fit of an image of `width` × `height` pixels in `room`."""
    scale = min(room.width() / width, room.height() / height)
    left = room.left() + (room.width() - scale * width) / 2
    return Fit(scale, left, room.top() + (room.height() - scale * height) / 2)


def draw_zones(
    painter: QPainter,
    place: Fit,
    zones: Sequence[TriggerShape],
    answers: Mapping[str, bool | None] | None,
) -> list[QRectF]:
    """Draw each zone: green if its trigger is true, blue if false, dashed if unknown.

    `answers` is None without analysis: all zones are drawn blue. Returns where names stand.
    """
    plates = []
    ranked = sorted(zones, key=lambda zone: bool((answers or {}).get(zone.trigger)))
    for zone in ranked:
        answer = False if answers is None else answers.get(zone.trigger)
        pen = zone_pen(answer)
        corners = place.to_view(zone.outline).tolist()
        colour = QColor(pen.color())
        colour.setAlpha(34 if answer else 0)
        painter.setPen(pen)
        painter.setBrush(colour)
        if len(corners) == 1:
            _draw_cross(painter, corners[0])
        else:
            painter.drawPolygon(QPolygonF(starmap(QPointF, corners)))
        if _has_room(painter, zone.trigger, corners):
            above = name_place(place, corners)
            plates.append(draw_tag(painter, above, zone.trigger, pen.color()))
    return plates


def _has_room(
    painter: QPainter, trigger: str, corners: Sequence[Sequence[float]]
) -> bool:
    """Return whether a zone's name is shown: names of arenas must not cover the next ones.

    The animal's name is that of the arena anyway.
    """
    if not is_in_arena(trigger):
        return True
    left, right = (end(x for x, _ in corners) for end in (min, max))
    return tag_width(painter, trigger) <= right - left


def name_place(place: Fit, corners: Sequence[Sequence[float]]) -> QPointF:
    """Return the position of an outline's name: above it, but not on the camera's name."""
    left, top = map(min, zip(*corners, strict=True))
    low = place.top + _CORNER if left < place.left + _CORNER_WIDTH else 0.0
    return QPointF(left + 5 if top - 7 < low else left, max(top - 7, low))


def zone_pen(answer: bool | None) -> QPen:
    """Return the pen of a zone by the state of its trigger."""
    if answer is None:
        return QPen(QColor(GREY), 2, Qt.PenStyle.DashLine)
    return QPen(QColor(GREEN), 4) if answer else QPen(QColor(BLUE), 2)


def draw_pose(
    painter: QPainter,
    place: Fit,
    step: Step,
    threshold: float,
    plates: Sequence[QRectF] = (),
) -> None:
    """Draw edges and points after filtering, and points that were filtered out.

    Points below `threshold` are small and faint, rejected points crossed out at the
    position of the network, and held points hollow. Named animals have a label, which
    neither covers `plates`, where other names stand, nor is covered by points.
    """
    named = list[tuple[int, NDArray[np.float64]]]()
    pose, seen = step.pose, step.as_seen(threshold)
    edges = [pose.skeleton.indices(edge) for edge in pose.skeleton.edges]
    flags = [step.flags.get(name, "") for name in pose.names]
    parts = len(pose.skeleton.bodyparts)
    for animal, points in enumerate(place.to_view(seen.points)):
        raw, known = place.to_view(pose.points[animal]), np.isfinite(points).all(axis=1)
        several = len(pose.skeleton.animals) > 1
        colour = animal_colour(animal) if several else QColor(255, 255, 255, 150)
        painter.setPen(QPen(colour, 2 if several else 1.5))
        for one, other in edges:
            if known[[one, other]].all():
                painter.drawLine(QPointF(*points[one]), QPointF(*points[other]))
        for part, flag in enumerate(flags[animal * parts : (animal + 1) * parts]):
            colour = bodypart_colour(part)
            if is_rejected(flag):
                painter.setPen(QPen(QColor(RED), 2))
                _draw_saltire(painter, raw[part])
            elif np.isfinite(raw[part]).all() and not known[part]:
                _draw_unsure(painter, raw[part], colour)
            if known[part]:
                _draw_point(painter, points[part], colour, held="held" in flag)
        if pose.skeleton.animals and known.any():
            named.append((animal, points[known]))
    taken = [*plates]
    for animal, points in named:
        taken.append(_draw_name(painter, points, pose, animal, taken))


@dataclass(frozen=True, slots=True, eq=False)
class Reprojection:
    """Where a camera sees the points in space of a moment."""

    skeleton: Skeleton
    pixels: NDArray[np.float64]
    """(body part, 2), px; NaN: not known, or not seen."""
    caption: str = ""
    """Height of a body part."""


@dataclass(frozen=True, slots=True, eq=False)
class SpaceOutline:
    """Where a camera sees the volume, height or plane of a trigger."""

    trigger: str
    lines: NDArray[np.float64]
    """(n, 2, 2), px."""


def draw_outlines(
    painter: QPainter,
    place: Fit,
    outlines: Sequence[SpaceOutline],
    answers: Mapping[str, bool | None] | None,
    chosen: str = "",
) -> None:
    """Draw what cameras see of triggers in space, in the colours of `draw_zones`.

    `chosen`: a trigger in amber.
    """
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for outline in outlines:
        pen = zone_pen(False if answers is None else answers.get(outline.trigger))
        if outline.trigger == chosen:
            pen = QPen(QColor(AMBER), 3)
        painter.setPen(pen)
        ends = place.to_view(outline.lines)
        for line in ends.reshape(-1, 4).tolist():
            painter.drawLine(QLineF(*line))
        shown = painter.clipBoundingRect()
        inside = [at for at in ends.reshape(-1, 2).tolist() if shown.contains(*at)]
        if inside:
            corner = name_place(place, [min(inside, key=lambda at: at[1])])
            draw_tag(painter, corner, outline.trigger, pen.color())


def draw_reprojection(painter: QPainter, place: Fit, shown: Reprojection) -> None:
    """Draw points and edges that come from space, dashed."""
    points = place.to_view(shown.pixels)
    known: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(AMBER), 1.5, Qt.PenStyle.DashLine))
    for one, other in map(shown.skeleton.indices, shown.skeleton.edges):
        if known[[one, other]].all():
            painter.drawLine(QPointF(*points[one]), QPointF(*points[other]))
    painter.setPen(QPen(QColor(AMBER), 1.5))
    for point in points[known]:
        painter.drawEllipse(QPointF(*point), 7, 7)


def _draw_name(
    painter: QPainter,
    points: NDArray[np.float64],
    pose: Pose,
    animal: int,
    taken: Sequence[QRectF],
) -> QRectF:
    """Write an animal's name above its points, with a question mark if it is ambiguous.

    It stands higher, or else lower, where it would cover one of the plates `taken`.
    """
    ambiguous = pose.is_ambiguous(animal)
    name = f"{pose.skeleton.animals[animal]}{'?' if ambiguous else ''}"
    above = QPointF(float(points[:, 0].mean()), float(points[:, 1].min()) - 8)
    colour = QColor(GREY) if ambiguous else animal_colour(animal)
    wanted = tag_plate(painter, above, name, centre=True)
    shift = free_shift(wanted, taken)
    return draw_tag(painter, above + QPointF(0, shift), name, colour, centre=True)


def free_shift(wanted: QRectF, taken: Sequence[QRectF]) -> float:
    """Return by how much to move a plate so that it covers no other, px, up first.

    0 where there is no room within a few plates.

    >>> free_shift(QRectF(0, 50, 20, 10), [QRectF(5, 45, 20, 10)])
    -22.0
    """
    step = wanted.height() + 1
    for steps in (0, -1, -2, -3, 1, 2, 3):
        moved = wanted.translated(0, steps * step)
        if moved.top() >= _TOP and not any(map(moved.intersects, taken)):
            return float(steps * step)
    return 0.0


def _draw_point(
    painter: QPainter, point: NDArray[np.float64], colour: QColor, held: bool
) -> None:
    if held:
        painter.setPen(QPen(colour, 2, Qt.PenStyle.DotLine))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QPointF(*point), 6, 6)
    else:
        painter.setPen(QPen(QColor(0, 0, 0, 190), 1.2))
        painter.setBrush(colour)
        painter.drawEllipse(QPointF(*point), 4.5, 4.5)


def _draw_unsure(painter: QPainter, point: NDArray[np.float64], colour: QColor) -> None:
    colour.setAlpha(110)
    painter.setPen(QPen(colour, 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawEllipse(QPointF(*point), 3, 3)


def _draw_saltire(painter: QPainter, point: NDArray[np.float64]) -> None:
    x, y = point
    painter.drawLine(QPointF(x - 5, y - 5), QPointF(x + 5, y + 5))
    painter.drawLine(QPointF(x - 5, y + 5), QPointF(x + 5, y - 5))


def _draw_cross(painter: QPainter, point: Sequence[float]) -> None:
    x, y = point
    painter.drawLine(QPointF(x - 8, y), QPointF(x + 8, y))
    painter.drawLine(QPointF(x, y - 8), QPointF(x, y + 8))


def draw_state(
    painter: QPainter, image: QRectF, step: Step | None, levels: Mapping[str, float]
) -> None:
    """Draw a frame around the image while an output is on, and a note on lost animals."""
    on = [name for name, level in levels.items() if level > 0]
    if on:
        painter.setPen(QPen(QColor(AMBER), 5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(image.adjusted(2.5, 2.5, -2.5, -2.5))
        corner = QPointF(image.right() - 12, image.top() + 30)
        text = f"● {listed(on, _MOST_NAMES)} on"
        draw_tag(painter, corner, text, QColor(AMBER), right=True)
    if step is not None and (step.lost or step.too_old):
        middle = QPointF(image.center().x(), image.bottom() - 16)
        text = _lost_text(step)
        if tag_width(painter, text) > image.width():  # the reason alone
            text = text.partition(":")[0]
        draw_tag(painter, middle, text, QColor(RED), centre=True)


def _lost_text(step: Step) -> str:
    """Return why triggers are unknown; and which, where others are known.

    A trigger on any animal may be true while the identity of another one is ambiguous: then
    the experiment still decides.
    """
    if step.too_old:
        return "Frames are too old: no decisions"
    ambiguous = any(map(step.pose.is_ambiguous, range(len(step.pose.points))))
    why = "Identities are ambiguous" if ambiguous else "Animal lost"
    states = step.answers
    unknown = [name for name, state in states.items() if state is None]
    if len(unknown) == len(states):
        return f"{why}: no decisions"
    # where none is listed, the triggers of another camera are unknown
    return f"{why}: {listed(unknown, _MOST_NAMES) if unknown else 'triggers'} unknown"


def draw_tag(
    painter: QPainter,
    corner: QPointF,
    text: str,
    colour: QColor,
    *,
    right: bool = False,
    centre: bool = False,
) -> QRectF:
    """Write text on a dark background; `corner`: its lower left, right or middle point."""
    painter.setFont(tag_font(painter))
    plate = tag_plate(painter, corner, text, right=right, centre=centre)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(10, 12, 15, 205))
    painter.drawRoundedRect(plate, 4, 4)
    painter.setPen(colour)
    painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)
    return plate


def tag_plate(
    painter: QPainter,
    corner: QPointF,
    text: str,
    *,
    right: bool = False,
    centre: bool = False,
) -> QRectF:
    """Return the background of a text of `draw_tag`."""
    width = tag_width(painter, text)
    height = QFontMetricsF(tag_font(painter)).height() + 4
    left = corner.x() - width * (1.0 if right else 0.5 if centre else 0.0)
    return QRectF(left, max(corner.y() - height, _TOP), width, height)


def tag_font(painter: QPainter) -> QFont:
    """Return the font of `draw_tag`."""
    font = QFont(painter.font())
    font.setPixelSize(13)
    font.setBold(True)
    return font


def tag_width(painter: QPainter, text: str) -> float:
    """Return the width of a text that `draw_tag` writes, px."""
    return QFontMetricsF(tag_font(painter)).horizontalAdvance(text) + 14


class Painted(QObject):
    """Which optional overlays are painted; `memory` stores the choice."""

    changed = pyqtSignal()

    def __init__(self, memory: QSettings | None = None) -> None:
        super().__init__()
        self._memory = memory
        self._on = {name: self._load_shown(name) for name in CHOICES}

    def shows(self, name: str) -> bool:
        """Return whether an overlay is painted."""
        return self._on[name]

    def choose(self, name: str, on: bool) -> None:
        """Switch an overlay on or off."""
        self._on[name] = on
        if self._memory is not None:
            self._memory.setValue(f"painted/{name}", on)
        self.changed.emit()

    def _load_shown(self, name: str) -> bool:
        if self._memory is None:
            return True
        # QSettings returns texts from INI files and numbers from the registry
        return str(self._memory.value(f"painted/{name}", True)).casefold() in (
            "true",
            "1",
        )


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
        oldest_ns = step.exposed_ns - TRAIL_NS
        while self._positions and self._positions[0][0] < oldest_ns:
            self._positions.popleft()
        last_ns = self._positions[-1][0] if self._positions else oldest_ns
        if step.exposed_ns - last_ns >= TRAIL_NS // _TRAIL_POINTS:
            self._positions.append((step.exposed_ns, middles(step, threshold)))

    def draw(self, painter: QPainter, place: Fit) -> None:
        """Draw the trails, fading with age; gaps where an animal was lost."""
        if len(self._positions) < 2:
            return
        newest_ns = self._positions[-1][0]
        ages = np.array([newest_ns - when for when, _ in self._positions]) / TRAIL_NS
        shades = np.minimum(((1 - ages) * _TRAIL_SHADES).astype(int), _TRAIL_SHADES - 1)
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
        for shade in range(_TRAIL_SHADES):
            places = np.flatnonzero(shades == shade)
            if not len(places):
                continue
            last = min(
                places[-1] + 2, len(trail)
            )  # up to the first point of the next shade
            colour.setAlpha(30 + 170 * shade // (_TRAIL_SHADES - 1))
            painter.setPen(QPen(colour, 2.0))
            for start, end in _sequences(known[places[0] : last]):
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


def _sequences(known: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return start and end of each sequence of at least two known points."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]])))
    pairs = edges.reshape(-1, 2).tolist()
    return [(start, end) for start, end in pairs if end - start > 1]
