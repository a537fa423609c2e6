"""Shapes: regions, lines and points in pixels, to be drawn and moved; without Qt."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.regions import parse_region

ShapeKind: TypeAlias = Literal[
    "circle", "ellipse", "ring", "rectangle", "polygon", "line", "point"
]
Corner: TypeAlias = tuple[float, float]

SMALLEST = 3.0
"""Smallest size of a drawn shape, px."""
_KEYS = {"line": "LINE", "point": "POINT"}


@dataclass(frozen=True)
class Shape:
    """A region, line or point in the image, in pixels.

    `numbers` are those of settings.ini: `circle` X Y R, `ellipse` X Y RX RY, `ring`
    X Y R1 R2, `rectangle` X Y W H, `polygon` and `line` X1 Y1 X2 Y2 …, `point` X Y.
    """

    kind: ShapeKind
    numbers: tuple[float, ...]

    @property
    def key(self) -> str:
        """The key of a trigger's section for this shape."""
        return _KEYS.get(self.kind, "REGION")

    @property
    def word(self) -> str:
        """The value of the key."""
        numbers = [f"{round(number, 1):g}" for number in self.numbers]
        if self.kind in _KEYS:
            return ", ".join(numbers)
        return " ".join([self.kind, *numbers])

    @property
    def corners(self) -> tuple[Corner, ...]:
        """The corners of a polygon or line; of other shapes, the first point."""
        if self.kind in ("polygon", "line"):
            return tuple(zip(self.numbers[::2], self.numbers[1::2], strict=True))
        return ((self.numbers[0], self.numbers[1]),)

    def outline(self) -> NDArray[np.float64]:
        """Return the outline (n, 2), px: of a region closed, two ends of a line, or a point."""
        if self.kind in _KEYS:
            return np.array(self.corners, np.float64)
        return parse_region(self.word).outline()

    def holds(self, x: float, y: float, near: float) -> bool:
        """Return whether a position is in the shape, or within `near` px of a line or point."""
        if self.kind == "point":
            return hypot(x - self.numbers[0], y - self.numbers[1]) <= near
        if self.kind == "line":
            return _away(x, y, *self.numbers) <= near
        return parse_region(self.word).depth(x, y) >= -near

    def handles(self) -> tuple[Corner, ...]:
        """Return the positions of the handles that change its size."""
        x, y, *sizes = self.numbers
        match self.kind:
            case "circle" | "ring":
                return tuple((x + size, y) for size in sizes)
            case "ellipse":
                return (x + sizes[0], y), (x, y + sizes[1])
            case "rectangle":
                right, bottom = x + sizes[0], y + sizes[1]
                return (x, y), (right, y), (right, bottom), (x, bottom)
            case "polygon" | "line":
                return self.corners
            case _:
                return ()

    def moved(self, dx: float, dy: float) -> "Shape":
        """Return the shape moved by (dx, dy)."""
        count = 2 * len(self.corners)
        steps = (dx, dy) * len(self.corners) + (0.0,) * (len(self.numbers) - count)
        pairs = zip(self.numbers, steps, strict=True)
        return Shape(self.kind, tuple(number + step for number, step in pairs))

    def scaled(self, factor: float) -> "Shape":
        """Return the shape with all numbers multiplied by `factor`."""
        return Shape(self.kind, tuple(factor * number for number in self.numbers))

    def reshaped(self, handle: int, x: float, y: float) -> "Shape":
        """Return the shape with one of its `handles` at (x, y)."""
        numbers = list(self.numbers)
        left, top = numbers[:2]
        match self.kind:
            case "circle":
                numbers[2] = max(SMALLEST, hypot(x - left, y - top))
            case "ellipse":
                size = abs(x - left) if handle == 0 else abs(y - top)
                numbers[2 + handle] = max(SMALLEST, size)
            case "ring":
                size = hypot(x - left, y - top)
                inner, outer = numbers[2:]
                if handle == 0:
                    numbers[2] = min(max(SMALLEST, size), outer - SMALLEST)
                else:
                    numbers[3] = max(inner + SMALLEST, size)
            case "rectangle":
                return rectangle_between(self.handles()[(handle + 2) % 4], (x, y))
            case "polygon" | "line":
                numbers[2 * handle : 2 * handle + 2] = [x, y]
        return Shape(self.kind, tuple(numbers))

    def with_corner(self, x: float, y: float) -> "Shape":
        """Return the polygon with a corner added on the nearest side."""
        corners = list(self.corners)
        sides = zip(corners, corners[1:] + corners[:1], strict=True)
        far = [_away(x, y, *one, *other) for one, other in sides]
        corners.insert(far.index(min(far)) + 1, (x, y))
        return polygon(corners)

    def without_corner(self, place: int) -> "Shape":
        """Return the polygon without a corner; a triangle is returned unchanged."""
        corners = [c for at, c in enumerate(self.corners) if at != place]
        return polygon(corners) if len(corners) >= 3 else self


def polygon(corners: Sequence[Corner]) -> Shape:
    """Return the polygon of these corners."""
    return Shape("polygon", tuple(number for corner in corners for number in corner))


def rectangle_between(one: Corner, other: Corner) -> Shape:
    """Return the rectangle with two opposite corners."""
    x, y = min(one[0], other[0]), min(one[1], other[1])
    width = max(SMALLEST, abs(one[0] - other[0]))
    return Shape("rectangle", (x, y, width, max(SMALLEST, abs(one[1] - other[1]))))


def shape_from_drag(kind: ShapeKind, start: Corner, end: Corner) -> Shape:
    """Return the shape of a mouse drag; round shapes start at their centre."""
    (x, y), (dx, dy) = start, (abs(end[0] - start[0]), abs(end[1] - start[1]))
    radius = max(2 * SMALLEST, hypot(dx, dy))
    match kind:
        case "circle":
            return Shape(kind, (x, y, radius))
        case "ellipse":
            return Shape(kind, (x, y, max(SMALLEST, dx), max(SMALLEST, dy)))
        case "ring":
            return Shape(kind, (x, y, radius / 2, radius))
        case "rectangle":
            return rectangle_between(start, end)
        case "line":
            return Shape(kind, (*start, *end))
        case _:
            return Shape("point", end)


def shape_of(key: str, word: str) -> Shape | None:
    """Return the shape of a key's value; None: it can't be drawn."""
    try:
        if key == "REGION":
            name, *rest = str(parse_region(word)).split()
            return Shape(name, tuple(map(float, rest)))  # type: ignore[arg-type]
        numbers = tuple(float(part) for part in word.split(","))
    except ValueError:
        return None
    kinds: dict[tuple[str, int], ShapeKind] = {
        ("LINE", 4): "line",
        ("POINT", 2): "point",
    }
    kind = kinds.get((key, len(numbers)))
    return None if kind is None else Shape(kind, numbers)


def _away(x: float, y: float, x1: float, y1: float, x2: float, y2: float) -> float:
    """Return the distance between a point and a line segment."""
    along_x, along_y = x2 - x1, y2 - y1
    length = along_x**2 + along_y**2
    share = ((x - x1) * along_x + (y - y1) * along_y) / length if length else 0.0
    share = min(1.0, max(0.0, share))
    return hypot(x - x1 - share * along_x, y - y1 - share * along_y)
