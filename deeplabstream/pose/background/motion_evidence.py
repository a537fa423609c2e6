"""Motion evidence: tells resting animals from marks of the arena, before they have moved.

The background of the first frame is a guess. Dirt, and the walls of a well, may remain as
objects; so may an animal that rests. What has moved is an animal. What has not is compared
with the animals of the other arenas: it is one if it is as dark against the floor as they are,
and lies on the floor. It is unknown otherwise, and as long as there is nothing to compare: if
nothing has moved, and most arenas that may have an animal show no object.
"""

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.pose.background.background_model import Polarity
from deeplabstream.pose.background.object_jumps import ObjectJumps
from deeplabstream.pose.background.objects import Objects
from deeplabstream.pose.background.pixel_areas import PixelAreas

LEAST_CONTRAST = 0.5
"""Least relative contrast of an animal that has not moved, as a share of that of the others."""
LEAST_LEVEL = 0.5
"""Least brightness of the background below a dark animal that has not moved, as a share of the
arena's median: walls are darker."""
MOVED_LENGTHS = 0.5
"""Distance that a resting object can't have moved, in lengths of an animal."""
MOVED_JUMPS = 5
"""Jumps of an object, without a loss, after which it has moved."""


class MotionEvidence:
    """Which arenas' animals have moved, and what the others are compared with."""

    def __init__(
        self,
        areas: PixelAreas,
        may_have: NDArray[np.bool_],
        length_px: int,
        polarity: Polarity,
    ) -> None:
        arenas = areas.count
        self._may_have = may_have
        """(arena,): whether it may have an animal; one without a subject is empty."""
        self._length_px = length_px
        self._is_dark = polarity == "dark"
        self._has_moved = np.zeros(arenas, np.bool_)
        self._began = np.full((arenas, 2), np.nan)
        """Where each arena's object was first."""
        self._last = np.full((arenas, 2), np.nan)
        """Where it was last."""
        self._contrast = np.full(arenas, np.nan)
        """Its relative contrast then."""
        self._jumps = ObjectJumps(areas, length_px)

    @property
    def is_needed(self) -> bool:
        """Whether there are arenas in which nothing has moved."""
        return not bool(self._has_moved.all())

    def accepted(
        self,
        objects: Objects,
        candidates: NDArray[np.intp],
        below: NDArray[np.float64],
        floor: NDArray[np.float64],
    ) -> NDArray[np.intp]:
        """Return the candidates that may be animals: all of an arena in which one has moved.

        Nothing that has not moved is an animal in an arena that has none.

        Parameters
        ----------
        objects : Objects
            Those of one frame.
        candidates : numpy.ndarray of int
            Rows of the objects that are large enough.
        below : numpy.ndarray, shape (object,)
            Mean brightness of the background below each object, grey levels.
        floor : numpy.ndarray, shape (arena,)
            Median brightness of the background of each arena, grey levels.

        Returns
        -------
        numpy.ndarray of int
            Rows of objects.
        """
        arena, level = objects.area[candidates], below[candidates]
        on_floor = (level >= LEAST_LEVEL * floor[arena]) | (not self._is_dark)
        on_floor &= self._may_have[arena]
        contrast = _relative(objects, below)[candidates]

        known = self._contrast[self._has_moved]
        if not len(known):
            known = self._most_of_each(arena[on_floor], contrast[on_floor])
        is_like = contrast >= LEAST_CONTRAST * np.median(known)
        is_animal = self._has_moved[arena] | (on_floor & is_like)
        return np.asarray(candidates[is_animal])

    def update(
        self,
        part: Image,
        objects: Objects,
        animals: NDArray[np.intp],
        below: NDArray[np.float64],
    ) -> None:
        """Follow the object of most contrast of each arena; `animals`: their rows."""
        arena, centre = objects.area[animals], objects.centre[animals]
        step = np.linalg.norm(centre - self._last[arena], axis=1)
        # after a jump it may be another object: two marks of the floor are no animal
        is_new = ~(step <= self._length_px)
        self._began[arena[is_new]] = centre[is_new]
        self._last[arena] = centre
        self._jumps.follow(part, objects, animals, is_new)

        away = np.linalg.norm(centre - self._began[arena], axis=1)
        self._has_moved[arena[away > MOVED_LENGTHS * self._length_px]] = True
        self._has_moved[self._jumps.count >= MOVED_JUMPS] = True
        self._contrast[arena] = _relative(objects, below)[animals]

    def reset(self, arenas: NDArray[np.intp]) -> None:
        """Discard what was seen in some arenas: their background is learned again."""
        self._has_moved[arenas] = False
        self._began[arenas] = self._last[arenas] = np.nan
        self._contrast[arenas] = np.nan
        self._jumps.reset(arenas)

    def _most_of_each(
        self, arena: NDArray[np.intp], contrast: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the highest contrast of each arena that has one.

        NaN: most arenas that may have an animal show none, so what the others show is
        unknown.
        """
        most = np.zeros(len(self._has_moved))
        np.maximum.at(most, arena, contrast)
        with_one = most[most > 0]
        return (
            with_one
            if 2 * len(with_one) >= self._may_have.sum()
            else np.array([np.nan])
        )


def _relative(objects: Objects, below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean contrast of each object, as a share of the background below it."""
    return np.asarray(objects.contrast / objects.pixels / np.maximum(below, 1.0))
