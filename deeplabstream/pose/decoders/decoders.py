"""How points are read off what a network gives: offsets, coordinates, several animals.

`deeplabstream/pose/decoders/heatmaps.py` reads Gaussians; offsets and coordinates are
for networks from elsewhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.decoders.grouping import Grouping
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.model.confidence_calibration import confidence_of

Read = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Offsets:
    """Score maps, and how far from its cell's centre each point lies (DeepLabCut)."""

    stride: int
    """Input pixels per cell."""
    origin: float
    """Where the centre of cell 0 lies, in input pixels."""
    scale: float
    """Input pixels per unit of an offset."""

    def decode(self, maps: NDArray[np.float32]) -> Read:
        """Return points (n, 2) in input pixels and confidences (n,).

        `maps` (3, n, h, w): scores, of which less than 0 counts as 0 and more than 1 as
        1, offsets along x, offsets along y.
        """
        score = maps[0]
        n, _, width = score.shape
        flat = score.reshape(n, -1)
        places = flat.argmax(axis=1)
        rows, columns = np.divmod(places, width)
        sure = np.take_along_axis(flat, places[:, None], axis=1)[:, 0]
        return self.at(maps, np.arange(n), rows, columns), confidence_of(sure, None)

    def at(
        self,
        maps: NDArray[np.float32],
        which: NDArray[np.intp],
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
    ) -> NDArray[np.float32]:
        """Return points (m, 2) in input pixels, for m cells: which map, row, column."""
        moved = maps[1:, which, rows, columns].T
        cells = np.stack([columns, rows], axis=1) * float(self.stride) + self.origin
        return np.asarray(cells + self.scale * moved, np.float32)


@dataclass(frozen=True, slots=True)
class Coordinates:
    """A network that says the points themselves, in input pixels.

    It gives (n, animal · bodypart, 3): x, y and a confidence, all points of the first
    animal first.
    """

    animals: int = 1
    """How many it tells of; those it does not find have confidence 0."""
    linear_to: float | None = None
    """What it says of points has no upper bound: see `confidence_of`."""

    def decode(self, output: NDArray[np.float32]) -> Read:
        """Return points (n, animal, bodypart, 2) in input pixels, and confidences."""
        split = output.reshape(len(output), self.animals, -1, 3)
        points, sure = split[..., :2], confidence_of(split[..., 2], self.linear_to)
        if self.animals > 1:
            points = np.where(sure[..., None] > 0, points, np.float32(np.nan))
        return points, sure


@dataclass(frozen=True, slots=True)
class MultiAnimalDecoder:
    """Several animals: maps of all of them, then their part affinity fields.

    The network gives what `maps` reads, and after it 2 · edge maps, x before y, edge by
    edge, with cells of the same size.
    """

    maps: Heatmaps | Offsets
    grouping: Grouping

    def decode(self, output: NDArray[np.float32]) -> Read:
        """Return points (animal, bodypart, 2), input pixels, and confidences.

        `output` is (channel, h, w), of one picture.
        """
        parts, grouping = self.grouping.bodyparts, self.grouping
        peaks = grouping.peaks(output[:parts])
        where = peaks.maps, peaks.rows, peaks.columns
        if isinstance(self.maps, Offsets):
            channels = 3 * parts
            split = output[:channels].reshape(3, parts, *output.shape[1:])
            points = self.maps.at(split, *where)
        else:
            channels = parts
            points = self.maps.at(output[:parts], *where, reach=1)
        points, heights = grouping.group(peaks, points, output[channels:])
        bound = self.maps.linear_to if isinstance(self.maps, Heatmaps) else None
        return points, confidence_of(heights, bound)


Decoder = Heatmaps | Offsets | Coordinates | MultiAnimalDecoder


def animals(decoder: Decoder) -> int:
    """Return how many animals are read off at most."""
    if isinstance(decoder, MultiAnimalDecoder):
        return decoder.grouping.most
    return decoder.animals if isinstance(decoder, Coordinates) else 1


def output_shape(
    decoder: Decoder, bodyparts: int, height: int, width: int
) -> tuple[int, ...]:
    """Return the shape that the network's output has, without its first axis."""
    if isinstance(decoder, Coordinates):
        return decoder.animals * bodyparts, 3
    maps = decoder.maps if isinstance(decoder, MultiAnimalDecoder) else decoder
    channels = 3 * bodyparts if isinstance(maps, Offsets) else bodyparts
    if isinstance(decoder, MultiAnimalDecoder):
        channels += 2 * len(decoder.grouping.edges)
    return channels, height // maps.stride, width // maps.stride


def read(decoder: Decoder, output: NDArray[np.float32]) -> Read:
    """Return points (n, animal, bodypart, 2), input pixels, and confidences.

    Confidences are (n, animal, bodypart). One animal is always there, believed or not; of
    several, those that were not found are NaN, with 0.
    """
    if isinstance(decoder, Coordinates):
        return decoder.decode(output)
    if isinstance(decoder, MultiAnimalDecoder):
        each = [decoder.decode(picture) for picture in output]
        return np.stack([p for p, _ in each]), np.stack([c for _, c in each])
    n, channels, *size = output.shape
    if isinstance(decoder, Offsets):
        parts = channels // 3
        split = output.reshape(n, 3, parts, *size).swapaxes(0, 1)
        points, sure = decoder.decode(split.reshape(3, n * parts, *size))
    else:
        parts = channels
        points, sure = decoder.decode(output.reshape(n * parts, *size))
    return points.reshape(n, 1, parts, 2), sure.reshape(n, 1, parts)
