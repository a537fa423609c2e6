"""A part of a picture, and how points go from one to the other exactly."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.frame import Image
from pose.fitting import Fitting

CELL = 32
"""Windows that a network looks through are multiples of this, in its pixels."""
LEAST = 64
"""The smallest, likewise."""


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole pixels of a picture, and the network's pixels it becomes."""

    left: int
    top: int
    width: int
    height: int
    fitting: Fitting

    def place(self, image: Image, into: NDArray[np.uint8]) -> None:
        """Write what the window shows into `into`, fitted to the network."""
        self.fitting.place(self._cut(image), into)

    def to_image(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return where `points` (…, 2) of the network's pixels lie in the picture."""
        inside = self.fitting.to_image(points, (self.height, self.width))
        return np.asarray(
            inside + np.array([self.left, self.top], np.float32), np.float32
        )

    def to_input(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return where `points` (…, 2) of the picture lie in the network's pixels."""
        inside = points - np.array([self.left, self.top], np.float32)
        return self.fitting.to_input(inside, (self.height, self.width))

    def shows(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which of `points` (…, 2) of the picture lie inside."""
        x, y = points[..., 0], points[..., 1]
        across = (x >= self.left - 0.5) & (x < self.left + self.width - 0.5)
        down = (y >= self.top - 0.5) & (y < self.top + self.height - 0.5)
        return np.asarray(across & down)

    def _cut(self, image: Image) -> Image:
        rows = slice(self.top, self.top + self.height)
        return image[rows, self.left : self.left + self.width]


def around(
    low: NDArray[np.float32], high: NDArray[np.float32], margin: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the box with a margin on each side, as a share of its longer one."""
    more = np.float32(margin * max(float((high - low).max()), 16.0))
    return low - more, high + more


def whole(shape: tuple[int, ...], fitting: Fitting) -> Window:
    """Return the window that shows all of a picture of `shape`."""
    return Window(0, 0, shape[1], shape[0], fitting.of(shape))


def levels(fitting: Fitting) -> tuple[int, ...]:
    """Return the sides, in the network's pixels, of windows that save work."""
    most = int(np.sqrt(0.6 * fitting.height * fitting.width))
    most = min(most, fitting.height, fitting.width)
    sides = range(LEAST, most + 1, CELL)
    return tuple(sides[:: max(1, round(len(sides) / 4))])


def same_scale(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    shape: tuple[int, ...],
    fitting: Fitting,
    grown: int = 0,
) -> Window | None:
    """Return the smallest window around the box `low` to `high` that a level offers.

    The network sees it at the scale at which it sees whole pictures of `shape`, in fewer
    pixels. `grown` levels larger than need be; None: no window saves anything.
    """
    fitting = fitting.of(shape)
    columns, rows = fitting.extent(shape)
    scales = columns / shape[1], rows / shape[0]
    if fitting.fit != "stretch":
        scales = scales[1], scales[1]
    need = float(((high - low) * np.array(scales)).max())
    fitting_sides = [side for side in levels(fitting) if side >= need]
    if len(fitting_sides) <= grown:
        return None
    side = fitting_sides[grown]
    squares = [max(1, int(1 / scale)) for scale in scales]
    width, height = (
        round(side / scale / square) * square
        for scale, square in zip(scales, squares, strict=True)
    )
    if width > shape[1] or height > shape[0]:
        return None
    left, top = _corner(low, high, (width, height), shape)
    inside = replace(fitting, height=side, width=side, area=None)
    return Window(left, top, width, height, inside)


def zoomed(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    shape: tuple[int, ...],
    fitting: Fitting,
) -> Window:
    """Return the window around the box that fills the network's whole input.

    Of a network that sees pictures unscaled it is as large as the input.
    """
    if fitting.fit == "native":
        own = min(fitting.width, shape[1]), min(fitting.height, shape[0])
        left, top = _corner(low, high, own, shape)
        return Window(left, top, own[0], own[1], fitting)
    aspect = fitting.width / fitting.height
    width = max(float(high[0] - low[0]), aspect * float(high[1] - low[1]), 16.0)
    size = min(round(width), shape[1]), min(round(width / aspect), shape[0])
    left, top = _corner(low, high, size, shape)
    return Window(left, top, size[0], size[1], fitting)


def _corner(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    size: tuple[int, int],
    shape: tuple[int, ...],
) -> tuple[int, int]:
    middle = (low + high) / 2
    left = min(max(0, round(float(middle[0]) - size[0] / 2)), shape[1] - size[0])
    top = min(max(0, round(float(middle[1]) - size[1] / 2)), shape[0] - size[1])
    return left, top
