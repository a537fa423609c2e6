"""Grid of arenas as a shape of the image: its corners are the centres of the outer arenas."""

import numpy as np

from deeplabstream.gui.shapes import Shape, polygon
from deeplabstream.settings.arena_geometry import ImagePoint, check_size, grid_centres
from deeplabstream.settings.arenas import ARENAS, parse_point

GRID = f"[{ARENAS}]"
"""Name of the shape; no trigger can have it."""
_SAME_PX = 1e-6
"""Difference of two positions that is a rounding error."""


def grid_shape(rows: str, columns: str, corners: str) -> Shape | None:
    """Return the outline of a grid, from the texts of its keys.

    None: it has a single row or column, too many of them, or a text is invalid.
    """
    try:
        size = int(rows), int(columns)
        check_size(*size)
        centres = grid_centres(*size, _points(corners))
    except ValueError:
        return None
    if min(size) < 2:
        return None
    outer = centres[0, 0], centres[0, -1], centres[-1, -1], centres[-1, 0]
    return polygon([(float(x), float(y)) for x, y in outer])


def corners_word(shape: Shape, rows: str, columns: str, corners: str) -> str:
    """Return CORNERS of a grid whose outline was changed to a shape.

    A grid of two corners that was moved as a whole keeps two. `rows`, `columns` and
    `corners` are the texts of its keys, as for `grid_shape`. ValueError: no grid has this
    outline.
    """
    is_moved = _is_moved(grid_shape(rows, columns, corners), shape)
    new = list(shape.corners)
    if is_moved and len(_points(corners)) == 2:
        new = [new[0], new[2]]
    word = ", ".join(f"{round(x, 1):g} {round(y, 1):g}" for x, y in new)
    grid_centres(int(rows), int(columns), _points(word))
    return word


def _points(corners: str) -> tuple[ImagePoint, ...]:
    """Return the centres that CORNERS describes; ValueError: it is invalid."""
    return tuple(parse_point(text) for text in corners.split(","))


def _is_moved(old: Shape | None, new: Shape) -> bool:
    """Return whether a shape is another one at another place."""
    if old is None or len(old.corners) != len(new.corners):
        return False
    steps = np.subtract(new.corners, old.corners)
    return bool(np.ptp(steps, axis=0).max() < _SAME_PX)
