"""Options that describe a ChArUco board, for the programs that print and find it."""

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.camera_calibration.charuco_board import (
    DICTIONARIES,
    CharucoBoard,
)
from deeplabstream.settings.option_fields import option, program_options


@program_options
class BoardOptions:
    """Markers of a board."""

    dictionary: str = option(
        default=CharucoBoard.dictionary,
        title="Markers",
        choices=list(DICTIONARIES),
        advanced=True,
    )
    """Set of the board's markers: bits and number."""
    marker_share: float = option(
        default=CharucoBoard.marker_share,
        gt=0.1,
        lt=1,
        title="Marker, share of the square",
        decimals=3,
        advanced=True,
    )
    """Side of a marker, as a share of the square's."""


def numbers_of_squares(text: str) -> tuple[int, int]:
    """Return the numbers of squares of `8x11`; DeepLabStreamError: it is something else."""
    words = text.lower().replace("×", "x").split("x")
    if len(words) != 2 or not all(word.strip().isdigit() for word in words):
        raise DeepLabStreamError(
            f"--board = {text!r}: expected the numbers of squares, such as 8x11"
        )
    columns, rows = map(int, words)
    return columns, rows
