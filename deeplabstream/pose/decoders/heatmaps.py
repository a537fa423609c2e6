"""Decoder of heat maps: peak of each body part's Gaussian, with sub-pixel refinement.

A map has one cell per `stride` × `stride` input pixels. Pixel and cell centres are whole
numbers, so the centre of cell c is pixel (c + 0.5) · stride − 0.5, unless `origin` gives
another pixel for cell 0, as some imported networks need.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deeplabstream.pose.decoders.decoder import (
    DecodedPoses,
    SectionDecoder,
    Sections,
    parse_section,
)
from deeplabstream.pose.decoders.paf_grouping import find_peaks
from deeplabstream.pose.decoders.part_relations import PartRelations

REACH = 2
"""Half the side of the square around a peak from which its centre is computed, in cells."""
MOST_REACH = 4
"""Largest half side for a centroid."""
LEAST = 1e-6
"""Smallest value before the logarithm; smaller ones are raised to it."""
MOST_PEAKS = 3
"""Most peaks of a body part from which `relations` choose."""
RIVAL = 0.1
"""Smallest height of another peak from which they choose, as a share of the highest."""
FAINT = 1e-3
"""Smallest height of such a peak."""
LINEAR_TO = 0.8
"""Scores without an upper bound are used as confidences up to this value: see `confidence_of`."""


@dataclass(frozen=True, slots=True)
class Heatmaps(SectionDecoder):
    """One map per body part, a Gaussian of height 1 around each point.

    The output is (bodypart, h, w).
    """

    stride: Annotated[int, Field(ge=1, le=64)]
    """Input pixels per cell."""
    sigma: Annotated[float, Field(gt=0, le=100)]
    """Standard deviation of the Gaussians, in cells."""
    origin: Annotated[float | None, Field(ge=-64, le=64)] = None
    """Input pixel of the centre of cell 0; None: (stride − 1) / 2."""
    linear_to: Annotated[float | None, Field(gt=0, lt=1)] = None
    """For scores without an upper bound: see `confidence_of`."""
    centroid: Literal[3, 5, 7, 9] | None = None
    """Side, in cells, of the square whose centroid is the point (SLEAP-NN: 5); None: the
    point is the centre of a Gaussian of `sigma`."""
    relations: PartRelations | None = None
    """Choose among several peaks of a map, and lower the confidence of positions that are
    not plausible; None: the highest peak is the point."""

    section: ClassVar[str] = "heatmaps"
    any_size: ClassVar[bool] = True
    animals: ClassVar[int] = 1

    @property
    def first_px(self) -> float:
        """Input pixel of the centre of cell 0."""
        return (self.stride - 1) / 2 if self.origin is None else self.origin

    @property
    def tolerance_px(self) -> float:
        """For `sigma` from 0.8 to 3 cells; a centroid is cut off at its square's border."""
        if self.centroid is not None:
            return self.stride * (self.centroid // 2 + 1) / 2
        return max(0.1, self.stride / 80)

    def output_shapes(
        self, bodyparts: int, height: int, width: int
    ) -> tuple[tuple[int, ...], ...]:
        """Return (bodypart, h, w), and the same with one more row and column.

        Some networks give more cells than fit into the image (DeepLabCut's).
        """
        rows, columns = height // self.stride, width // self.stride
        return (bodyparts, rows, columns), (bodyparts, rows + 1, columns + 1)

    def channels(self, bodyparts: int) -> int:
        """Return the number of maps."""
        return bodyparts

    @classmethod
    def from_json(cls, sections: Sections, bodyparts: Sequence[str]) -> Self:
        """Return the decoder of its section; see `Decoder`."""
        found = parse_section(cls, cls.section, sections[cls.section])
        if found.relations:
            found.relations.check(len(bodyparts))
        return found

    def encode(
        self, points: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.float32]:
        """Return heat maps; of several animals, the highest value. See `Decoder`."""
        maps = self.gaussians(points, height // self.stride, width // self.stride)
        return np.asarray(maps.max(axis=1, initial=0))

    def encode_animals(
        self, points: NDArray[np.float32], rows: int, columns: int
    ) -> NDArray[np.float32]:
        """Return the maps of all animals: the highest value of each cell."""
        return np.asarray(self.gaussians(points, rows, columns).max(axis=0, initial=0))

    def gaussians(
        self, points: NDArray[np.float32], rows: int, columns: int
    ) -> NDArray[np.float32]:
        """Return one map per point.

        Parameters
        ----------
        points
            (..., 2), input pixels. NaN, or outside the maps: a map of zeros.
        rows, columns
            Size of the maps, in cells.

        Returns
        -------
        maps
            (..., rows, columns), 0 to 1.
        """
        cells = (np.asarray(points, np.float32) - self.first_px) / self.stride
        size = np.array([columns, rows], np.float32)
        inside = (cells >= -0.5) & (cells <= size - 0.5)
        seen = np.asarray(inside.all(axis=-1))
        # NaN times 0 is NaN: points that are not visible get any finite cell.
        cells = np.where(seen[..., None], cells, 0)

        # A Gaussian is the product of one along x and one along y: fewer exponentials.
        x = np.arange(columns, dtype=np.float32) - cells[..., :1]
        y = np.arange(rows, dtype=np.float32) - cells[..., 1:]
        across, down = (np.exp(-(d**2) / (2 * self.sigma**2)) for d in (x, y))
        maps = down[..., :, None] * across[..., None, :] * seen[..., None, None]
        return np.asarray(maps, np.float32)

    def decode(self, output: NDArray[np.float32]) -> DecodedPoses:
        """Return the highest, or most plausible, peak of each map; see `Decoder`."""
        n, parts = output.shape[:2]
        if self.relations is not None:
            together = np.empty((n, 1, parts, 2), np.float32)
            sure = np.empty((n, 1, parts), np.float32)
            for place, maps in enumerate(output):
                found = self._related_peaks(maps, self.relations)
                together[place, 0], sure[place, 0] = found
            return together, sure
        points, confidences = self.peaks(output.reshape(n * parts, *output.shape[2:]))
        return points.reshape(n, 1, parts, 2), confidences.reshape(n, 1, parts)

    def peaks(
        self, maps: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the highest peak of each of `maps` (m, h, w).

        Returns
        -------
        points
            (m, 2), input pixels; finite.
        confidences
            (m,), 0 to 1.
        """
        places = maps.reshape(len(maps), -1).argmax(axis=1).tolist()
        width = maps.shape[2]
        cells = [divmod(place, width) for place in places]
        points, scores = self._refine_subpixel(maps, range(len(maps)), cells, REACH)
        return points, self.confidences(scores)

    def _related_peaks(
        self, maps: NDArray[np.float32], relations: PartRelations
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the points (bodypart, 2) and confidences of the most likely peaks.

        A confidence is the peak's height, less where another peak is nearly as high, or
        where the point lies at an unusual place relative to the others.
        """
        parts, _, width = maps.shape
        highest = maps.reshape(parts, -1).argmax(axis=1).tolist()
        cells = [divmod(place, width) for place in highest]
        points, heights = self._refine_subpixel(maps, range(parts), cells, REACH)
        points, heights = points[:, None], heights[:, None]

        floor = np.maximum(RIVAL * heights, FAINT)[..., None]
        peaks = find_peaks(maps, floor, MOST_PEAKS)
        rank = np.arange(len(peaks)) - np.searchsorted(peaks.maps, peaks.maps)
        if len(more := np.flatnonzero(rank)):
            which, rows, columns = (
                peaks.maps[more],
                peaks.rows[more],
                peaks.columns[more],
            )
            rivals = which, rank[more]
            only_first = points, heights
            points = np.zeros((parts, MOST_PEAKS, 2), np.float32)
            heights = np.zeros((parts, MOST_PEAKS), np.float32)
            points[:], heights[:, :1] = only_first
            points[rivals] = self.locate(maps, which, rows, columns)
            heights[rivals] = peaks.heights[more]

        choice = relations.choose(points, heights)
        everyone = np.arange(parts)
        own = heights[everyone, choice.places]
        heights[everyone, choice.places] = 0
        rival = np.maximum(heights.max(axis=1), 0)
        share = own / np.maximum(own + rival, LEAST)
        scores = own * share * choice.plausible
        return points[everyone, choice.places], self.confidences(scores)

    def confidences(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the confidences, 0 to 1, of peak heights."""
        return confidence_of(scores, self.linear_to)

    def locate(
        self,
        maps: NDArray[np.float32],
        which: NDArray[np.intp],
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
    ) -> NDArray[np.float32]:
        """Return the points (m, 2) of peaks among others; see `MapDecoder`.

        Only the neighbouring cells count: another peak may be near.
        """
        cells = [*zip(rows.tolist(), columns.tolist(), strict=True)]
        return self._refine_subpixel(maps, which.tolist(), cells, reach=1)[0]

    def _refine_subpixel(
        self,
        maps: NDArray[np.float32],
        which: Sequence[int],
        cells: Sequence[tuple[int, int]],
        reach: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Sub-pixel refinement: return points (m, 2), px, and values (m,), of m peaks.

        `cells` are their rows and columns, `which` their indices in `maps` (n, h, w).
        The logarithm of a Gaussian is a plane once its known curvature is subtracted; the
        slope of that plane gives the centre. No symmetric neighbourhood is needed, so
        nothing is biased at the border of the map.

        With `centroid`, the centre is the centroid of the values in a square around the
        cell, as in SLEAP-NN's integral refinement.
        """
        if self.centroid is not None:
            reach = self.centroid // 2
        near = _values(maps, which, cells, reach)
        offsets = self._subpixel_offsets(near, reach)
        first, stride = self.first_px, self.stride
        points = [
            ((column + dx) * stride + first, (row + dy) * stride + first)
            for (row, column), (dx, dy) in zip(cells, offsets, strict=True)
        ]
        middle = near.shape[1] // 2
        return np.array(points, np.float32).reshape(-1, 2), near[:, middle]

    def _subpixel_offsets(
        self, near: NDArray[np.float32], reach: int
    ) -> Sequence[Sequence[float]]:
        """Return the sub-pixel offsets along x and y, in cells, of m squares (m, k)."""
        if self.centroid is not None:
            dy, dx = _NEAR[reach]
            mass = near.sum(axis=1, dtype=np.float64)
            mass = np.where(mass > LEAST, mass, np.inf)  # empty: centre of the cell
            off = np.stack([near @ dx / mass, near @ dy / mass], axis=1)
            return np.asarray(np.clip(off, -reach, reach)).tolist()  # type: ignore[no-any-return]

        count = near.shape[1]
        values = np.maximum(near, LEAST, dtype=np.float64)
        # Weights are squared values: the noise of a logarithm is that of 1 / value
        weighted = np.empty((len(near), 2 * count))
        weight = np.multiply(values, values, out=weighted[:, :count])
        np.multiply(weight, np.log(values), out=weighted[:, count:])
        sums = weighted @ _moment_terms(reach, self.sigma)
        return [_plane_slope(*row) for row in sums.tolist()]


def confidence_of(
    scores: NDArray[np.floating], linear_to: float | None
) -> NDArray[np.float32]:
    """Return confidences, 0 to 1, of the scores of peaks; NaN stays NaN.

    None: scores are from 0 to 1. Otherwise they have no upper bound: up to `linear_to`
    they are not changed; above it they approach 1 and never reach it, so that the higher
    score always has the higher confidence.

    >>> confidence_of(np.array([0.4, 0.8, 1.0, 2.6]), 0.8).round(3).tolist()
    [0.4000000059604645, 0.800000011920929, 0.8999999761581421, 0.9800000190734863]
    """
    if linear_to is None:
        # np.clip does the same in twice the time, and this runs for every frame
        return np.asarray(np.minimum(np.maximum(scores, 0), 1), np.float32)
    room = 1 - linear_to
    above = np.maximum(scores - linear_to, 0)
    bent = 1 - room**2 / (above + room)
    return np.asarray(np.where(above > 0, bent, np.maximum(scores, 0)), np.float32)


def _values(
    maps: NDArray[np.float32],
    which: Sequence[int],
    cells: Sequence[tuple[int, int]],
    reach: int,
) -> NDArray[np.float32]:
    """Return the values (m, k) of the squares around m cells; 0 outside the map."""
    _, height, width = maps.shape
    own = [
        (n * height + row) * width + column
        for n, (row, column) in zip(which, cells, strict=True)
    ]
    places = np.array(own, np.intp)[:, None] + _offsets(reach, width)
    near = maps.reshape(-1).take(places, mode="clip")

    # At the border the flat index of a neighbour is that of another row, or map.
    for place, (row, column) in enumerate(cells):
        room = min(row, height - 1 - row), min(column, width - 1 - column)
        if min(room) < reach:
            dy, dx = _NEAR[reach]
            y, x = row + dy, column + dx
            near[place, (y < 0) | (y >= height) | (x < 0) | (x >= width)] = 0
    return near


def _around(reach: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the cells of a square, row by row: dy, dx."""
    dy, dx = (d.ravel() for d in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    return dy, dx


_NEAR = {reach: _around(reach) for reach in range(1, MOST_REACH + 1)}


@lru_cache
def _offsets(reach: int, width: int) -> NDArray[np.intp]:
    """Return the offsets of the cells of a square in a flat map, from its middle."""
    dy, dx = _NEAR[reach]
    return dy * width + dx


@lru_cache
def _moment_terms(reach: int, sigma: float) -> NDArray[np.float64]:
    """Return (2 k, 9): the terms of the sums that `_plane_slope` uses.

    The first k rows are for the weights, the others for weights times logarithms. A
    height is sigma² · log(value) + (dx² + dy²) / 2.
    """
    dy, dx = _NEAR[reach]
    terms = np.stack([dx**0, dx, dy, dx**2, dx * dy, dy**2], axis=1) * 1.0
    bowl = (dx**2 + dy**2)[:, None] / 2 * terms[:, :3]
    upper = np.concatenate([terms, bowl], axis=1)
    lower = np.concatenate([0 * terms, sigma**2 * terms[:, :3]], axis=1)
    return np.ascontiguousarray(np.concatenate([upper, lower]))


def _plane_slope(
    m: float, mx: float, my: float, mxx: float, mxy: float, myy: float,
    p: float, px: float, py: float,
) -> tuple[float, float]:  # fmt: skip
    """Return the slope along x and y of the least-squares plane, limited to ±1.

    The arguments are sums of the weights times 1, x, y, x², xy, y², and sums of the
    weighted heights times 1, x, y.
    """
    # Weighted means, then the second moments about them.
    mx, my, p = mx / m, my / m, p / m
    xx, xy, yy = mxx / m - mx * mx, mxy / m - mx * my, myy / m - my * my
    along, down = px / m - mx * p, py / m - my * p

    # Without spread along x or y there is no plane: the point is the centre of its cell.
    determinant = xx * yy - xy * xy
    if determinant < 1e-9:
        return 0.0, 0.0

    dx = (along * yy - down * xy) / determinant
    dy = (down * xx - along * xy) / determinant
    return min(max(dx, -1.0), 1.0), min(max(dy, -1.0), 1.0)
