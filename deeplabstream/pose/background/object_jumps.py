"""Object jumps: tells an animal that is far away in the next image from another object.

An animal leaves its old place, and is alike at the new one. A mark stays where it is while
another one is the object of most contrast. A wall of a plate that was knocked is longer than an
animal.
"""

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.pose.background.objects import Objects
from deeplabstream.pose.background.pixel_areas import PixelAreas

LEFT_SHARE = 0.5
"""Share of its contrast that the old place of an object loses, if it has left it."""
LIKE_SHARE = 0.5
"""Least contrast, summed over its pixels, of the fainter one of two objects that are alike, as
a share of that of the other."""
LONGEST = 1.5
"""Length of the longest object that may be an animal, in lengths of the longest animal."""


class ObjectJumps:
    """Jumps of one object in each area, counted as long as it leaves its old place."""

    def __init__(self, areas: PixelAreas, length_px: int) -> None:
        self._areas = areas
        self._length_px = length_px
        self.count = np.zeros(areas.count, np.intp)
        """(area,): jumps since the object was lost, or another one took its place."""
        self._places = tuple(np.zeros(0, np.intp) for _ in range(2))
        """Rows and columns of the pixels of the last object of each area."""
        self._area = np.zeros(0, np.intp)
        """Area of each of these pixels."""
        self._level = np.full(areas.count, np.nan)
        """Mean brightness of the object; this and the following relative to the area's."""
        self._depth = np.full(areas.count, np.nan)
        """Its mean contrast."""
        self._total = np.full(areas.count, np.nan)
        """Its contrast, summed over its pixels."""

    def follow(
        self,
        part: Image,
        objects: Objects,
        rows: NDArray[np.intp],
        is_far: NDArray[np.bool_],
    ) -> None:
        """Follow the objects of some areas to the next image.

        Parameters
        ----------
        part : Image
            (height, width): the image in the rectangle of the areas.
        objects : Objects
            Those of this image.
        rows : numpy.ndarray of int
            Rows of the objects to follow, one in an area at most.
        is_far : numpy.ndarray of bool
            Whether each of `rows` is far from the last object of its area, or the first.
        """
        light = part.ravel()[self._areas.samples].mean(axis=1)
        light = np.maximum(light, 1.0)
        area = objects.area[rows]
        total = objects.contrast[rows] / light[area]

        # the brightness of the old place, not the contrast: the background learns marks
        change = self._mean(part, self._places, self._area) / light - self._level
        has_left = np.abs(change)[area] > LEFT_SHARE * self._depth[area]
        both = np.stack([total, self._total[area]])
        is_alike = both.min(axis=0) >= LIKE_SHARE * both.max(axis=0)
        length = 2 * np.linalg.norm(objects.half_axis[rows], axis=1)
        is_animal = has_left & is_alike & (length <= LONGEST * self._length_px)

        count = np.zeros_like(self.count)
        count[area] = np.where(
            is_far, (self.count[area] + 1) * is_animal, self.count[area]
        )
        self.count = count

        self._keep(objects, rows)
        levels = self._mean(part, self._places, self._area) / light
        self._level[area], self._total[area] = levels[area], total
        self._depth[area] = total / objects.pixels[rows]

    def reset(self, areas: NDArray[np.intp]) -> None:
        """Discard the objects of some areas."""
        self.count[areas] = 0
        self._level[areas] = self._depth[areas] = self._total[areas] = np.nan

    def _mean(
        self, part: Image, places: tuple[NDArray[np.intp], ...], area: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Return the mean brightness of each area's places; NaN: there are none."""
        count = np.bincount(area, minlength=self._areas.count)
        total = np.bincount(area, part[places], self._areas.count)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def _keep(self, objects: Objects, rows: NDArray[np.intp]) -> None:
        """Keep the pixels of these objects in place of those of their areas."""
        is_old = ~np.isin(self._area, objects.area[rows])
        is_new = np.isin(objects.number, rows)
        self._places = tuple(
            np.concatenate([old[is_old], new[is_new]])
            for old, new in zip(self._places, objects.places, strict=True)
        )
        new_area = objects.area[objects.number[is_new]]
        self._area = np.concatenate([self._area[is_old], new_area])
