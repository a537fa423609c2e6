"""Calibration: pixels of a camera to millimetres on the floor of the arena, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deeplabstream.core.lens import Lens

Matrix = tuple[tuple[float, float, float], ...]
_PARTS_OF_EDGE = 8
"""Points by which an edge is shown that a lens makes curved."""


@dataclass(frozen=True)
class CalibrationMark:
    """A point known in the image and on the floor: `X Y X_MM Y_MM`."""

    x: float
    y: float
    x_mm: float
    y_mm: float

    def __str__(self) -> str:
        return f"{self.x:g} {self.y:g} {self.x_mm:g} {self.y_mm:g}"


@dataclass(frozen=True)
class Calibration:
    """Homography from the image of one camera to the floor; in both, x right and y down.

    Homogeneous coordinates of the floor are `matrix` times those of the image without the
    distortion of the `lens`. Points above the floor are mapped too far away.
    """

    matrix: Matrix
    """3 × 3, scaled so that points in front of the camera have a positive third coordinate."""
    marks: tuple[CalibrationMark, ...] = ()
    """The points that it was fitted to; none: a scale was given."""
    lens: Lens | None = None
    """None: the image is taken as free of distortion."""

    def to_mm(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Return points on the floor.

        Parameters
        ----------
        pixels : array of float, shape (..., 2)
            x, y in pixels of the image. NaN stays NaN.

        Returns
        -------
        numpy.ndarray of float64, shape (..., 2)
            x, y in mm. NaN above the horizon, and where the lens shows nothing.
        """
        if self.lens is not None:
            pixels = self.lens.straight(pixels)
        return _mapped(np.array(self.matrix), pixels)

    def place_mm(self, x: float, y: float) -> tuple[float, float]:
        """Return one point on the floor; the same as `to_mm`, faster for single points."""
        if self.lens is not None:
            x, y = self.lens.straight_place(x, y)
        (a, b, c), (d, e, f), (g, h, i) = self.matrix
        depth = x * g + y * h + i
        if not depth > 0:
            return nan, nan
        return (x * a + y * b + c) / depth, (x * d + y * e + f) / depth

    def to_px(self, millimetres: ArrayLike) -> NDArray[np.float64]:
        """Return points of the floor in the image.

        Parameters
        ----------
        millimetres : array of float, shape (..., 2)
            x, y in mm. NaN stays NaN.

        Returns
        -------
        numpy.ndarray of float64, shape (..., 2)
            x, y in pixels. NaN behind the camera, and where the lens shows nothing.
        """
        pixels = _mapped(np.linalg.inv(np.array(self.matrix)), millimetres)
        return pixels if self.lens is None else self.lens.bent(pixels)

    def outline_px(self, outline: ArrayLike) -> NDArray[np.float64]:
        """Return an outline (n, 2) of the floor in the image; a lens makes its edges curved.

        Two points are a line, more are closed. Points that the image can't show are left out.
        """
        corners = np.asarray(outline, np.float64)
        if self.lens is not None and len(corners) > 1:
            after = np.roll(corners, -1, axis=0)
            if len(corners) == 2:
                corners, after = corners[:1], after[:1]
            share = np.linspace(0, 1, _PARTS_OF_EDGE, endpoint=len(corners) == 1)
            edges = corners[:, None] + share[:, None] * (after - corners)[:, None]
            corners = edges.reshape(-1, 2)
        pixels = self.to_px(corners)
        return pixels[np.isfinite(pixels).all(axis=1)]

    @property
    def residuals_mm(self) -> NDArray[np.float64]:
        """Distances (mark,) in mm of the marks from their mapped positions.

        Four marks always fit exactly; only a fifth shows errors.
        """
        places = self.to_mm([(mark.x, mark.y) for mark in self.marks])
        positions_mm = np.array([(mark.x_mm, mark.y_mm) for mark in self.marks])
        return np.asarray(np.linalg.norm(places - positions_mm, axis=1))

    def mm_per_pixel(self, x: float, y: float) -> float:
        """Return the size of a pixel at a point: the square root of its area on the floor."""
        corners = self.to_mm([(x, y), (x + 1, y), (x, y + 1)])
        right, down = corners[1] - corners[0], corners[2] - corners[0]
        return float(np.sqrt(abs(right[0] * down[1] - right[1] * down[0])))

    def __str__(self) -> str:
        if not self.marks:
            where = (
                "" if self.lens is None else " in the middle; the lens is straightened"
            )
            return f"1 px is {self.matrix[0][0]:.4g} mm{where}"
        sizes = [self.mm_per_pixel(mark.x, mark.y) for mark in self.marks]
        scale = f"1 px is {min(sizes):.4g} to {max(sizes):.4g} mm"
        away = self.residuals_mm
        if len(self.marks) == 4:
            return f"{scale}; four marks always fit exactly; a fifth shows the error"
        typical = float(np.sqrt((away**2).mean()))
        worst = self.marks[int(away.argmax())]
        return (
            f"{scale}; {len(away)} marks fit to {typical:.2g} mm, "
            f"the worst ({worst}) to {away.max():.2g} mm"
        )


