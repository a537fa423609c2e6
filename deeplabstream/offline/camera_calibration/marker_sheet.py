"""Marker sheet: the four markers of a plate on a page in true millimetres, to be cut out."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.camera_calibration.charuco_board import DICTIONARIES
from deeplabstream.offline.camera_calibration.printed_page import (
    FONT_PT,
    FOOT_MM,
    MARGIN_MM,
    PAGES,
    SCALE_BAR_MM,
    check_page,
    draw_areas,
    draw_foot,
    empty_page,
    marker_areas_mm,
    write_page,
)
from deeplabstream.pose.plate_markers import PLACES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_MM = 4.0
"""Smallest side of a marker: printers blur modules of less than 0.7 mm."""
_BORDER = 0.25
"""White border as a part of the marker's side: the detector needs at least one module."""
_GAP_MM = 8.0
"""Distance between two markers with their borders; the words below each stand there."""


@dataclass(frozen=True)
class MarkerSheet:
    """Four markers on a page.

    Raises
    ------
    DeepLabStreamError
        The page or the set is not known, the numbers are not four of it, or the markers do not
        fit on the page.
    """

    side_mm: float
    """Side of a marker, without its white border."""
    numbers: tuple[int, ...] = (0, 1, 2, 3)
    """Of the markers at the upper left, upper right, lower right and lower left."""
    dictionary: str = "4X4_50"
    page: str = "A4"

    def __post_init__(self) -> None:
        check_page(self.page)
        if self.dictionary not in DICTIONARIES:
            raise DeepLabStreamError(
                f"set of markers {self.dictionary!r}: expected one of "
                f"{', '.join(DICTIONARIES)}"
            )
        most = int(self.dictionary.split("_")[1])
        in_set = all(0 <= number < most for number in self.numbers)
        if len({*self.numbers}) != len(PLACES) or len(self.numbers) != len(PLACES):
            raise DeepLabStreamError(
                f"markers {_listed(self.numbers)}: expected {len(PLACES)} different numbers"
            )
        if not in_set:
            raise DeepLabStreamError(
                f"markers {_listed(self.numbers)}: {self.dictionary} has 0 to {most - 1}"
            )
        if not LEAST_MM <= self.side_mm <= self.largest_mm:
            raise DeepLabStreamError(
                f"markers of {self.side_mm:g} mm: {LEAST_MM:g} to {self.largest_mm:.1f} mm "
                f"are possible on {self.page}"
            )

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the page, upright."""
        return PAGES[self.page]

    @property
    def largest_mm(self) -> float:
        """Largest side of a marker with which four fit on the page, two in a row."""
        width, height = self.size_mm
        room = min(
            (width - 2 * MARGIN_MM - _GAP_MM) / 2,
            (height - 2 * MARGIN_MM - FOOT_MM - 2 * _GAP_MM) / 2,
        )
        return room / (1 + 2 * _BORDER)

    @property
    def outer_mm(self) -> float:
        """Side of a marker with its white border, along which it is cut."""
        return self.side_mm * (1 + 2 * _BORDER)

    @property
    def borders_mm(self) -> tuple[tuple[float, float], ...]:
        """Upper left corner of each border on the page, placed as on the plate."""
        step = self.outer_mm + _GAP_MM
        places = ((0, 0), (1, 0), (1, 1), (0, 1))
        return tuple((MARGIN_MM + x * step, MARGIN_MM + y * step) for x, y in places)

    @property
    def instructions(self) -> list[str]:
        """Lines of text: what to measure, and how to use the markers."""
        return [
            f"Markers {_listed(self.numbers)} of {self.dictionary}, side {self.side_mm:g} mm. "
            "Print at actual size (100 %), not fitted to the page.",
            f"1. Measure the scale bar: {SCALE_BAR_MM:g} mm. Cut along the grey lines: the "
            "white border belongs to the marker.",
            "2. Glue them flat onto the plate, at the corners that are written below them, as "
            "high as its upper side.",
            "3. On the page Regions: arenas …, lay out the arenas, then Find markers.",
        ]


def write_markers(sheet: MarkerSheet, file: Path) -> None:
    """Write markers as PDF or PNG, by the ending of the file.

    DeepLabStreamError: another ending, or it can't be written.
    """
    write_page(_figure(sheet), file)


def _figure(sheet: MarkerSheet) -> "Figure":
    """Return the page: markers, with lines to cut along, and text."""
    import cv2
    from matplotlib.patches import Rectangle

    kind = getattr(cv2.aruco, f"DICT_{sheet.dictionary}")
    markers = cv2.aruco.getPredefinedDictionary(kind)
    figure, axes = empty_page(sheet.size_mm)
    border = sheet.side_mm * _BORDER
    for number, place, (x, y) in zip(
        sheet.numbers, PLACES, sheet.borders_mm, strict=True
    ):
        axes.add_patch(
            Rectangle(
                (x, y),
                sheet.outer_mm,
                sheet.outer_mm,
                fill=False,
                edgecolor="0.7",
                linewidth=0.3,
            )
        )
        corner = x + border, y + border
        draw_areas(
            axes, np.array(marker_areas_mm(markers, number, sheet.side_mm, corner))
        )
        below = y + sheet.outer_mm + _GAP_MM / 2
        axes.text(x, below, f"{number} {place}", fontsize=FONT_PT, va="center")
    draw_foot(axes, sheet.instructions)
    return figure


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
