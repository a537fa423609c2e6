"""Letterbox: fitting of frames to the input of a network, and mapping of points between both.

The same rule holds in training and live. `ImageWindow` fits a part of a frame.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeGuard

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image

REST = 127
"""Grey value of the area that the frame does not cover; networks receive it as 0."""
MULTIPLE = 32
"""Sides of inputs of `native` networks are multiples of this."""

Fit = Literal["letterbox", "stretch", "native"]
Sampling = Literal["average", "linear", "antialias"]
Align = Literal["centre", "corner"]


@dataclass(frozen=True, slots=True)
class Fitting:
    """Letterbox: the size of a network's input, and the fitting of frames of any size to it.

    The frame lies in the upper left corner; the rest, at the right or at the bottom, is
    grey. Our own networks have the defaults. Imported ones get frames prepared as in
    the program that trained them.
    """

    height: int
    width: int
    fit: Fit = "letterbox"
    """`letterbox`: scaled, the aspect kept, until it just fits. `stretch`: scaled to the
    whole input, whatever the aspect (Lightning Pose). `native`: not scaled; the network
    takes images of any size (DeepLabCut), see `of`."""
    rest: int = REST
    """Grey of the rest."""
    sampling: Sampling = "average"
    """`average`: shrinking averages squares of whole pixels as long as they fit into both
    sides, and is linear for the rest: five times as fast as averages of parts of pixels.
    `linear`: between the four nearest pixels (OpenCV's INTER_LINEAR). `antialias`:
    triangular weights as wide as the pixels of the result (torchvision, Pillow)."""
    align: Align = "centre"
    """Fixed points of scaling: `centre`: pixels are squares, x becomes (x + 0.5) ·
    scale - 0.5. `corner`: x becomes x · scale, as other programs have it for labels
    and for points."""
    area: tuple[int, int] | None = None
    """Rows and columns of the input into which frames are fitted; None: all of it."""
    window: float = 0.0
    """Least side of a window around an animal, as a share of the frame's longer side: a
    detection of a few body parts then still shows the whole animal."""

    def of(self, shape: tuple[int, ...]) -> "Fitting":
        """Return the fitting for frames of `shape`: `native` ones have inputs of any size."""
        return _native(self, *shape[:2]) if self.fit == "native" else self

    def extent(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return the columns and rows that a frame of `shape` (height, width, …) covers."""
        return _extent(self, *shape[:2])

    def scales(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return input pixels per pixel of a frame of `shape`, along x and y."""
        return _scales(self, *shape[:2])

    def place(self, image: Image, into: NDArray[np.uint8]) -> None:
        """Write a frame, grey or BGR, into `into` (height, width, 3), BGR."""
        _placement(self, *image.shape[:2]).place(image, into)

    def placement(self, shape: tuple[int, ...]) -> "Placement":
        """Return the prepared fitting for frames of one shape, for one thread."""
        return Placement(self, shape[0], shape[1], keeps=True)

    def to_input(
        self, points: NDArray[np.float32], shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Return `points` (…, 2), px of a frame of `shape`, in pixels of the input."""
        half = 0.5 if self.align == "centre" else 0.0
        return np.asarray((points + half) * self.scales(shape) - half, np.float32)

    def to_image(
        self, points: NDArray[np.float32], shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Return `points` (…, 2), px of the input, in pixels of a frame of `shape`."""
        half = 0.5 if self.align == "centre" else 0.0
        return np.asarray((points + half) / self.scales(shape) - half, np.float32)


class Placement:
    """Fitting of frames of one shape to a network's input.

    All that depends on the shape alone is computed once: a network evicts everything else
    from the CPU's caches, so even short code is slow after it. With `keeps`, intermediate
    images are kept too, and only one thread may use it.
    """

    def __init__(
        self, fitting: Fitting, high: int, wide: int, keeps: bool = False
    ) -> None:
        self.fitting = fitting
        self._columns, self._rows = _extent(fitting, high, wide)
        self._shape = high, wide
        self._scales = _scales(fitting, high, wide)
        self._half = np.float32(0.5 if fitting.align == "centre" else 0.0)
        side = 1
        if fitting.sampling == "average":
            side = _square(high, wide, self._rows, self._columns)
        self._averaged = (high // side, wide // side)
        self._between: dict[int, NDArray[np.uint8]] | None = {} if keeps else None

    def takes_as_it_is(self, image: Image) -> TypeGuard[NDArray[np.uint8]]:
        """Return whether the memory of an image can be used as the network's input."""
        fitting = self.fitting
        size = (fitting.height, fitting.width)
        return bool(
            image.shape == (*size, 3)
            and size == (self._rows, self._columns)
            and image.dtype == np.uint8
            and image.flags.c_contiguous
        )

    def place(self, image: Image, into: NDArray[np.uint8]) -> None:
        """Write a frame, grey or BGR, into `into` (height, width, 3), BGR."""
        if image.dtype != np.uint8:
            bits = 8 * image.itemsize
            raise ModelError(f"the network needs images of 8 bit, not of {bits}")
        rows, columns = self._rows, self._columns
        if rows < self.fitting.height:
            into[rows:] = self.fitting.rest
        if columns < self.fitting.width:
            into[:rows, columns:] = self.fitting.rest
        target = into[:rows, :columns]
        if self._shape == (rows, columns):
            target[...] = image[..., None] if image.ndim == 2 else image
            return
        if self.fitting.sampling == "antialias":
            image = _antialiased(image, rows, columns)
        self._resize(image, target)

    def to_image(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `points` (…, 2), px of the input, in pixels of the frame."""
        return np.asarray((points + self._half) / self._scales - self._half, np.float32)

    def _resize(self, image: Image, target: NDArray[np.uint8]) -> None:
        import cv2

        rows, columns = target.shape[:2]
        high, wide = self._averaged
        if self._averaged not in (self._shape, target.shape[:2]):
            between = self._memory(image)
            image = np.asarray(
                cv2.resize(
                    image, (wide, high), dst=between, interpolation=cv2.INTER_AREA
                ),
                np.uint8,
            )
        if image.shape[:2] != (rows, columns):
            area = self._averaged == target.shape[:2]
            how = cv2.INTER_AREA if area else cv2.INTER_LINEAR
            if image.ndim == 3:
                cv2.resize(image, (columns, rows), dst=target, interpolation=how)
                return
            image = np.asarray(
                cv2.resize(image, (columns, rows), interpolation=how), np.uint8
            )
        target[...] = image[..., None] if image.ndim == 2 else image

    def _memory(self, image: Image) -> NDArray[np.uint8] | None:
        """Return the memory for the averaged image; None: OpenCV allocates it."""
        if self._between is None:
            return None
        if image.ndim not in self._between:
            shape = (*self._averaged, *image.shape[2:])
            self._between[image.ndim] = np.empty(shape, np.uint8)
        return self._between[image.ndim]


def _antialiased(image: Image, rows: int, columns: int) -> Image:
    """Return the image; sides that shrink are filtered by triangles of a new pixel's width."""
    values: NDArray[np.float32] = image.astype(np.float32)
    for axis, size in ((0, rows), (1, columns)):
        places, weights = _triangles(values.shape[axis], size)
        shape = [1] * values.ndim
        shape[axis] = size
        values = sum(
            values.take(place, axis) * weight.reshape(shape)
            for place, weight in zip(places, weights, strict=True)
        )
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)


# Cached, as all images of a camera have one size: after a network has filled the CPU's
# caches, even these few lines are slow.


@lru_cache
def _triangles(given: int, size: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return (tap, size): the source pixels of each new one, and their weights."""
    scale = given / size
    reach = max(scale, 1.0)
    middle = (np.arange(size) + 0.5) * scale
    first = np.floor(middle - reach).astype(np.intp)
    places = first + np.arange(int(np.ceil(2 * reach)) + 2)[:, None]
    weights = np.clip(1 - np.abs(places + 0.5 - middle) / reach, 0, None)
    weights[(places < 0) | (places >= given)] = 0
    weights /= weights.sum(axis=0)
    return places.clip(0, given - 1), weights.astype(np.float32)


@lru_cache
def _native(fitting: Fitting, high: int, wide: int) -> Fitting:
    height, width = (-(-side // MULTIPLE) * MULTIPLE for side in (high, wide))
    return replace(fitting, height=height, width=width)


def _scale(fitting: Fitting, high: int, wide: int) -> float:
    height, width = fitting.area or (fitting.height, fitting.width)
    scale = min(height / high, width / wide)
    return min(scale, 1.0) if fitting.fit == "native" else scale


@lru_cache
def _extent(fitting: Fitting, high: int, wide: int) -> tuple[int, int]:
    height, width = fitting.area or (fitting.height, fitting.width)
    if fitting.fit == "stretch":
        return width, height
    scale = _scale(fitting, high, wide)
    columns, rows = round(wide * scale), round(high * scale)
    return max(1, min(width, columns)), max(1, min(height, rows))


@lru_cache
def _scales(fitting: Fitting, high: int, wide: int) -> NDArray[np.float32]:
    columns, rows = _extent(fitting, high, wide)
    scales = np.array([columns / wide, rows / high], np.float32)
    if fitting.align == "corner" and fitting.fit != "stretch":
        scales[:] = _scale(fitting, high, wide)
    scales.flags.writeable = False
    return scales


@lru_cache
def _placement(fitting: Fitting, high: int, wide: int) -> Placement:
    return Placement(fitting, high, wide)


@lru_cache
def _square(high: int, wide: int, rows: int, columns: int) -> int:
    """Return the side of the largest squares to average: a divisor of both sides."""
    most = min(high // rows, wide // columns)
    sides = range(max(1, most), 0, -1)
    return next(side for side in sides if not (high % side or wide % side))


CELL = 32
"""Sides of windows are multiples of this, in pixels of the network's input."""
LEAST = 64
"""Smallest side of a window, in pixels of the input."""


@dataclass(frozen=True, slots=True)
class ImageWindow:
    """A rectangle of whole pixels of a frame, and the size of the input that it fills."""

    left: int
    top: int
    width: int
    height: int
    fitting: Fitting

    def place(self, image: Image, into: NDArray[np.uint8]) -> None:
        """Write the content of the window into `into`, fitted to the network's input."""
        self.fitting.place(self._cut(image), into)

    def to_image(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `points` (…, 2), px of the network's input, in pixels of the frame."""
        inside = self.fitting.to_image(points, (self.height, self.width))
        return np.asarray(
            inside + np.array([self.left, self.top], np.float32), np.float32
        )

    def to_input(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `points` (…, 2), px of the frame, in pixels of the network's input."""
        inside = points - np.array([self.left, self.top], np.float32)
        return self.fitting.to_input(inside, (self.height, self.width))

    def shows(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which of `points` (…, 2), px of the frame, lie inside."""
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


def whole(shape: tuple[int, ...], fitting: Fitting) -> ImageWindow:
    """Return the window that covers a whole frame of `shape`."""
    return ImageWindow(0, 0, shape[1], shape[0], fitting.of(shape))


def levels(fitting: Fitting) -> tuple[int, ...]:
    """Return the sides, in input pixels, of windows that save computation."""
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
) -> ImageWindow | None:
    """Return the smallest window around the box `low` to `high` that a level offers.

    It has the scale of whole frames of `shape`, in fewer pixels. `grown` takes a level
    that many steps larger. None: no window saves computation.
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
    return ImageWindow(left, top, width, height, inside)


def zoomed(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    shape: tuple[int, ...],
    fitting: Fitting,
) -> ImageWindow:
    """Return the window around the box that fills the network's whole input.

    Its sides are `fitting.window` of the frame's longer side at least. For a network of
    unscaled frames it is as large as the input.
    """
    if fitting.fit == "native":
        own = min(fitting.width, shape[1]), min(fitting.height, shape[0])
        left, top = _corner(low, high, own, shape)
        return ImageWindow(left, top, own[0], own[1], fitting)
    aspect = fitting.width / fitting.height
    least = fitting.window * max(shape[:2])
    across, down = (max(float(high[n] - low[n]), least) for n in (0, 1))
    width = max(across, aspect * down, 16.0)
    size = min(round(width), shape[1]), min(round(width / aspect), shape[0])
    left, top = _corner(low, high, size, shape)
    return ImageWindow(left, top, size[0], size[1], fitting)


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
