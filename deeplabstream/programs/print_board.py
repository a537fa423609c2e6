"""Print a ChArUco board for CalibrateCameras.py in true millimetres, as PDF or PNG.

    python utils/PrintBoard.py
    python utils/PrintBoard.py --page A3 --board 8x11 --output board.pdf
    python utils/PrintBoard.py --board 5x7 --square-mm 20 --output small.png

The squares are as large as the page allows, in whole mm. The page says what to measure with a
caliper: printers scale, and CalibrateCameras.py needs the measured side of a square.
"""

from pathlib import Path

from deeplabstream.core.errors import check_packages
from deeplabstream.core.visible_text import visible
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.camera_calibration.board_sheet import (
    BoardSheet,
    instructions,
    with_largest_square,
    write_board,
)
from deeplabstream.offline.camera_calibration.charuco_board import CharucoBoard
from deeplabstream.offline.camera_calibration.printed_page import PAGES
from deeplabstream.programs.board_options import BoardOptions, numbers_of_squares
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.settings.option_fields import option, program_options


@program_options
class PrintBoard(BoardOptions):
    """The board, the page, and the file that is written."""

    board: str = option(default="5x7", title="Squares", metavar="COLUMNSxROWS")
    """Squares of the board along its sides."""
    page: str = option(default="A4", title="Page", choices=list(PAGES))
    """Size of the paper."""
    square_mm: float | None = option(
        default=None, gt=0, le=1000, title="Square", unit="mm", advanced=True
    )
    """Side of a square in mm; default: the largest that fits."""
    output: Path = option(default=Path("board.pdf"), title="File", editor="save")
    """File to write: .pdf, or .png with 300 dots per inch."""
    overwrite: bool = overwrite()


def print_board(options: PrintBoard) -> int:
    """Write the board; print what to measure."""
    check_free([options.output], options.overwrite)
    columns, rows = numbers_of_squares(options.board)
    board = CharucoBoard(
        columns,
        rows,
        options.square_mm or 1.0,
        options.dictionary,
        options.marker_share,
    )
    if options.square_mm is None:
        board = with_largest_square(board, options.page)
    sheet = BoardSheet(board, options.page)
    check_packages("PrintBoard", ("matplotlib",))
    write_board(sheet, options.output)
    for line in instructions(board, options.page):
        print(visible(line))
    print(visible(str(options.output)))
    return 0


PROGRAM = Program(PrintBoard, print_board, __doc__, "PrintBoard")
