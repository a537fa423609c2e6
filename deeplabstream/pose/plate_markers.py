"""Plate markers: ArUco markers at the corners of a plate, and where the plate lies by them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image

PLACES = ("upper left", "upper right", "lower right", "lower left")
"""Order of the markers of a plate."""
LEAST = 3
"""Markers that must be seen: one may be hidden."""
MOST_TURN_DEG = 10.0
"""A plate that is turned by more is refused: arenas and regions are not turned with it."""
MOST_SCALE = 0.05
"""Relative change of size from which a plate is refused: arenas keep their size."""
MOST_ERROR_PX = 2.0
"""Distance of a marker's corner from where the others place it, from which it is refused."""

Points = NDArray[np.float64]
"""Positions (n, 2): x, y, px."""


@dataclass(frozen=True)
class PlatePlace:
    """Where a plate lies, compared with the image in which its arenas were laid out."""

    homography: NDArray[np.float64]
    """Matrix (3, 3) from positions in that image to positions in this one."""
    moved_px: float
    """How far the middle of the markers has moved."""
    turned_deg: float
    """Turn, clockwise in the image."""
    hidden: tuple[int, ...] = ()
    """Numbers of the markers that were not seen."""

    def place(self, points: Points) -> Points:
        """Return positions (n, 2) of that image in this one."""
        flat = np.column_stack([points, np.ones(len(points))]) @ self.homography.T
        return np.asarray(flat[:, :2] / flat[:, 2:])

    @property
    def sentence(self) -> str:
        """The place in words."""
        text = (
            f"the plate was found by its markers: moved by {self.moved_px:.1f} px, turned "
            f"by {self.turned_deg:.1f}°"
        )
        if self.hidden:
            text += f"; marker {', '.join(map(str, self.hidden))} was not seen"
        return text


def find_markers(image: Image, dictionary: str) -> dict[int, Points]:
    """Return the corners (4, 2) of each marker in an image, by its number.

    Parameters
    ----------
    image : numpy.ndarray of uint8, shape (height, width) or (height, width, 3)
        Grey, or BGR.
    dictionary : str
        Set of markers, as OpenCV names it after `DICT_`.

    Returns
    -------
    dict of int to numpy.ndarray of float64, shape (4, 2)
        x, y in px: upper left, upper right, lower right, lower left corner of the marker.

    Raises
    ------
    DeepLabStreamError
        No such dictionary, or a number is there twice.
    """
    import cv2

    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    found, numbers, _ = _detector(dictionary).detectMarkers(np.ascontiguousarray(grey))
    if numbers is None:
        return {}
    listed = np.ravel(numbers).tolist()
    if repeated := sorted({it for it in listed if listed.count(it) > 1}):
        raise DeepLabStreamError(
            f"marker {repeated[0]} is in the image more than once; cover one of them"
        )
    return {
        number: np.reshape(corners, (4, 2)).astype(np.float64)
        for number, corners in zip(listed, found, strict=True)
    }


def corners_of_plate(
    found: Mapping[int, Points], numbers: Sequence[int]
) -> tuple[Points, ...]:
    """Return the corners of each marker of a plate; DeepLabStreamError: one is not seen."""
    if missing := _missing(found, numbers):
        raise DeepLabStreamError(f"{missing}. All four are needed to lay out arenas")
    return tuple(found[number] for number in numbers)


def markers_in_order(found: Mapping[int, Points]) -> tuple[int, ...]:
    """Return the numbers of four markers: upper left, upper right, lower right, lower left.

    DeepLabStreamError: there are other markers than four.
    """
    if len(found) != len(PLACES):
        seen = ", ".join(map(str, sorted(found))) or "none"
        raise DeepLabStreamError(
            f"markers in the image: {seen}; expected four, one at each corner of the "
            "plate, with a white border and different numbers"
        )
    middles = {number: corners.mean(axis=0) for number, corners in found.items()}
    numbers = sorted(middles, key=lambda number: float(middles[number][1]))
    upper, lower = (
        sorted(two, key=lambda number: float(middles[number][0]))
        for two in (numbers[:2], numbers[2:])
    )
    return (upper[0], upper[1], lower[1], lower[0])


