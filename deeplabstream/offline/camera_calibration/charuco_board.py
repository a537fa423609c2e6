"""ChArUco board: a chessboard with numbered markers, and its corners in images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image

DICTIONARIES = tuple(
    f"{bits}X{bits}_{count}" for bits in (4, 5, 6, 7) for count in (50, 100, 250, 1000)
)
"""Sets of markers, as OpenCV names them after DICT_."""


@dataclass(frozen=True)
class CharucoBoard:
    """A board as it was printed.

    Raises
    ------
    DeepLabStreamError
        No such board can exist.
    """

    columns: int
    """Squares along x."""
    rows: int
    square_mm: float
    """Side of a square, measured on the print."""
    dictionary: str = "4X4_50"
    marker_share: float = 0.75
    """Side of a marker as a share of the square's."""
    legacy: bool = False
    """Whether an OpenCV before 4.6 made it: its first square is a marker."""
    inverted: bool = False
    """Whether its squares are white where others are black."""

    def __post_init__(self) -> None:
        if min(self.columns, self.rows) < 3 or max(self.columns, self.rows) > 50:
            raise DeepLabStreamError(
                f"a board of {self.columns}×{self.rows} squares: 3 to 50 are possible"
            )
        needed, known = self.columns * self.rows // 2, self.dictionary.split("_")[1]
        if needed > int(known):
            raise DeepLabStreamError(
                f"a board of {self.columns}×{self.rows} squares needs {needed} markers, and "
                f"{self.dictionary} has {known}"
            )

    @property
    def corners(self) -> int:
        """Number of inner corners."""
        return (self.columns - 1) * (self.rows - 1)

    @property
    def corners_mm(self) -> NDArray[np.float64]:
        """Positions (corner, 3) on the board; z is 0."""
        y, x = np.divmod(np.arange(self.corners), self.columns - 1)
        flat = np.stack([x + 1.0, y + 1.0, np.zeros(self.corners)], axis=1)
        return flat * self.square_mm

    @cached_property
    def detector(self) -> Any:
        """OpenCV's detector of the board."""
        import cv2

        words = getattr(cv2.aruco, f"DICT_{self.dictionary}")
        markers = cv2.aruco.getPredefinedDictionary(words)
        size = self.columns, self.rows
        board = cv2.aruco.CharucoBoard(size, 1.0, self.marker_share, markers)
        board.setLegacyPattern(self.legacy)
        return cv2.aruco.CharucoDetector(board)

    def find(self, image: Image) -> NDArray[np.float64]:
        """Return the corners in an image.

        Parameters
        ----------
        image : numpy.ndarray of uint8, shape (height, width) or (height, width, 3)
            Grey, or BGR.

        Returns
        -------
        numpy.ndarray of float64, shape (corner, 2)
            x, y in pixels. NaN: not found.
        """
        import cv2

        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if self.inverted:
            grey = cv2.bitwise_not(grey)
        found = np.full((self.corners, 2), np.nan)
        places, numbers, _, _ = self.detector.detectBoard(grey)
        if numbers is not None and len(numbers) >= 4:
            found[np.ravel(numbers)] = np.reshape(places, (-1, 2))
        return found


def fitting_board(board: CharucoBoard, images: Sequence[Image]) -> CharucoBoard:
    """Return the board with the pattern that finds most corners.

    Older versions of OpenCV print another pattern, and some boards are inverted; neither is
    written on them.
    """
    tried = [
        replace(board, legacy=legacy, inverted=inverted)
        for inverted, legacy in product((False, True), repeat=2)
    ]
    counts = [
        sum(int(np.isfinite(kind.find(image)[:, 0]).sum()) for image in images)
        for kind in tried
    ]
    return tried[int(np.argmax(counts))]
