"""Regions of the image or the floor, written in one line: `circle 320 240 60`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import repeat
from math import hypot, nan

import numpy as np
from numpy.typing import NDArray


class Region(ABC):
    """A region (ROI), x right, y down; its border belongs to it.

    In pixels from the left upper corner of the image, or in millimetres of the floor,
    depending on its use.
    """

    @abstractmethod
    def has(self, x: float, y: float) -> bool:
        """Return whether a point is inside; False for NaN. Takes about 1 µs."""

    @abstractmethod
    def outline(self) -> NDArray[np.float64]:
        """Return the corners (n, 2) of a closed line along the border, for drawing."""

    @abstractmethod
    def moved(self, x: float, y: float) -> "Region":
        """Return the same region, moved by `x` to the right and `y` down."""

    def contains(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return whether each point lies inside.

        Parameters
        ----------
        points : numpy.ndarray of float, shape (n, 2)
            x, y in the unit of the region.

        Returns
        -------
        numpy.ndarray of bool, shape (n,)
            False for NaN.
        """
        return np.array([self.has(x, y) for x, y in points.tolist()], np.bool_)

    def depths(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the signed distance of each point to the border; see `depth`.

        Parameters
        ----------
        points : numpy.ndarray of float, shape (n, 2)
            x, y in the unit of the region.

        Returns
        -------
        numpy.ndarray of float64, shape (n,)
            Positive inside, negative outside. NaN stays NaN.
        """
        points = np.asarray(points, np.float64)
        starts = self.outline()
        ways = np.roll(starts, -1, axis=0) - starts
        away = np.full(len(points), np.inf)
        for start, way in zip(starts, ways, strict=True):
            length = way @ way
            from_start = points - start
            share = np.clip(from_start @ way / length, 0, 1) if length else 0.0
            aside = from_start - np.multiply.outer(share, way)
            away = np.minimum(away, np.hypot(*aside.T))
        return np.where(self.contains(points), away, -away)

    def depth(self, x: float, y: float) -> float:
        """Return the signed distance of a point to the border; NaN stays NaN.

        Positive inside, negative outside. As exact as `outline`.
        """
        corners: list[list[float]] = self.outline().tolist()
        away = min(map(_to_line, repeat((x, y)), corners, corners[1:] + corners[:1]))
        return away if self.has(x, y) else -away

    def __str__(self) -> str:
        numbers = np.ravel(np.array(astuple(self)))  # type: ignore[call-overload]
        return " ".join([type(self).__name__.lower(), *(f"{n:g}" for n in numbers)])


@dataclass(frozen=True)
class Ellipse(Region):
    """`ellipse X Y RX RY`: centre and half axes, along x and y."""

    x: float
    y: float
    rx: float
    ry: float

    def moved(self, x: float, y: float) -> "Ellipse":
        """Return the ellipse around the moved centre."""
        return replace(self, x=self.x + x, y=self.y + y)

    def has(self, x: float, y: float) -> bool:
        """Return whether it lies inside."""
        return ((x - self.x) / self.rx) ** 2 + ((y - self.y) / self.ry) ** 2 <= 1

    def contains(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return whether each point (n, 2) lies inside."""
        x, y = np.asarray(points, np.float64).T
        away = ((x - self.x) / self.rx) ** 2 + ((y - self.y) / self.ry) ** 2
        return np.asarray(away <= 1)

    def outline(self) -> NDArray[np.float64]:
        """Return a polygon of 72 corners."""
        turn = np.arange(0, 2 * np.pi, np.pi / 36)
        return np.column_stack(
            [self.x + self.rx * np.cos(turn), self.y + self.ry * np.sin(turn)]
        )


@dataclass(frozen=True)
class Circle(Region):
    """`circle X Y R`: centre and radius."""

    x: float
    y: float
    r: float

    def moved(self, x: float, y: float) -> "Circle":
        """Return the circle around the moved centre."""
        return replace(self, x=self.x + x, y=self.y + y)

    def has(self, x: float, y: float) -> bool:
        """Return whether it lies inside."""
        return self.depth(x, y) >= 0

    def outline(self) -> NDArray[np.float64]:
        """Return a polygon of 72 corners."""
        return Ellipse(self.x, self.y, self.r, self.r).outline()

    def depth(self, x: float, y: float) -> float:
        """Return the signed distance to the border, positive inside."""
        return self.r - hypot(x - self.x, y - self.y)

    def contains(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return whether each point (n, 2) lies inside."""
        return self.depths(points) >= 0

    def depths(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the signed distance of each point (n, 2) to the border, positive inside."""
        return self.r - _distances(points, self.x, self.y)


@dataclass(frozen=True)
class Ring(Region):
    """`ring X Y R1 R2`: centre, inner and outer radius; the hole is outside."""

    x: float
    y: float
    r1: float
    r2: float

    def __post_init__(self) -> None:
        if self.r1 >= self.r2:
            raise ValueError("expected ring X Y R1 R2, R1 below R2")

    def moved(self, x: float, y: float) -> "Ring":
        """Return the ring around the moved centre."""
        return replace(self, x=self.x + x, y=self.y + y)

    def has(self, x: float, y: float) -> bool:
        """Return whether it lies between the circles."""
        return self.depth(x, y) >= 0

    def outline(self) -> NDArray[np.float64]:
        """Return both circles of 72 corners, one after the other, in one line."""
        outer = Circle(self.x, self.y, self.r2).outline()
        inner = Circle(self.x, self.y, self.r1).outline()
        return np.vstack([outer, outer[:1], inner[:1], inner[::-1]])

    def depth(self, x: float, y: float) -> float:
        """Return the signed distance to the nearer circle."""
        away = hypot(x - self.x, y - self.y)
        return min(away - self.r1, self.r2 - away)

    def contains(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return whether each point (n, 2) lies between the circles."""
        return self.depths(points) >= 0

    def depths(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the signed distance of each point (n, 2) to the nearer circle."""
        away = _distances(points, self.x, self.y)
        return np.minimum(away - self.r1, self.r2 - away)


@dataclass(frozen=True)
class Rectangle(Region):
    """`rectangle X Y W H`: left upper corner, width and height."""

    x: float
    y: float
    w: float
    h: float

    def moved(self, x: float, y: float) -> "Rectangle":
        """Return the rectangle from the moved corner on."""
        return replace(self, x=self.x + x, y=self.y + y)

    def has(self, x: float, y: float) -> bool:
        """Return whether it lies inside."""
        return self.x <= x <= self.x + self.w and self.y <= y <= self.y + self.h

    def contains(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return whether each point (n, 2) lies inside."""
        x, y = np.asarray(points, np.float64).T
        across = (self.x <= x) & (x <= self.x + self.w)
        return np.asarray(across & (self.y <= y) & (y <= self.y + self.h))

    def outline(self) -> NDArray[np.float64]:
        """Return the four corners, clockwise on the screen."""
        right, bottom = self.x + self.w, self.y + self.h
        corners = [(self.x, self.y), (right, self.y), (right, bottom), (self.x, bottom)]
        return np.array(corners, np.float64)

    def depth(self, x: float, y: float) -> float:
        """Return the signed distance to the nearest side or corner."""
        across = min(x - self.x, self.x + self.w - x)
        down = min(y - self.y, self.y + self.h - y)
        if across >= 0 and down >= 0:
            return min(across, down)
        if x != x or y != y:
            return nan
        return -hypot(min(across, 0.0), min(down, 0.0))


@dataclass(frozen=True)
class Polygon(Region):
    """`polygon X1 Y1 X2 Y2 X3 Y3 …`: three corners or more; even-odd rule."""

    corners: tuple[tuple[float, float], ...]

    def moved(self, x: float, y: float) -> "Polygon":
        """Return the polygon of the moved corners."""
        return Polygon(tuple((at_x + x, at_y + y) for at_x, at_y in self.corners))

    def has(self, x: float, y: float) -> bool:
        """Return if a ray to the right crosses the outline an odd number of times."""
        if x != x:
            return False
        inside = False
        x1, y1 = self.corners[-1]
        for x2, y2 in self.corners:
            if (y1 > y) is not (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                inside = not inside
            x1, y1 = x2, y2
        return inside

    def contains(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return whether each point (n, 2) lies inside."""
        x, y = np.asarray(points, np.float64).T
        inside = np.zeros(len(x), np.bool_)
        x1, y1 = self.corners[-1]
        for x2, y2 in self.corners:
            if y1 != y2:  # a horizontal edge is never crossed
                is_between = (y1 > y) != (y2 > y)
                inside ^= is_between & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
            x1, y1 = x2, y2
        return np.asarray(inside & ~np.isnan(x))

    def outline(self) -> NDArray[np.float64]:
        """Return the corners."""
        return np.array(self.corners, np.float64)


def _distances(points: NDArray[np.floating], x: float, y: float) -> NDArray[np.float64]:
    away = np.asarray(points, np.float64) - (x, y)
    return np.hypot(away[:, 0], away[:, 1])


def _to_line(
    point: tuple[float, float], start: Sequence[float], end: Sequence[float]
) -> float:
    """Return the distance of a point to the nearest point of a line segment."""
    way_x, way_y = end[0] - start[0], end[1] - start[1]
    x, y = point[0] - start[0], point[1] - start[1]
    length = way_x * way_x + way_y * way_y
    share = (x * way_x + y * way_y) / length if length else 0.0
    share = min(max(share, 0.0), 1.0)
    return hypot(x - share * way_x, y - share * way_y)


def parse_region(text: object) -> Region:
    """Return the region that one line describes; ValueError: it is invalid.

    Numbers stand apart by blanks or commas.

    >>> parse_region("circle 320, 240, 60")
    Circle(x=320.0, y=240.0, r=60.0)
    """
    if isinstance(text, Region):
        return text
    shape, *rest = str(text).replace(",", " ").split() or [""]
    try:
        numbers = [float(word) for word in rest]
    except ValueError:
        raise ValueError(
            f"expected numbers after {shape!r}, not {' '.join(rest)!r}"
        ) from None
    if not np.isfinite(numbers).all():
        raise ValueError("expected finite numbers")
    if shape == "polygon":
        if len(numbers) < 6 or len(numbers) % 2:
            raise ValueError(
                "expected polygon X1 Y1 X2 Y2 X3 Y3 …, three corners or more"
            )
        return Polygon(tuple(zip(numbers[::2], numbers[1::2], strict=True)))
    if shape not in _SIZES:
        raise ValueError(
            "expected circle X Y R, ellipse X Y RX RY, ring X Y R1 R2, "
            "rectangle X Y W H or polygon X1 Y1 X2 Y2 X3 Y3 …"
        )
    maker, expected = _SIZES[shape]
    if len(numbers) != len(expected.split()):
        raise ValueError(f"expected {shape} {expected}")
    if min(numbers[2:]) <= 0:
        raise ValueError("expected sizes above 0")
    return maker(*numbers)


_SIZES: dict[str, tuple[Callable[..., Region], str]] = {
    "circle": (Circle, "X Y R"),
    "ellipse": (Ellipse, "X Y RX RY"),
    "ring": (Ring, "X Y R1 R2"),
    "rectangle": (Rectangle, "X Y W H"),
}