def locate_plate(
    found: Mapping[int, Points], numbers: Sequence[int], laid_out: Sequence[Points]
) -> PlatePlace:
    """Return where a plate lies.

    All corners of the seen markers determine one homography, by least squares, so that three
    markers are enough.

    Parameters
    ----------
    found : mapping of int to numpy.ndarray, shape (4, 2)
        Markers in this image, as `find_markers` returns them.
    numbers : sequence of int
        Numbers of the plate's markers.
    laid_out : sequence of numpy.ndarray, shape (4, 2)
        Corners of these markers in the image in which the arenas were laid out, px.

    Raises
    ------
    DeepLabStreamError
        Fewer than three markers are seen, one of them has been moved, or the plate is turned,
        or its distance from the camera has changed.
    """
    import cv2

    seen = [number for number in numbers if number in found]
    if len(seen) < LEAST:
        raise DeepLabStreamError(
            f"{_missing(found, numbers)}. At least {LEAST} are needed: is the plate there, "
            "is a marker covered, dirty or in glare?"
        )
    there = np.concatenate([found[number] for number in seen])
    before = np.concatenate(
        [
            corners
            for number, corners in zip(numbers, laid_out, strict=True)
            if number in found
        ]
    )
    matrix, _ = cv2.findHomography(before, there, 0)
    if matrix is None:
        raise DeepLabStreamError("the markers do not determine a plane")
    homography = np.asarray(matrix, np.float64)
    middle = before.mean(axis=0)
    moved_px, turned_deg, scale = _change(homography, middle)
    place = PlatePlace(
        homography,
        moved_px,
        turned_deg,
        tuple(number for number in numbers if number not in found),
    )

    errors = np.hypot(*(place.place(before) - there).T)
    if errors.max() > MOST_ERROR_PX:
        number = seen[int(errors.argmax()) // 4]
        raise DeepLabStreamError(
            f"marker {number} is {errors.max():.1f} px from where the others place it: a "
            "marker has been moved, or another plate is used. Lay out the arenas again"
        )
    if abs(turned_deg) > MOST_TURN_DEG:
        raise DeepLabStreamError(
            f"the plate is turned by {turned_deg:.0f}°, at most {MOST_TURN_DEG:.0f}° are "
            "allowed; put it back as it was"
        )
    if abs(scale - 1) > MOST_SCALE:
        size = "larger" if scale > 1 else "smaller"
        raise DeepLabStreamError(
            f"the plate looks {abs(scale - 1):.0%} {size} than before: the camera, its "
            "RESOLUTION or the height of the plate has changed. Lay out the arenas again"
        )
    return place


def _change(
    homography: NDArray[np.float64], middle: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return movement in px, turn in degrees and scale of a homography at a position."""
    step = 1.0
    points = middle + np.array([[0, 0], [step, 0], [0, step]])
    at, right, down = PlatePlace(homography, 0.0, 0.0).place(points)
    turned = np.degrees(np.arctan2(*(right - at)[::-1]))
    (a, b), (c, d) = right - at, down - at
    scale = float(np.sqrt(abs(a * d - b * c)))
    return float(np.hypot(*(at - middle))), float(turned), scale


def _missing(found: Mapping[int, Points], numbers: Sequence[int]) -> str:
    """Return a sentence on the markers that are not seen; empty: all are seen."""
    missing = [
        f"{number} ({place})"
        for number, place in zip(numbers, PLACES, strict=True)
        if number not in found
    ]
    return f"markers not seen: {', '.join(missing)}" if missing else ""


@cache
def _detector(dictionary: str) -> Any:
    """Return OpenCV's detector of a set of markers."""
    import cv2

    kind = getattr(cv2.aruco, f"DICT_{dictionary}", None)
    if not isinstance(kind, int):
        raise DeepLabStreamError(
            f"[Arenas] DICTIONARY = {dictionary}: no such set of markers, such as 4X4_50"
        )
    options = cv2.aruco.DetectorParameters()
    options.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    return cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(kind), options)
