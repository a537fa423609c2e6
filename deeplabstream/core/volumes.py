"""Volumes in space, written in one line: `circle 0 0 60 z 40 120`."""

from dataclasses import dataclass
from math import hypot, isfinite

from deeplabstream.core.regions import Region, parse_region

_HEIGHT = "z"


@dataclass(frozen=True)
class Volume:
    """A region of the floor between two heights, mm; its border belongs to it.

    `rectangle X Y W H z Z1 Z2` is a box, `circle X Y R z Z1 Z2` a cylinder,
    `polygon X1 Y1 X2 Y2 X3 Y3 … z Z1 Z2` a prism; all regions are possible.
    """

    region: Region
    low: float
    high: float

    def has(self, x: float, y: float, z: float) -> bool:
        """Return whether a point is inside; False for NaN."""
        return self.low <= z <= self.high and self.region.has(x, y)

    def depth(self, x: float, y: float, z: float) -> float:
        """Return the signed distance of a point to the border in mm; NaN stays NaN.

        Positive inside, negative outside.
        """
        across = self.region.depth(x, y)
        upright = min(z - self.low, self.high - z)
        if across >= 0 and upright >= 0:
            return min(across, upright)
        if across != across or upright != upright:
            return across + upright
        return -hypot(min(across, 0.0), min(upright, 0.0))

    def __str__(self) -> str:
        return f"{self.region} {_HEIGHT} {self.low:g} {self.high:g}"


def parse_volume(text: object) -> Volume:
    """Return the volume that one line describes; ValueError: it is invalid.

    The region is any of `parse_region`: rectangle, circle, polygon, ellipse or ring.

    >>> str(parse_volume("polygon 0 0 80 0 0 80 z 0 50"))
    'polygon 0 0 80 0 0 80 z 0 50'
    >>> parse_volume("circle 0 0 60 z 40 120")
    Volume(region=Circle(x=0.0, y=0.0, r=60.0), low=40.0, high=120.0)
    """
    if isinstance(text, Volume):
        return text
    shape, found, heights = str(text).replace(",", " ").partition(f" {_HEIGHT} ")
    try:
        low, high = map(float, heights.split())
    except ValueError:
        low = high = 0.0
    if not found or not (isfinite(low) and isfinite(high) and low < high):
        raise ValueError(
            "expected a region and two heights, such as circle X Y R z Z1 Z2, in mm, Z1 "
            "below Z2"
        )
    return Volume(parse_region(shape), low, high)
