"""Space items: volumes, heights and planes of triggers, as edited in two views; without Qt.

A view shows two axes of space: `ABOVE` x and y, `FRONT` x and z, `SIDE` y and z. Numbers that a
drag changes are whole millimetres; all others stay as they are.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import atan2, cos, degrees, hypot, radians, sin
from typing import Literal, TypeAlias

import numpy as np

from deeplabstream.core.regions import parse_region
from deeplabstream.core.volumes import Volume, parse_volume
from deeplabstream.gui.shapes import (
    Corner,
    Shape,
    ShapeKind,
    polygon,
    shape_from_drag,
)
from deeplabstream.gui.space_geometry import Floats, plane_lines, volume_lines

SpaceAxes: TypeAlias = tuple[int, int]
ABOVE, FRONT, SIDE = (0, 1), (0, 2), (1, 2)
AXES = "xyz"
SpaceTool: TypeAlias = Literal["box", "cylinder", "polygon", "height", "plane"]
FOOTPRINTS: Mapping[str, ShapeKind] = {
    "box": "rectangle",
    "cylinder": "circle",
    "polygon": "polygon",
}
"""Region of the floor of each kind of volume that can be drawn."""
Point3: TypeAlias = tuple[float, float, float]

_LEAST_HEIGHT = 1.0  # mm
_EDGE_ON = 0.05
"""Length of a plane's normal in a view, of 1, below which the view shows no line of it."""


class SpaceItem(ABC):
    """A volume, height or plane in mm."""

    @abstractmethod
    def words(self) -> dict[str, str]:
        """Return the keys of a trigger's section for it, with their values."""

    @abstractmethod
    def lines(self, centre: Sequence[float], half: float) -> Floats:
        """Return its edges (n, 2, 3); a plane as a square of 2 × `half` around `centre`."""

    @abstractmethod
    def mark(self, axes: SpaceAxes, room: tuple[Corner, Corner]) -> Shape | None:
        """Return the outline, line or point that a view of two axes shows; None: nothing.

        `room`: smallest and largest coordinates of the view, in mm.
        """

    @abstractmethod
    def handles(self, axes: SpaceAxes, arm: float) -> tuple[Corner, ...]:
        """Return the positions of the handles in a view; `arm`: length of a direction, mm."""

    @abstractmethod
    def moved(self, axes: SpaceAxes, across: float, up: float) -> "SpaceItem":
        """Return it moved in a view."""

    @abstractmethod
    def reshaped(
        self, axes: SpaceAxes, handle: int, at: Corner, before: Corner
    ) -> "SpaceItem":
        """Return it with one of its `handles` dragged from `before` to `at`."""


@dataclass(frozen=True)
class VolumeItem(SpaceItem):
    """A region of the floor between two heights."""

    footprint: Shape
    low: float
    high: float

    def words(self) -> dict[str, str]:
        """Return VOLUME."""
        footprint = [self.footprint.kind, *map(str, self.footprint.numbers)]
        region = parse_region(" ".join(footprint))
        return {"VOLUME": str(Volume(region, self.low, self.high))}

    def lines(self, centre: Sequence[float], half: float) -> Floats:
        """Return the edges (n, 2, 3) of the volume."""
        return volume_lines(parse_volume(self.words()["VOLUME"]))

    def mark(self, axes: SpaceAxes, room: tuple[Corner, Corner]) -> Shape:
        """Return its outline from above, or its silhouette."""
        outline = self.footprint.outline()
        if axes == ABOVE:
            return polygon([(x, y) for x, y in outline.tolist()])
        left, right = self._extent(axes)
        low, high = self.low, self.high
        return polygon([(left, low), (right, low), (right, high), (left, high)])

    def _extent(self, axes: SpaceAxes) -> tuple[float, float]:
        along = self.footprint.outline()[:, axes[0]]
        return float(along.min()), float(along.max())

    def handles(self, axes: SpaceAxes, arm: float) -> tuple[Corner, ...]:
        """Return those of its region, or the middle of bottom and top."""
        if axes == ABOVE:
            return self.footprint.handles()
        middle = sum(self._extent(axes)) / 2
        return (middle, self.low), (middle, self.high)

    def moved(self, axes: SpaceAxes, across: float, up: float) -> "VolumeItem":
        """Return the moved volume."""
        if axes == ABOVE:
            return self._with(self.footprint.moved(across, up))
        steps = (across, 0.0) if axes == FRONT else (0.0, across)
        moved = self._with(self.footprint.moved(*steps))
        low = _snapped(self.low, self.low + up)
        return replace(moved, low=low, high=low + self.high - self.low)

    def reshaped(
        self, axes: SpaceAxes, handle: int, at: Corner, before: Corner
    ) -> "VolumeItem":
        """Return it with another region, or another bottom or top."""
        if axes == ABOVE:
            return self._with(self.footprint.reshaped(handle, *at))
        if handle == 0:
            low = min(_snapped(self.low, at[1]), self.high - _LEAST_HEIGHT)
            return replace(self, low=low)
        high = max(_snapped(self.high, at[1]), self.low + _LEAST_HEIGHT)
        return replace(self, high=high)

    def with_corner(self, at: Corner) -> "VolumeItem":
        """Return the volume with another corner, if it is a polygon."""
        if self.footprint.kind != "polygon":
            return self
        return self._with(self.footprint.with_corner(round(at[0]), round(at[1])))

    def without_corner(self, corner: int) -> "VolumeItem":
        """Return the volume without a corner, if it is a polygon; a triangle stays."""
        if self.footprint.kind != "polygon":
            return self
        return self._with(self.footprint.without_corner(corner))

    def _with(self, footprint: Shape) -> "VolumeItem":
        before, after = self.footprint.numbers, footprint.numbers
        if len(before) == len(after):
            pairs = zip(before, after, strict=True)
            numbers = tuple(_snapped(one, other) for one, other in pairs)
            footprint = Shape(footprint.kind, numbers)
        return replace(self, footprint=footprint)


