"""Decoder of score maps with offsets, as DeepLabCut's networks give them."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deeplabstream.pose.decoders.decoder import DecodedPoses, SectionDecoder
from deeplabstream.pose.decoders.heatmaps import confidence_of


@dataclass(frozen=True, slots=True)
class Offsets(SectionDecoder):
    """Score maps, and the offset of each point from the centre of its cell.

    The output is (3 · bodypart, h, w): scores, offsets along x, offsets along y.
    """

    stride: Annotated[int, Field(ge=1, le=64)]
    """Input pixels per cell."""
    origin: Annotated[float, Field(ge=-64, le=64)]
    """Input pixel of the centre of cell 0."""
    scale: Annotated[float, Field(gt=0, le=1000)]
    """Input pixels per unit of an offset."""

    section: ClassVar[str] = "offsets"
    any_size: ClassVar[bool] = True
    animals: ClassVar[int] = 1
    sigma: ClassVar[float] = 1.0

    @property
    def first_px(self) -> float:
        """Input pixel of the centre of cell 0."""
        return self.origin

    @property
    def tolerance_px(self) -> float:
        """Offsets are exact up to rounding."""
        return 0.01

    def output_shapes(
        self, bodyparts: int, height: int, width: int
    ) -> tuple[tuple[int, ...], ...]:
        """Return (3 · bodypart, h, w), and the same with one more row and column."""
        rows, columns = height // self.stride, width // self.stride
        count = self.channels(bodyparts)
        return (count, rows, columns), (count, rows + 1, columns + 1)

    def channels(self, bodyparts: int) -> int:
        """Return the number of maps."""
        return 3 * bodyparts

    def decode(self, output: NDArray[np.float32]) -> DecodedPoses:
        """Return the point of the highest score of each body part; see `Decoder`."""
        n, channels, height, width = output.shape
        parts = channels // 3
        # All images and body parts in one axis: one argmax for all.
        maps = output.reshape(n, 3, parts, height, width).swapaxes(0, 1)
        maps = maps.reshape(3, n * parts, height, width)

        flat = maps[0].reshape(n * parts, -1)
        places = flat.argmax(axis=1)
        rows, columns = np.divmod(places, width)
        which = np.arange(n * parts)
        points = self._points(maps, which, rows, columns).reshape(n, 1, parts, 2)
        return points, self.confidences(flat[which, places]).reshape(n, 1, parts)

    def locate(
        self,
        maps: NDArray[np.float32],
        which: NDArray[np.intp],
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
    ) -> NDArray[np.float32]:
        """Return the points (m, 2) of m cells in pixels; see `MapDecoder`."""
        split = maps.reshape(3, -1, *maps.shape[1:])
        return self._points(split, which, rows, columns)

    def _points(
        self,
        maps: NDArray[np.float32],
        which: NDArray[np.intp],
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
    ) -> NDArray[np.float32]:
        moved = maps[1:, which, rows, columns].T
        cells = np.stack([columns, rows], axis=1) * float(self.stride) + self.origin
        return np.asarray(cells + self.scale * moved, np.float32)

    def confidences(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return scores limited to 0 to 1."""
        return confidence_of(scores, None)

    def encode(
        self, points: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.float32]:
        """Return score maps and offsets of one animal; see `Decoder`."""
        rows, columns = height // self.stride, width // self.stride
        return np.stack([self.encode_animals(one, rows, columns) for one in points])

    def encode_animals(
        self, points: NDArray[np.float32], rows: int, columns: int
    ) -> NDArray[np.float32]:
        """Return the maps of all animals; each cell has the offset to the nearest one."""
        count, parts = points.shape[:2]

        # Distances of all cells to the points, infinite to points outside the maps.
        x = np.arange(columns, dtype=np.float32) * self.stride + self.origin
        y = np.arange(rows, dtype=np.float32) * self.stride + self.origin
        low = self.origin - self.stride / 2
        end = low + np.array([columns, rows]) * self.stride
        inside = np.asarray(((points >= low) & (points <= end)).all(axis=-1))
        across = points[..., 0, None, None] - x
        down = points[..., 1, None, None] - y[:, None]
        square = (across**2 + down**2) / self.stride**2
        square = np.where(inside[..., None, None], square, np.inf)

        maps = np.zeros((3, parts, rows, columns), np.float32)
        if not count:
            return maps.reshape(-1, rows, columns)

        # Each cell has the score and the offset of the nearest animal.
        nearest = square.argmin(axis=0)[None]
        shape = (count, parts, rows, columns)
        least = np.take_along_axis(square, nearest, axis=0)[0]
        maps[0] = np.exp(-least / (2 * self.sigma**2))
        for place, away in enumerate((across, down), start=1):
            own = np.take_along_axis(np.broadcast_to(away, shape), nearest, axis=0)[0]
            maps[place] = np.where(np.isfinite(least), own / self.scale, 0)
        return maps.reshape(-1, rows, columns)
