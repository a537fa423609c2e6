"""Board sheet: a ChArUco board on a page in true millimetres, as PDF or PNG."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.camera_calibration.charuco_board import CharucoBoard

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGES = {"A4": (210.0, 297.0), "A3": (297.0, 420.0), "Letter": (215.9, 279.4)}
"""Width and height in mm, upright."""
FORMATS = (".pdf", ".png")
DPI = 300
"""Resolution of a PNG, which is stated in the file."""
SCALE_BAR_MM = 100.0
_MARGIN_MM = 10.0
"""Printers leave a border of up to 7 mm white."""
_FOOT_MM = 24.0
"""Height of scale bar and text below the board."""
_LINE_MM = 4.0
_MM_PER_INCH = 25.4
_FONT_PT = 7.5


@dataclass(frozen=True)
class BoardSheet:
    """A board on a page; its `square_mm` is the one that is printed.

    Raises
    ------
    DeepLabStreamError
        The page is not known, or the board does not fit on it.
    """

    board: CharucoBoard
    page: str = "A4"

    def __post_init__(self) -> None:
        if self.page not in PAGES:
            raise DeepLabStreamError(
                f"page {self.page!r}: expected one of {', '.join(PAGES)}"
            )
        largest = largest_square_mm(self.board, self.page)
        if self.board.square_mm > largest:
            raise DeepLabStreamError(
                f"{self.board.columns}×{self.board.rows} squares of "
                f"{self.board.square_mm:g} mm do not fit on {self.page}: at most "
                f"{largest:.1f} mm. Choose a larger page, or fewer or smaller squares"
            )

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the page, turned as the board needs it."""
        return _turned(self.board, self.page)

    @property
    def origin_mm(self) -> tuple[float, float]:
        """The board's first corner, from the left and upper edge of the page."""
        width, height = self.size_mm
        across, along = _extent_mm(self.board)
        return (width - across) / 2, (height - _FOOT_MM - along) / 2


def largest_square_mm(board: CharucoBoard, page: str) -> float:
    """Return the largest side of a square with which a board fits on a page."""
    return max(_square_mm(board, size) for size in _both_ways(page))


def with_largest_square(board: CharucoBoard, page: str) -> CharucoBoard:
    """Return the board with the largest squares of whole mm that fit on a page."""
    largest = np.floor(largest_square_mm(board, page))
    if largest < 1:
        raise DeepLabStreamError(
            f"{board.columns}×{board.rows} squares do not fit on {page}"
        )
    return replace(board, square_mm=float(largest))


def black_areas_mm(board: CharucoBoard) -> NDArray[np.float64]:
    """Return black rectangles (n, 4) of a board: x, y, width, height, from its first corner.

    Those of a marker overlap, so that no hairline is seen between them.
    """
    import cv2

    chart = board.detector.getBoard()
    markers = chart.getDictionary()
    modules = markers.markerSize + 2
    corners = np.array(chart.getObjPoints(), np.float64)[..., :2] * board.square_mm
    areas: list[tuple[float, float, float, float]] = []

    # A square without a marker is black.
    middles = (corners.mean(axis=1) / board.square_mm).astype(int)
    white = set(map(tuple, middles.tolist()))
    for row in range(board.rows):
        for column in range(board.columns):
            if (column, row) not in white:
                x, y = column * board.square_mm, row * board.square_mm
                areas.append((x, y, board.square_mm, board.square_mm))

    side = board.square_mm * board.marker_share / modules
    for number, own in zip(np.ravel(chart.getIds()), corners, strict=True):
        is_black = cv2.aruco.generateImageMarker(markers, int(number), modules) < 128
        x, y = own[0]
        for row, first, last in _runs(is_black):
            areas.append(
                (x + first * side, y + row * side, (last - first) * side, side)
            )
        for column, first, last in _runs(is_black.T):
            areas.append(
                (x + column * side, y + first * side, side, (last - first) * side)
            )
    return np.array(areas)


def instructions(board: CharucoBoard, page: str) -> list[str]:
    """Return lines of text: what the board is, what to measure, how to use it."""
    columns, square = board.columns, board.square_mm
    return [
        f"ChArUco board, {columns}×{board.rows} squares of {square:g} mm on {page}, markers "
        f"{board.dictionary}, side of a marker {board.marker_share:g} of the square's.",
        "1. Print it at actual size (100 %), not fitted to the page. Glue it onto a stiff, "
        "flat plate: paper alone bends.",
        f"2. Measure with a caliper on the print: the scale bar ({SCALE_BAR_MM:g} mm), and "
        f"the {columns} squares of a row ({columns * square:g} mm).",
        f"    The length of the row divided by {columns} is the square. The {board.rows} "
        f"squares of a column must give the same: {board.rows * square:g} mm.",
        f"3. deeplabstream calibrate-cameras VIDEOS {' '.join(_words(board))} "
        "--square-mm MEASURED",
    ]