@dataclass(frozen=True)
class HeightItem(SpaceItem):
    """A height above the floor."""

    height: float

    def words(self) -> dict[str, str]:
        """Return HEIGHT_MM."""
        return {"HEIGHT_MM": f"{self.height:g}"}

    def lines(self, centre: Sequence[float], half: float) -> Floats:
        """Return a square at the height."""
        return plane_lines((centre[0], centre[1], self.height), (0, 0, 1), half)

    def mark(self, axes: SpaceAxes, room: tuple[Corner, Corner]) -> Shape | None:
        """Return a line from side to side; from above it is everywhere."""
        if axes == ABOVE:
            return None
        (left, _), (right, _) = room
        return Shape("line", (left, self.height, right, self.height))

    def handles(self, axes: SpaceAxes, arm: float) -> tuple[Corner, ...]:
        """Return none: the line is dragged."""
        return ()

    def moved(self, axes: SpaceAxes, across: float, up: float) -> "HeightItem":
        """Return it at another height."""
        if axes == ABOVE:
            return self
        return HeightItem(_snapped(self.height, self.height + up))

    def reshaped(
        self, axes: SpaceAxes, handle: int, at: Corner, before: Corner
    ) -> "HeightItem":
        """Return it unchanged: it has no handles."""
        return self


@dataclass(frozen=True)
class PlaneItem(SpaceItem):
    """A plane through a point, perpendicular to a direction."""

    point: Point3
    normal: Point3

    def words(self) -> dict[str, str]:
        """Return POINT and NORMAL."""
        return {
            "POINT": ", ".join(f"{number:g}" for number in self.point),
            "NORMAL": ", ".join(f"{number:g}" for number in self.normal),
        }

    def lines(self, centre: Sequence[float], half: float) -> Floats:
        """Return a square around the point."""
        return plane_lines(self.point, self.normal, half)

    def _direction(self, axes: SpaceAxes) -> Corner | None:
        """Return the direction of the normal in a view; None: it points out of the view."""
        across, up = (self.normal[axis] for axis in axes)
        length = hypot(across, up)
        if length < _EDGE_ON * float(np.linalg.norm(self.normal)):
            return None
        return across / length, up / length

    def _at(self, axes: SpaceAxes) -> Corner:
        return self.point[axes[0]], self.point[axes[1]]

    def mark(self, axes: SpaceAxes, room: tuple[Corner, Corner]) -> Shape:
        """Return the line on which it cuts the view through its point, or the point."""
        x, y = self._at(axes)
        direction = self._direction(axes)
        if direction is None:
            return Shape("point", (x, y))
        across, up = direction
        (left, low), (right, high) = room
        reach = hypot(right - left, high - low)
        aside, along = up * reach, across * reach
        return Shape("line", (x - aside, y + along, x + aside, y - along))

    def handles(self, axes: SpaceAxes, arm: float) -> tuple[Corner, ...]:
        """Return the point, and the end of its direction."""
        x, y = self._at(axes)
        direction = self._direction(axes)
        if direction is None:
            return ((x, y),)
        return (x, y), (x + arm * direction[0], y + arm * direction[1])

    def moved(self, axes: SpaceAxes, across: float, up: float) -> "PlaneItem":
        """Return the plane through the moved point."""
        point = list(self.point)
        for axis, step in zip(axes, (across, up), strict=True):
            point[axis] = _snapped(point[axis], point[axis] + step)
        return replace(self, point=_triple(point))

    def reshaped(
        self, axes: SpaceAxes, handle: int, at: Corner, before: Corner
    ) -> "PlaneItem":
        """Return it moved, or turned in the view, in whole degrees."""
        if handle == 0:
            return self.moved(axes, at[0] - before[0], at[1] - before[1])
        x, y = self._at(axes)
        if hypot(at[0] - x, at[1] - y) == 0:
            return self
        return replace(self, normal=_turned(self.normal, axes, at[0] - x, at[1] - y))


