"""Points to heat maps and back, in one file so that they stay inverse.

A heat map has one cell per `stride` × `stride` pixels of the network's input; pixel and
cell centres are whole numbers, so cell c lies at pixel (c + 0.5) · stride − 0.5, unless
`origin` says otherwise: networks from elsewhere may have learned it otherwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.pose.model.confidence_calibration import confidence_of

REACH = 2
"""Cells around the highest one that are looked at, on each side."""
MOST_REACH = 4
"""The most cells around it, for a centroid."""
LEAST = 1e-6
"""Lower values than this are taken for this: a logarithm needs one."""


@dataclass(frozen=True, slots=True)
class Heatmaps:
    """How points are drawn as heat maps, and read off again."""

    stride: int
    """Input pixels per cell."""
    sigma: float
    """Standard deviation of a point's Gaussian, in cells."""
    origin: float | None = None
    """The input pixel at which the centre of cell 0 lies; None: (stride − 1) / 2."""
    linear_to: float | None = None
    """Maps have no upper bound: how heights become confidences, see `confidence_of`."""
    centroid: int | None = None
    """Cells along a side of the square whose centroid is the point (SLEAP-NN: 5); None:
    the point is the centre of a Gaussian of `sigma`."""

    @property
    def first(self) -> float:
        """The input pixel at which the centre of cell 0 lies."""
        return (self.stride - 1) / 2 if self.origin is None else self.origin

    def encode(
        self, points: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.float32]:
        """Return heat maps (…, height, width) in cells, for `points` (…, 2) in pixels.

        Each is a Gaussian of height 1 around its point. A point that is NaN, or outside
        of the picture, gives a map of zeros: there is nothing to be seen.
        """
        cells = (np.asarray(points, np.float32) - self.first) / self.stride
        size = np.array([width, height], np.float32)
        inside = (cells >= -0.5) & (cells <= size - 0.5)
        seen = np.asarray(inside.all(axis=-1))
        cells = np.where(seen[..., None], cells, 0)
        x = np.arange(width, dtype=np.float32) - cells[..., :1]
        y = np.arange(height, dtype=np.float32) - cells[..., 1:]
        across, down = (np.exp(-(d**2) / (2 * self.sigma**2)) for d in (x, y))
        maps = down[..., :, None] * across[..., None, :] * seen[..., None, None]
        return np.asarray(maps, np.float32)

    def decode(
        self, maps: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return points (n, 2) in pixels and confidences (n,) of `maps` (n, h, w).

        Each is where the map is highest, and what that height is worth.
        """
        flat = maps.reshape(len(maps), -1)
        places = flat.argmax(axis=1)
        rows, columns = np.divmod(places, maps.shape[2])
        which = np.arange(len(maps))
        points = self.at(maps, which, rows, columns)
        return points, confidence_of(flat[which, places], self.linear_to)

    def at(
        self,
        maps: NDArray[np.float32],
        which: NDArray[np.intp],
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        reach: int = REACH,
    ) -> NDArray[np.float32]:
        """Return points (m, 2) in pixels, for the highest cells of m hills.

        Their places are (m,): in which of `maps` (n, h, w), row, column. Around such a
        cell, the logarithm of a Gaussian is a plane once its known curvature is taken
        away, and the plane's slope is where the point lies. That needs no symmetric
        neighbourhood: at the border, where cells are missing, nothing is biased. Where
        another hill may be near, a `reach` of 1 keeps it out.

        With `centroid`, each is the centroid of the values in a square around the cell,
        as SLEAP-NN's integral refinement has it.
        """
        if self.centroid is not None:
            reach = self.centroid // 2
        dy, dx, bowl, terms = _NEAR[reach]
        values = _values(maps, which, rows[:, None] + dy, columns[:, None] + dx)
        if self.centroid is not None:
            mass = values.sum(axis=1, dtype=np.float64)
            mass = np.where(
                mass > LEAST, mass, np.inf
            )  # nothing there: the cell itself
            off = np.stack([values @ dx / mass, values @ dy / mass], axis=1)
            cells = np.stack([columns, rows], axis=1) + np.clip(off, -reach, reach)
            return np.asarray(cells * self.stride + self.first, np.float32)
        values = np.maximum(values, LEAST, dtype=np.float64)
        weight = values * values
        plane = np.log(values) * self.sigma**2 + bowl
        moments = (weight @ terms).tolist()
        products = ((weight * plane) @ terms[:, :3]).tolist()
        offsets = [_slope(*m, *p) for m, p in zip(moments, products, strict=True)]
        cells = np.array(offsets).reshape(-1, 2)
        cells[:, 0] += columns
        cells[:, 1] += rows
        return np.asarray(cells * self.stride + self.first, np.float32)


_Cells = tuple[
    NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]
]


def _values(
    maps: NDArray[np.float32],
    which: NDArray[np.intp],
    y: NDArray[np.intp],
    x: NDArray[np.intp],
) -> NDArray[np.float32]:
    """Return the values of cells (m, k) of m maps; 0 outside."""
    _, height, width = maps.shape
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    near = np.where(inside, (which[:, None] * height + y) * width + x, 0)
    return np.asarray(maps.reshape(-1)[near] * inside)


def _around(reach: int) -> _Cells:
    """Return the cells so far around one: dy, dx, (dx² + dy²) / 2, and their moments."""
    dy, dx = (d.ravel() for d in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    terms = np.stack([dx**0, dx, dy, dx**2, dx * dy, dy**2], axis=1) * 1.0
    return dy, dx, (dx**2 + dy**2) / 2, terms


_NEAR = {reach: _around(reach) for reach in range(1, MOST_REACH + 1)}


def _slope(
    m: float, mx: float, my: float, mxx: float, mxy: float, myy: float,
    p: float, px: float, py: float,
) -> tuple[float, float]:  # fmt: skip
    """Return the slope along x and y of the plane that fits best, at most 1.

    From the sums of the weights times 1, x, y, x², xy, y² and, of the weighted heights,
    times 1, x, y.
    """
    mx, my, p = mx / m, my / m, p / m
    xx, xy, yy = mxx / m - mx * mx, mxy / m - mx * my, myy / m - my * my
    along, down = px / m - mx * p, py / m - my * p
    determinant = xx * yy - xy * xy
    if determinant < 1e-9:
        return 0.0, 0.0
    dx = (along * yy - down * xy) / determinant
    dy = (down * xx - along * xy) / determinant
    return min(max(dx, -1.0), 1.0), min(max(dy, -1.0), 1.0)