def write_board(sheet: BoardSheet, file: Path) -> None:
    """Write a board as PDF or PNG, by the ending of the file.

    DeepLabStreamError: another ending, or it can't be written.
    """
    if file.suffix.lower() not in FORMATS:
        raise DeepLabStreamError(f"{file}: expected the ending {' or '.join(FORMATS)}")
    is_pdf = file.suffix.lower() == ".pdf"
    try:
        with atomic_file(file) as draft:
            _figure(sheet).savefig(
                draft,
                dpi=DPI,
                metadata={"CreationDate": None} if is_pdf else None,
            )
    except OSError as error:
        raise DeepLabStreamError(
            f"Can't write {file}: {error.strerror or error}"
        ) from error


def _figure(sheet: BoardSheet) -> "Figure":
    """Return the page as a figure whose axes are in mm, y down."""
    from matplotlib.collections import PatchCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    board, (width, height) = sheet.board, sheet.size_mm
    figure = Figure(figsize=(width / _MM_PER_INCH, height / _MM_PER_INCH))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()

    left, top = sheet.origin_mm
    ink = "black"
    if board.inverted:
        ground = Rectangle((left, top), *_extent_mm(board), color="black", linewidth=0)
        axes.add_patch(ground)
        ink = "white"
    areas = [
        Rectangle((left + x, top + y), across, along)
        for x, y, across, along in black_areas_mm(board)
    ]
    axes.add_collection(PatchCollection(areas, facecolor=ink, linewidth=0))

    below = height - _MARGIN_MM - _FOOT_MM + 5
    _draw_scale_bar(axes, _MARGIN_MM, below)
    for number, line in enumerate(instructions(board, sheet.page)):
        axes.text(
            _MARGIN_MM,
            below + 5 + number * _LINE_MM,
            line,
            fontsize=_FONT_PT,
            va="center",
            parse_math=False,
        )
    return figure


def _draw_scale_bar(axes: "Axes", left: float, y: float) -> None:
    """Draw a line of 100 mm with a tick at every cm; its ends are the middle of ticks."""
    right = left + SCALE_BAR_MM
    axes.plot([left, right], [y, y], color="black", linewidth=0.5)
    for tick in np.linspace(left, right, 11):
        long = tick in (left, right)
        ends = [y - (2.5 if long else 1.2), y]
        axes.plot([tick, tick], ends, color="black", linewidth=0.5)
    axes.text(
        right + 2, y - 0.5, f"{SCALE_BAR_MM:g} mm", fontsize=_FONT_PT, va="center"
    )


def _words(board: CharucoBoard) -> list[str]:
    """Return the options of CalibrateCameras that describe a board, without its size."""
    words = ["--board", f"{board.columns}x{board.rows}"]
    if board.dictionary != CharucoBoard.dictionary:
        words += ["--dictionary", board.dictionary]
    if board.marker_share != CharucoBoard.marker_share:
        words += ["--marker-share", f"{board.marker_share:g}"]
    return words


def _runs(is_black: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Return the runs of black in each line: line, first, and the one after the last."""
    found = []
    for line, cells in enumerate(is_black):
        steps = np.flatnonzero(np.diff([0, *cells.astype(int), 0]))
        for first, last in steps.reshape(-1, 2).tolist():
            found.append((line, first, last))
    return found


def _extent_mm(board: CharucoBoard) -> tuple[float, float]:
    return board.columns * board.square_mm, board.rows * board.square_mm


def _both_ways(page: str) -> tuple[tuple[float, float], tuple[float, float]]:
    width, height = PAGES[page]
    return (width, height), (height, width)


def _square_mm(board: CharucoBoard, size: tuple[float, float]) -> float:
    """Return the largest side of a square on a page of this size."""
    width, height = size
    across = (width - 2 * _MARGIN_MM) / board.columns
    return min(across, (height - 2 * _MARGIN_MM - _FOOT_MM) / board.rows)


def _turned(board: CharucoBoard, page: str) -> tuple[float, float]:
    """Return width and height of the page, turned so that the squares can be largest."""
    return max(_both_ways(page), key=lambda size: _square_mm(board, size))
