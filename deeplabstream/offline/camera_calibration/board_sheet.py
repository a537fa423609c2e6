"""Board sheet: a ChArUco board on a page in true millimetres, as PDF or PNG."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.camera_calibration.charuco_board import CharucoBoard
from deeplabstream.offline.camera_calibration.printed_page import (
    FOOT_MM,
    MARGIN_MM,
    SCALE_BAR_MM,
    both_ways,
    check_page,
    draw_areas,
    draw_foot,
    empty_page,
    marker_areas_mm,
    write_page,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        check_page(self.page)
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
        return (width - across) / 2, (height - FOOT_MM - along) / 2


def largest_square_mm(board: CharucoBoard, page: str) -> float:
    """Return the largest side of a square with which a board fits on a page."""
    return max(_square_mm(board, size) for size in both_ways(page))


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
    chart = board.detector.getBoard()
    markers = chart.getDictionary()
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

    side_mm = board.square_mm * board.marker_share
    for number, own in zip(np.ravel(chart.getIds()), corners, strict=True):
        areas += marker_areas_mm(markers, int(number), side_mm, own[0])
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
    write_page(_figure(sheet), file)


def _figure(sheet: BoardSheet) -> "Figure":
    """Return the page as a figure whose axes are in mm, y down."""
    from matplotlib.patches import Rectangle

    board = sheet.board
    figure, axes = empty_page(sheet.size_mm)
    left, top = sheet.origin_mm
    ink = "black"
    if board.inverted:
        ground = Rectangle((left, top), *_extent_mm(board), color="black", linewidth=0)
        axes.add_patch(ground)
        ink = "white"
    areas = black_areas_mm(board)
    areas[:, :2] += left, top
    draw_areas(axes, areas, ink)
    draw_foot(axes, instructions(board, sheet.page))
    return figure


def _words(board: CharucoBoard) -> list[str]:
    """Return the options of CalibrateCameras that describe a board, without its size."""
    words = ["--board", f"{board.columns}x{board.rows}"]
    if board.dictionary != CharucoBoard.dictionary:
        words += ["--dictionary", board.dictionary]
    if board.marker_share != CharucoBoard.marker_share:
        words += ["--marker-share", f"{board.marker_share:g}"]
    return words


def _extent_mm(board: CharucoBoard) -> tuple[float, float]:
    return board.columns * board.square_mm, board.rows * board.square_mm


def _square_mm(board: CharucoBoard, size: tuple[float, float]) -> float:
    """Return the largest side of a square on a page of this size."""
    width, height = size
    across = (width - 2 * MARGIN_MM) / board.columns
    return min(across, (height - 2 * MARGIN_MM - FOOT_MM) / board.rows)


def _turned(board: CharucoBoard, page: str) -> tuple[float, float]:
    """Return width and height of the page, turned so that the squares can be largest."""
    return max(both_ways(page), key=lambda size: _square_mm(board, size))
