"""Points to heat maps and back, in one file so that they stay inverse.

A heat map has one cell per `stride` × `stride` pixels of the network's input; pixel and
cell centres are whole numbers, so cell c lies at pixel (c + 0.5) · stride − 0.5.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REACH = 2
"""Cells around the highest one that are looked at, on each side."""
LEAST = 1e-6
"""Lower values than this are taken for this: a logarithm needs one."""


@dataclass(frozen=True, slots=True)
class Heatmaps:
    """How points are drawn as heat maps, and read off again."""

    stride: int
    """Input pixels per cell."""
    sigma: float
    """Standard deviation of a point's Gaussian, in cells."""

    def encode(
        self, points: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.float32]:
        """Return heat maps (…, height, width) in cells, for `points` (…, 2) in pixels.

        Each is a Gaussian of height 1 around its point. A point that is NaN, or outside
        of the picture, gives a map of zeros: there is nothing to be seen.
        """
        cells = (np.asarray(points, np.float32) + 0.5) / self.stride - 0.5
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

        The confidence is the height of the highest cell. Around it, the logarithm of a
        Gaussian is a plane once its known curvature is taken away, and the plane's
        slope is where the point lies. That needs no symmetric neighbourhood: at the
        border, where cells are missing, nothing is biased.
        """
        n, height, width = maps.shape
        places = maps.reshape(n, -1).argmax(axis=1)
        rows, columns = np.divmod(places, width)
        steps = np.arange(-REACH, REACH + 1)
        y, x = rows[:, None] + steps, columns[:, None] + steps
        inside = (
            (((y >= 0) & (y < height))[:, :, None])
            & (((x >= 0) & (x < width))[:, None, :])
        )
        y, x = y.clip(0, height - 1), x.clip(0, width - 1)
        near = maps[np.arange(n)[:, None, None], y[:, :, None], x[:, None, :]]
        near = np.maximum(near * inside, LEAST).reshape(n, -1).astype(np.float64)
        dy, dx = (d.ravel() for d in np.meshgrid(steps, steps, indexing="ij"))
        weight = near**2 * inside.reshape(n, -1)
        weight /= weight.sum(axis=1, keepdims=True)
        plane = np.log(near) * self.sigma**2 + (dx**2 + dy**2) / 2
        x0, y0 = weight @ dx, weight @ dy
        cx, cy = dx - x0[:, None], dy - y0[:, None]
        wx, wy = weight * cx, weight * cy
        xx, yy, xy = (wx * cx).sum(1), (wy * cy).sum(1), (wx * cy).sum(1)
        px, py = (wx * plane).sum(1), (wy * plane).sum(1)
        det = xx * yy - xy**2
        flat = det < 1e-9
        det = np.where(flat, 1, det)
        offset = np.stack([px * yy - py * xy, py * xx - px * xy], axis=1) / det[:, None]
        offset = np.where(flat[:, None], 0, offset.clip(-1, 1))
        cells = np.stack([columns, rows], axis=1) + offset
        points = (cells + 0.5) * self.stride - 0.5
        confidence = maps.reshape(n, -1)[np.arange(n), places]
        return points.astype(np.float32), confidence.astype(np.float32)
