"""How points are read off what a network gives: offsets and coordinates.

`pose/heatmaps.py` reads Gaussians; these two are for networks from elsewhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose.heatmaps import Heatmaps

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

        `maps` (3, n, h, w): scores from 0 to 1, offsets along x, offsets along y.
        """
        score, along, down = maps
        n, _, width = score.shape
        flat = score.reshape(n, -1)
        places = flat.argmax(axis=1)[:, None]
        rows, columns = np.divmod(places[:, 0], width)
        cells = np.stack([columns, rows], axis=1) * float(self.stride) + self.origin
        moved = [
            np.take_along_axis(each.reshape(n, -1), places, axis=1)[:, 0]
            for each in (along, down)
        ]
        points = cells + self.scale * np.stack(moved, axis=1)
        sure = np.take_along_axis(flat, places, axis=1)[:, 0]
        return points.astype(np.float32), sure.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Coordinates:
    """A network that says the points themselves, in input pixels (regression).

    It gives (n, bodypart, 3): x, y and a confidence.
    """


Decoder = Heatmaps | Offsets | Coordinates


def output_shape(
    decoder: Decoder, bodyparts: int, height: int, width: int
) -> tuple[int, ...]:
    """Return the shape that the network's output has, without its first axis."""
    if isinstance(decoder, Coordinates):
        return bodyparts, 3
    channels = 3 * bodyparts if isinstance(decoder, Offsets) else bodyparts
    return channels, height // decoder.stride, width // decoder.stride


def read(decoder: Decoder, output: NDArray[np.float32]) -> Read:
    """Return points (n, bodypart, 2), input pixels, and confidences (n, bodypart)."""
    if isinstance(decoder, Coordinates):
        return output[..., :2], output[..., 2]
    n, channels, *size = output.shape
    if isinstance(decoder, Offsets):
        parts = channels // 3
        split = output.reshape(n, 3, parts, *size).swapaxes(0, 1)
        points, sure = decoder.decode(split.reshape(3, n * parts, *size))
    else:
        parts = channels
        points, sure = decoder.decode(output.reshape(n * parts, *size))
    return points.reshape(n, parts, 2), sure.reshape(n, parts)
