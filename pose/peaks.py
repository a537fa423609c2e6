"""All hills of heat maps: there is one for each animal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """The highest cells of m hills, the highest hill first within a map."""

    maps: Places
    """(m,): in which map, in ascending order."""
    rows: Places
    columns: Places
    heights: NDArray[np.float32]
    """(m,)"""

    def __len__(self) -> int:
        return len(self.maps)


def find_peaks(maps: NDArray[np.float32], floor: float, most: int) -> Peaks:
    """Return the local maxima of `maps` (n, h, w), of each map the `most` highest.

    A cell is one when it is above `floor` and above its eight neighbours; of equal
    neighbours the first is. NaN is never one.
    """
    _, height, width = maps.shape
    flat = maps.reshape(-1)
    places = np.flatnonzero(flat > floor)
    which, inside = np.divmod(places, height * width)
    rows, columns = np.divmod(inside, width)
    y, x = rows[:, None] + _DY, columns[:, None] + _DX
    there = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    around = np.where(there, places[:, None] + _DY * width + _DX, places[:, None])
    beside, heights = flat[around], flat[places][:, None]
    lower = np.where(_EARLIER, beside < heights, beside <= heights) | ~there
    kept = np.flatnonzero(lower.all(axis=1))
    kept = kept[np.lexsort((-heights[kept, 0], which[kept]))]
    first = np.searchsorted(which[kept], which[kept])
    kept = kept[np.arange(len(kept)) - first < most]
    return Peaks(which[kept], rows[kept], columns[kept], heights[kept, 0])


_DY = np.array([-1, -1, -1, 0, 0, 1, 1, 1])
_DX = np.array([-1, 0, 1, -1, 1, -1, 0, 1])
_EARLIER = np.arange(8) < 4
