"""Print the four markers of a plate with arenas in true millimetres, as PDF or PNG.

    python utils/PrintMarkers.py
    python utils/PrintMarkers.py --side-mm 12 --markers 4,5,6,7 --output plate_2.pdf

Cut them out and glue them to the corners of the plate. *Find markers* on the page Regions then
lets the arenas follow the plate.
"""

from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError, check_packages
from deeplabstream.core.visible_text import visible
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.camera_calibration.charuco_board import DICTIONARIES
from deeplabstream.offline.camera_calibration.marker_sheet import (
    MarkerSheet,
    write_markers,
)
from deeplabstream.offline.camera_calibration.printed_page import PAGES
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.settings.option_fields import option, program_options


@program_options
class PrintMarkers:
    """The markers, the page, and the file that is written."""

    side_mm: float = option(
        default=15.0, gt=0, le=1000, title="Side of a marker", unit="mm"
    )
    """Side of a marker in mm, without its white border of a quarter of that."""
    markers: str = option(
        default="0,1,2,3", title="Numbers", metavar="NUMBER,NUMBER,NUMBER,NUMBER"
    )
    """Numbers of the markers at the upper left, upper right, lower right and lower left.

    Other plates need others."""
    page: str = option(default="A4", title="Page", choices=list(PAGES))
    """Size of the paper."""
    dictionary: str = option(
        default=MarkerSheet.dictionary,
        title="Set of markers",
        choices=list(DICTIONARIES),
        advanced=True,
    )
    """Set of the markers: bits and number, as DICTIONARY of [Arenas]."""
    output: Path = option(default=Path("markers.pdf"), title="File", editor="save")
    """File to write: .pdf, or .png with 300 dots per inch."""
    overwrite: bool = overwrite()


def print_markers(options: PrintMarkers) -> int:
    """Write the markers; print what to measure."""
    check_free([options.output], options.overwrite)
    numbers = _numbers(options.markers)
    sheet = MarkerSheet(options.side_mm, numbers, options.dictionary, options.page)
    check_packages("PrintMarkers", ("matplotlib",))
    write_markers(sheet, options.output)
    for line in sheet.instructions:
        print(visible(line))
    print(visible(str(options.output)))
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of `0,1,2,3`; DeepLabStreamError: it is something else."""
    words = text.replace(" ", "").split(",")
    if not all(word.isdigit() for word in words):
        raise DeepLabStreamError(
            f"--markers = {text!r}: expected numbers with commas between them, such as "
            "0,1,2,3"
        )
    return tuple(map(int, words))


PROGRAM = Program(PrintMarkers, print_markers, __doc__, "PrintMarkers")