def _turned(normal: Point3, axes: SpaceAxes, across: float, up: float) -> Point3:
    """Return a direction that has another angle in a view; its other axis stays."""
    length = hypot(*(normal[axis] for axis in axes))
    angle = radians(round(degrees(atan2(up, across))))
    turned = list(normal)
    turned[axes[0]] = round(length * cos(angle), 4)
    turned[axes[1]] = round(length * sin(angle), 4)
    return _triple([number + 0.0 for number in turned])  # no -0


def _triple(numbers: Sequence[float]) -> Point3:
    x, y, z = numbers
    return x, y, z


def _snapped(before: float, after: float) -> float:
    """Return a number in whole millimetres if it was changed."""
    return before if after == before else float(round(after))


def item_of(values: Mapping[str, str]) -> SpaceItem | None:
    """Return the item that a section describes; None: none, or it is invalid."""
    try:
        for keys, read in _READERS.items():
            if all(values.get(key, "").strip() for key in keys):
                return read(*(values[key] for key in keys))
    except ValueError:
        return None
    return None


def _read_volume(text: str) -> SpaceItem:
    volume = parse_volume(text)
    kind, *numbers = str(volume.region).split()
    shape = Shape(kind, tuple(map(float, numbers)))  # type: ignore[arg-type]
    return VolumeItem(shape, volume.low, volume.high)


def _read_height(text: str) -> SpaceItem:
    (height,) = _numbers(text, 1)
    return HeightItem(height)


def _read_plane(point: str, normal: str) -> SpaceItem:
    direction = _triple(_numbers(normal, 3))
    if not any(direction):
        raise ValueError("expected a direction, not 0, 0, 0")
    return PlaneItem(_triple(_numbers(point, 3)), direction)


def _numbers(text: str, count: int) -> list[float]:
    found = [float(word) for word in text.replace(",", " ").split()]
    if len(found) != count or not np.isfinite(found).all():
        raise ValueError(f"expected {count} numbers")
    return found


_READERS: Mapping[tuple[str, ...], Callable[..., SpaceItem]] = {
    ("VOLUME",): _read_volume,
    ("HEIGHT_MM",): _read_height,
    ("POINT", "NORMAL"): _read_plane,
}
"""Functions that read an item, by the keys that describe it."""


def item_from_drag(
    tool: SpaceTool,
    axes: SpaceAxes,
    start: Corner,
    end: Corner,
    heights: tuple[float, float],
) -> SpaceItem | None:
    """Return the item that a drag draws in a view; None: this view can't draw it.

    `heights`: bottom and top of a new volume.
    """
    (x, y), (right, top) = _whole(start), _whole(end)
    if tool == "height":
        return None if axes == ABOVE else HeightItem(top)
    if tool == "plane":
        if (x, y) == (right, top):
            return None
        point = [0.0, 0.0, 0.0]
        point[axes[0]], point[axes[1]] = x, y
        unit = [0.0, 0.0, 0.0]
        unit[axes[0]] = 1.0
        normal = _turned(_triple(unit), axes, right - x, top - y)
        return PlaneItem(_triple(point), normal)
    if axes != ABOVE or tool == "polygon":
        return None
    drawn = shape_from_drag(FOOTPRINTS[tool], (x, y), (right, top))
    numbers = tuple(float(round(number)) for number in drawn.numbers)
    return VolumeItem(Shape(drawn.kind, numbers), *heights)


def polygon_item(
    corners: Sequence[Corner], heights: tuple[float, float]
) -> VolumeItem | None:
    """Return the volume above a polygon; None: fewer than three different corners."""
    different = list(dict.fromkeys(map(_whole, corners)))
    return VolumeItem(polygon(different), *heights) if len(different) >= 3 else None


def _whole(at: Corner) -> Corner:
    return float(round(at[0])), float(round(at[1]))
