"""Printed page: markers, scale bar and text in true millimetres, as PDF or PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGES = {"A4": (210.0, 297.0), "A3": (297.0, 420.0), "Letter": (215.9, 279.4)}
"""Width and height in mm, upright."""
FORMATS = (".pdf", ".png")
DPI = 300
"""Resolution of a PNG, which is stated in the file."""
SCALE_BAR_MM = 100.0
MARGIN_MM = 10.0
"""Printers leave a border of up to 7 mm white."""
FOOT_MM = 24.0
"""Height of scale bar and text at the foot of the page."""
_LINE_MM = 4.0
_MM_PER_INCH = 25.4
FONT_PT = 7.5

Area: TypeAlias = tuple[float, float, float, float]
"""x, y, width, height, mm."""


def check_page(page: str) -> None:
    """Raise DeepLabStreamError if a page is not known."""
    if page not in PAGES:
        raise DeepLabStreamError(f"page {page!r}: expected one of {', '.join(PAGES)}")


def both_ways(page: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return width and height of a page, upright and turned, mm."""
    width, height = PAGES[page]
    return (width, height), (height, width)


def marker_areas_mm(
    markers: Any, number: int, side_mm: float, corner: Sequence[float]
) -> list[Area]:
    """Return the black rectangles of a marker with this upper left corner.

    `markers`: OpenCV's set of markers. The rectangles overlap, so that no hairline is seen
    between them.
    """
    import cv2

    modules = markers.markerSize + 2
    is_black = cv2.aruco.generateImageMarker(markers, number, modules) < 128
    module_mm = side_mm / modules
    x, y = float(corner[0]), float(corner[1])
    rows = [
        (
            x + first * module_mm,
            y + row * module_mm,
            (last - first) * module_mm,
            module_mm,
        )
        for row, first, last in _runs(is_black)
    ]
    columns = [
        (
            x + column * module_mm,
            y + first * module_mm,
            module_mm,
            (last - first) * module_mm,
        )
        for column, first, last in _runs(is_black.T)
    ]
    return [*rows, *columns]


def empty_page(size_mm: tuple[float, float]) -> "tuple[Figure, Axes]":
    """Return a page as a figure whose axes are in mm, y down."""
    from matplotlib.figure import Figure

    width, height = size_mm
    figure = Figure(figsize=(width / _MM_PER_INCH, height / _MM_PER_INCH))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    return figure, axes


def draw_areas(axes: "Axes", areas: NDArray[np.float64], ink: str = "black") -> None:
    """Fill rectangles (n, 4): x, y, width, height, mm."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    filled = [
        Rectangle((x, y), width, height) for x, y, width, height in areas.tolist()
    ]
    axes.add_collection(PatchCollection(filled, facecolor=ink, linewidth=0))


def draw_foot(axes: "Axes", lines: Sequence[str]) -> None:
    """Draw the scale bar and lines of text at the foot of the page."""
    height = axes.get_ylim()[0]
    below = height - MARGIN_MM - FOOT_MM + 5
    _draw_scale_bar(axes, MARGIN_MM, below)
    for number, line in enumerate(lines):
        y = below + 5 + number * _LINE_MM
        axes.text(MARGIN_MM, y, line, fontsize=FONT_PT, va="center", parse_math=False)


def write_page(figure: "Figure", file: Path) -> None:
    """Write a page as PDF or PNG, by the ending of the file.

    DeepLabStreamError: another ending, or it can't be written.
    """
    if file.suffix.lower() not in FORMATS:
        raise DeepLabStreamError(f"{file}: expected the ending {' or '.join(FORMATS)}")
    is_pdf = file.suffix.lower() == ".pdf"
    try:
        with atomic_file(file) as draft:
            figure.savefig(
                draft,
                dpi=DPI,
                metadata={"CreationDate": None} if is_pdf else None,
            )
    except OSError as error:
        raise DeepLabStreamError(
            f"Can't write {file}: {error.strerror or error}"
        ) from error


def _draw_scale_bar(axes: "Axes", left: float, y: float) -> None:
    """Draw a line of 100 mm with a tick at every cm; its ends are the middle of ticks."""
    right = left + SCALE_BAR_MM
    axes.plot([left, right], [y, y], color="black", linewidth=0.5)
    for tick in np.linspace(left, right, 11):
        long = tick in (left, right)
        ends = [y - (2.5 if long else 1.2), y]
        axes.plot([tick, tick], ends, color="black", linewidth=0.5)
    axes.text(right + 2, y - 0.5, f"{SCALE_BAR_MM:g} mm", fontsize=FONT_PT, va="center")


def _runs(is_black: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Return the runs of black in each line: line, first, and the one after the last."""
    found = []
    for line, cells in enumerate(is_black):
        steps = np.flatnonzero(np.diff([0, *cells.astype(int), 0]))
        for first, last in steps.reshape(-1, 2).tolist():
            found.append((line, first, last))
    return found
