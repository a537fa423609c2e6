"""Grid of arenas as a shape of the image: its corners are the centres of the outer arenas."""

from deeplabstream.gui.shapes import Shape, polygon
from deeplabstream.settings.arenas import check_size, grid_centres, parse_point

ARENAS = "Arenas"
"""Section of the grid."""
GRID = "[Arenas]"
"""Name of the shape; no trigger can have it."""
_CORNERS = 4


def grid_shape(rows: str, columns: str, corners: str) -> Shape | None:
    """Return the outline of a grid, from the texts of its keys.

    None: it has a single row or column, too many of them, or a text is invalid.
    """
    try:
        size = int(rows), int(columns)
        check_size(*size)
        points = tuple(parse_point(text) for text in corners.split(","))
        centres = grid_centres(*size, points)
    except ValueError:
        return None
    if min(size) < 2:
        return None
    outer = centres[0, 0], centres[0, -1], centres[-1, -1], centres[-1, 0]
    return polygon([(float(x), float(y)) for x, y in outer])


def corners_word(shape: Shape) -> str | None:
    """Return CORNERS of a grid with this outline; None: it has not four corners."""
    if len(shape.corners) != _CORNERS:
        return None
    return ", ".join(f"{round(x, 1):g} {round(y, 1):g}" for x, y in shape.corners)