def from_scale(mm_per_pixel: float, lens: Lens | None = None) -> Calibration:
    """Return the calibration of a camera that looks straight down.

    `mm_per_pixel`: size of a pixel on the floor, with a lens that of a straight pixel. The
    origin is the left upper pixel.

    >>> from_scale(0.5).to_mm((10, 20)).tolist()
    [5.0, 10.0]
    """
    return Calibration(
        ((mm_per_pixel, 0.0, 0.0), (0.0, mm_per_pixel, 0.0), (0.0, 0.0, 1.0)),
        lens=lens,
    )


def from_marks(
    marks: Sequence[CalibrationMark], lens: Lens | None = None
) -> Calibration:
    """Return the homography that fits the marks best.

    By the normalised direct linear transformation (Hartley and Zisserman, Multiple View
    Geometry, 2nd edition, algorithm 4.2).

    Parameters
    ----------
    marks : sequence of CalibrationMark
        Four or more, in the image as it is recorded.
    lens : Lens, optional
        Its distortion is removed from the marks first.

    Returns
    -------
    Calibration
        It holds the marks.

    Raises
    ------
    ValueError
        There are fewer than four marks, they lie on one line, or no camera could image
        them so.
    """
    if len(marks) < 4:
        raise ValueError(
            f"expected at least four marks X Y X_MM Y_MM, not {len(marks)}"
        )
    pixels = np.array([(mark.x, mark.y) for mark in marks])
    if lens is not None:
        pixels = lens.straight(pixels)
        if not np.isfinite(pixels).all():
            raise ValueError("a mark lies where LENS shows nothing; check both")
    floor = np.array([(mark.x_mm, mark.y_mm) for mark in marks])
    for points in (pixels, floor):
        if np.linalg.matrix_rank(points - points.mean(axis=0), tol=1e-6) < 2:
            raise ValueError("the marks lie on one line; use the corners of the floor")
    pixel_norm, floor_norm = _normaliser(pixels), _normaliser(floor)
    x, y = _mapped(pixel_norm, pixels).T
    u, v = _mapped(floor_norm, floor).T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = [
        np.column_stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u]),
        np.column_stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v]),
    ]
    _, strength, directions = np.linalg.svd(np.vstack(rows))
    if strength[7] < 1e-9 * strength[0]:
        raise ValueError("three of the four marks lie on one line")
    plane = np.linalg.inv(floor_norm) @ directions[-1].reshape(3, 3) @ pixel_norm
    weights = np.column_stack([pixels, np.ones(len(pixels))]) @ plane[2]
    if not (np.all(weights > 0) or np.all(weights < 0)):
        raise ValueError("these marks are impossible for a camera; check their order")
    plane *= np.sign(weights[0]) / np.linalg.norm(plane)
    if np.linalg.det(plane) < 0:
        raise ValueError(
            "the marks are mirrored: in mm, as in px, x goes right and y goes down"
        )
    first, second, third = plane.tolist()
    matrix = tuple(first), tuple(second), tuple(third)
    return Calibration(matrix, tuple(marks), lens)


def parse_mark(text: object) -> CalibrationMark:
    """Return the mark that four numbers describe: `102 88 0 0`."""
    if isinstance(text, CalibrationMark):
        return text
    try:
        numbers = [float(word) for word in str(text).split()]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or not np.isfinite(numbers).all():
        raise ValueError(
            f"expected X Y X_MM Y_MM for each mark, commas between them, not {text!r}"
        )
    return CalibrationMark(*numbers)


def _mapped(matrix: NDArray[np.float64], points: ArrayLike) -> NDArray[np.float64]:
    floor_norm = np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    depth = np.where(floor_norm[..., 2:] > 0, floor_norm[..., 2:], np.nan)
    return np.asarray(floor_norm[..., :2] / depth)


def _normaliser(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the transform that centres points at the origin at a mean distance of √2."""
    middle = points.mean(axis=0)
    scale = np.sqrt(2) / np.linalg.norm(points - middle, axis=1).mean()
    shift = -scale * middle
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])
