"""Parts of the picture, written in one line: `circle 320 240 60`."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray


class Region(ABC):
    """A part of the picture, in pixels, x right, y down; its border belongs to it."""

    @abstractmethod
    def contains(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return for each of `points` (n, 2) whether it lies inside; NaN lies nowhere."""

    @abstractmethod
    def outline(self) -> NDArray[np.float64]:
        """Return (n, 2), the corners of a closed line along the border, for drawing."""

    def depth(self, points: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return for each of `points` (n, 2) how far, in px, it lies from the border.

        Positive inside, negative outside; NaN stays NaN. As exact as `outline` is.
        """
        starts = self.outline()
        along = np.roll(starts, -1, axis=0) - starts
        length = np.maximum((along**2).sum(axis=1), np.finfo(float).tiny)
        offsets = np.asarray(points, np.float64)[:, None] - starts
        share = np.clip((offsets * along).sum(axis=-1) / length, 0, 1)
        away = np.linalg.norm(offsets - share[..., None] * along, axis=-1)
        sign = np.where(self.contains(points), 1.0, -1.0)
        return np.asarray(sign * away.min(axis=1))

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

    def contains(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return for each point whether it lies inside."""
        scaled = (points - np.array([self.x, self.y])) / np.array([self.rx, self.ry])
        return np.asarray((scaled**2).sum(axis=-1) <= 1)

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

    def contains(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return for each point whether it lies inside."""
        return Ellipse(self.x, self.y, self.r, self.r).contains(points)

    def outline(self) -> NDArray[np.float64]:
        """Return a polygon of 72 corners."""
        return Ellipse(self.x, self.y, self.r, self.r).outline()

    def depth(self, points: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return for each point how far inside the border it lies."""
        return self.r - _away(points, self.x, self.y)


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

    def contains(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return for each point whether it lies between the circles."""
        return np.asarray(self.depth(points) >= 0)

    def outline(self) -> NDArray[np.float64]:
        """Return both circles of 72 corners, one after the other, in one line."""
        outer = Circle(self.x, self.y, self.r2).outline()
        inner = Circle(self.x, self.y, self.r1).outline()
        return np.vstack([outer, outer[:1], inner[:1], inner[::-1]])

    def depth(self, points: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return for each point how far from the nearer of its circles it lies."""
        away = _away(points, self.x, self.y)
        return np.minimum(away - self.r1, self.r2 - away)


@dataclass(frozen=True)
class Rectangle(Region):
    """`rectangle X Y W H`: left upper corner, width and height."""

    x: float
    y: float
    w: float
    h: float

    def contains(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return for each point whether it lies inside."""
        low = np.array([self.x, self.y])
        high = low + np.array([self.w, self.h])
        return np.asarray(((points >= low) & (points <= high)).all(axis=-1))

    def outline(self) -> NDArray[np.float64]:
        """Return the four corners, clockwise on the screen."""
        right, bottom = self.x + self.w, self.y + self.h
        corners = [(self.x, self.y), (right, self.y), (right, bottom), (self.x, bottom)]
        return np.array(corners, np.float64)


@dataclass(frozen=True)
class Polygon(Region):
    """`polygon X1 Y1 X2 Y2 X3 Y3 …`: three corners or more; even-odd rule."""

    corners: tuple[tuple[float, float], ...]

    def contains(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return for each point whether a ray to the right leaves an odd number of times."""
        ring = self.outline()
        x, y = points[:, :1].astype(np.float64), points[:, 1:].astype(np.float64)
        (x1, y1), (x2, y2) = ring.T, np.roll(ring, -1, axis=0).T
        crosses = (y1 > y) != (y2 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            at_x = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
        return np.asarray((crosses & (x < at_x)).sum(axis=1) % 2 == 1)

    def outline(self) -> NDArray[np.float64]:
        """Return the corners."""
        return np.array(self.corners, np.float64)


def _away(points: NDArray[np.float32], x: float, y: float) -> NDArray[np.float64]:
    away = np.asarray(points, np.float64) - (x, y)
    return np.hypot(away[..., 0], away[..., 1])


def parse_region(words: object) -> Region:
    """Return the region that one line describes; ValueError says what is wrong with it.

    Numbers stand apart by blanks or commas.

    >>> parse_region("circle 320, 240, 60")
    Circle(x=320.0, y=240.0, r=60.0)
    """
    if isinstance(words, Region):
        return words
    shape, *rest = str(words).replace(",", " ").split() or [""]
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
    maker, wanted = _SIZES[shape]
    if len(numbers) != len(wanted.split()):
        raise ValueError(f"expected {shape} {wanted}")
    if min(numbers[2:]) <= 0:
        raise ValueError("expected sizes above 0")
    return maker(*numbers)


_SIZES: dict[str, tuple[Callable[..., Region], str]] = {
    "circle": (Circle, "X Y R"),
    "ellipse": (Ellipse, "X Y RX RY"),
    "ring": (Ring, "X Y R1 R2"),
    "rectangle": (Rectangle, "X Y W H"),
}
