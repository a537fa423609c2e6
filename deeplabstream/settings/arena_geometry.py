"""Arena geometry: centres of a grid of arenas in an image, and arenas that overlap."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.regions import Region

MOST = 384
"""Largest number of arenas: wells of the largest common plate."""
MOST_ROWS = len(ascii_uppercase)
"""Largest number of rows: each has a letter."""
MOST_COLUMNS = 48
"""Largest number of columns."""
OVERLAP_PX = 1.0
"""Depth of one arena's border in another up to which both only touch."""
_SIDE_POINTS = 16
"""Points on each side of an outline that are compared with other arenas."""


@dataclass(frozen=True)
class ImagePoint:
    """A point in the image, px."""

    x: float
    y: float

    def __str__(self) -> str:
        return f"{self.x:g} {self.y:g}"


def check_size(rows: int, columns: int) -> None:
    """Raise ValueError if a grid has too many, or no, rows, columns or arenas.

    >>> check_size(16, 24)
    """
    is_within = 0 < rows <= MOST_ROWS and 0 < columns <= MOST_COLUMNS
    if not is_within or rows * columns > MOST:
        raise ValueError(
            f"{rows} ROWS × {columns} COLUMNS: up to {MOST} arenas, in 1 to {MOST_ROWS} "
            f"rows and 1 to {MOST_COLUMNS} columns"
        )


def grid_centres(
    rows: int, columns: int, corners: tuple[ImagePoint, ...]
) -> NDArray[np.float64]:
    """Return the centres of a grid of arenas from those at its corners.

    Parameters
    ----------
    rows, columns : int
        Size of the grid, 1 or more.
    corners : sequence of ImagePoint
        One centre for a grid of one arena; two: of the first and the last arena; four:
        upper left, upper right, lower right, lower left. Four determine a homography, so
        that a plane grid in perspective is exact [1]_.

    Returns
    -------
    numpy.ndarray of float64, shape (rows, columns, 2)
        x, y, px.

    Raises
    ------
    ValueError
        Another number of corners, or four that are not in this order.

    References
    ----------
    .. [1] Hartley R, Zisserman A. Multiple view geometry in computer vision, 2nd ed.,
       section 4.1. Cambridge University Press, 2004.
    """
    places = np.array([(corner.x, corner.y) for corner in corners])
    down, right = np.mgrid[:rows, :columns].astype(np.float64)
    share_x, share_y = right / max(1, columns - 1), down / max(1, rows - 1)

    if len(places) == 1 and rows == columns == 1:
        return places.reshape(1, 1, 2)
    if len(places) == 2 and 1 in (rows, columns):
        # a single row or column may be turned
        share = np.maximum(share_x, share_y)[..., None]
        return np.asarray(places[0] + share * (places[1] - places[0]))
    if len(places) == 2:
        share = np.stack([share_x, share_y], axis=-1)
        return np.asarray(places[0] + share * (places[1] - places[0]))
    if len(places) != 4 or 1 in (rows, columns):
        needed = "two" if 1 in (rows, columns) else "two or four"
        raise ValueError(f"CORNERS: expected {needed} centres, not {len(places)}")

    sides = np.roll(places, -1, axis=0) - places
    after = np.roll(sides, -1, axis=0)
    if not (sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0] > 0).all():
        raise ValueError(
            "CORNERS: expected upper left, upper right, lower right, lower left"
        )
    matrix = _from_unit_square(places)
    flat = np.stack([share_x, share_y, np.ones_like(share_x)], axis=-1) @ matrix.T
    return np.asarray(flat[..., :2] / flat[..., 2:])


def _from_unit_square(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the homography (3, 3) of 0 0, 1 0, 1 1, 0 1 to four corners."""
    rows, values = [], []
    for (u, v), (x, y) in zip(((0, 0), (1, 0), (1, 1), (0, 1)), corners, strict=True):
        rows += [[u, v, 1, 0, 0, 0, -u * x, -v * x], [0, 0, 0, u, v, 1, -u * y, -v * y]]
        values += [x, y]
    return np.append(np.linalg.solve(np.array(rows), np.array(values)), 1).reshape(3, 3)


def overlaps(arenas: Mapping[str, Region]) -> Iterator[tuple[str, str]]:
    """Yield the names of each two arenas that share more than their border."""
    outlines = {name: _dense(region.outline()) for name, region in arenas.items()}
    names = [*arenas]
    low = np.array([outline.min(axis=0) for outline in outlines.values()])
    high = np.array([outline.max(axis=0) for outline in outlines.values()])
    for at, one in enumerate(names):
        near = (low[at + 1 :] < high[at]).all(axis=1)
        near &= (high[at + 1 :] > low[at]).all(axis=1)
        for index in np.flatnonzero(near).tolist():
            other = names[at + 1 + index]
            depths = [
                *arenas[one].depths(outlines[other]),
                *arenas[other].depths(outlines[one]),
            ]
            # two equal regions: the outline of one lies on that of the other
            equal = str(arenas[one]) == str(arenas[other])
            if equal or max(depths) > OVERLAP_PX:
                yield one, other


def _dense(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the outline with points between its corners."""
    after = np.roll(outline, -1, axis=0)
    shares = np.arange(_SIDE_POINTS)[:, None, None] / _SIDE_POINTS
    return np.asarray((outline + shares * (after - outline)).reshape(-1, 2))
