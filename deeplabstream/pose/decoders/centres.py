"""Decoder of body parts regressed from each animal's centre (DEKR).

Geng, Sun, Xiao, Zhang & Wang, "Bottom-up human pose estimation via disentangled keypoint
regression", CVPR 2021, as DeepLabCut 3 decodes it (`DEKRPredictor`). The cell of a peak of
the centre map gives all points of one animal, so nothing has to be grouped.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deeplabstream.pose.decoders.decoder import DecodedPoses, SectionDecoder
from deeplabstream.pose.decoders.heatmaps import Heatmaps, confidence_of

REACH = 2
"""Radius, in cells along x and y, within which a peak is the maximum."""


@dataclass(frozen=True, slots=True)
class Centres(SectionDecoder):
    """Score maps, a map of centres, and the offsets from a cell to an animal's points.

    The output is (3 · bodypart + 1, h, w): scores of the body parts, scores of the centre,
    then x and y of what is subtracted from a cell, body part by body part, in cells. The
    centre of cell c is pixel (c + 0.5) · stride.
    """

    most: Annotated[int, Field(ge=1, le=100)]
    """Largest number of animals in one image."""
    stride: Annotated[int, Field(ge=1, le=64)]
    """Input pixels per cell."""
    score: Literal["centre", "part", "product"] = "product"
    """Confidence of a point: the score of the centre, of the body part's cell, or both."""
    absorb: Annotated[float | None, Field(gt=0, le=4096)] = None
    """Cells within which a point is moved to the nearest peak of its score map."""
    same: Annotated[float | None, Field(gt=0, lt=1)] = None
    """Two poses are one animal where a body part of both is nearer than this share of the
    diagonal of the less sure one; None: all poses are kept."""

    section: ClassVar[str] = "centres"
    any_size: ClassVar[bool] = True
    sigma: ClassVar[float] = 2.0

    @property
    def animals(self) -> int:
        """Largest number of animals."""
        return self.most

    @property
    def tolerance_px(self) -> float:
        """Offsets are exact up to rounding; a peak is a whole cell."""
        return 0.01 if self.absorb is None else 0.6 * self.stride

    def output_shapes(
        self, bodyparts: int, height: int, width: int
    ) -> tuple[tuple[int, ...], ...]:
        """Return (3 · bodypart + 1, h, w)."""
        return ((3 * bodyparts + 1, height // self.stride, width // self.stride),)

    def decode(self, output: NDArray[np.float32]) -> DecodedPoses:
        """Return the animals of each image, by the score of the centre; see `Decoder`."""
        parts = output.shape[1] // 3
        points = np.zeros((len(output), self.most, parts, 2), np.float32)
        scores = np.zeros((len(output), self.most, parts), np.float32)
        for place, maps in enumerate(output):
            where, how = self._decode_image(maps, parts)
            points[place, : len(where)], scores[place, : len(how)] = where, how
        confidences = confidence_of(scores, None)
        if self.most > 1:
            points[confidences == 0] = np.nan
        return points, confidences

    def _decode_image(
        self, maps: NDArray[np.float32], parts: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        _, rows, columns = maps.shape
        cells, centres = _highest(maps[parts : parts + 1], self.most)
        y, x = np.divmod(cells[0], columns)

        # All points of an animal, from the offsets in the cell of its centre.
        offsets = maps[parts + 1 :].reshape(parts, 2, rows, columns)[:, :, y, x]
        points = np.stack([x, y], axis=1)[:, None] - offsets.transpose(2, 0, 1)
        heat = maps[:parts]
        if self.absorb is not None:
            heat = np.where(_peaks(heat), heat, 0)
            points = self._absorbed(points, heat)

        # Confidences, from the scores of the body parts' cells and of the centre.
        at = np.floor(points).clip(0, [columns - 1, rows - 1]).astype(np.intp)
        found = heat[np.arange(parts), at[..., 1], at[..., 0]]
        centre = np.broadcast_to(centres[0][:, None], found.shape)
        scores = {"centre": centre, "part": found, "product": centre * found}[
            self.score
        ]
        scores = np.where(centre > 0, scores, 0)

        points = np.asarray((points + 0.5) * self.stride, np.float32)
        if self.same is not None:
            scores = scores * self._kept(points)[:, None]
        return points, np.asarray(scores, np.float32)

    def _absorbed(
        self, points: NDArray[np.floating], heat: NDArray[np.float32]
    ) -> NDArray[np.floating]:
        """Return the points (animal, bodypart, 2) moved to the nearest of the highest peaks."""
        cells, _ = _highest(heat, self.most)
        y, x = np.divmod(cells, heat.shape[2])
        peaks = np.stack([x, y], axis=-1)  # (bodypart, peak, 2)
        away = np.linalg.norm(points[:, :, None] - peaks[None], axis=-1)
        nearest = away.argmin(axis=2)
        near = np.take_along_axis(away, nearest[..., None], axis=2) < self.absorb
        return np.where(near, peaks[np.arange(len(peaks)), nearest], points)

    def _kept(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which animals differ from all earlier ones."""
        sides = points.max(axis=1) - points.min(axis=1)
        limit = self.same * np.sqrt(np.maximum((sides**2).sum(axis=1), 1))
        away = np.linalg.norm(points[:, None] - points[None], axis=-1)
        alike = (away < limit[None, :, None]).any(axis=2)

        # Animals are in the order of their centres' scores: each is compared with those before it.
        return np.asarray(~np.triu(alike, 1).any(axis=0))

    def encode(
        self, points: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.float32]:
        """Return maps and offsets; each cell has those of the nearest centre. See `Decoder`."""
        rows, columns = height // self.stride, width // self.stride
        return np.stack([self._encode_image(one, rows, columns) for one in points])

    def _encode_image(
        self, points: NDArray[np.float32], rows: int, columns: int
    ) -> NDArray[np.float32]:
        maps = Heatmaps(self.stride, self.sigma, self.stride / 2)
        size = np.array([columns, rows]) * self.stride
        seen = np.asarray(((points >= 0) & (points <= size)).all(axis=2))
        visible = seen.any(axis=1)
        points, seen = points[visible], seen[visible]
        parts = seen.shape[1]
        output = np.zeros((3 * parts + 1, rows, columns), np.float32)
        if not len(points):
            return output
        points = np.where(seen[..., None], points, np.nan)
        centres = np.nanmean(points, axis=1, keepdims=True)

        both = np.concatenate([points, centres], axis=1).astype(np.float32)
        output[: parts + 1] = maps.encode_animals(both, rows, columns)

        # Each cell has the offsets to the animal with the nearest centre.
        grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
        cells = both / self.stride - 0.5
        away = np.linalg.norm(grid[None] - cells[:, -1, None, None], axis=-1)
        own = np.nan_to_num(cells[:, :-1])[away.argmin(axis=0)]  # (h, w, bodypart, 2)
        offsets = (grid[:, :, None] - own).transpose(2, 3, 0, 1)
        output[parts + 1 :] = offsets.reshape(2 * parts, rows, columns)
        return output


def _peaks(maps: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which cells of (map, h, w) are the highest of those around them."""
    # The maximum over a square is that along y of the maxima along x.
    highest = maps.copy()
    for by in range(1, REACH + 1):  # along x
        np.maximum(highest[..., by:], maps[..., :-by], out=highest[..., by:])
        np.maximum(highest[..., :-by], maps[..., by:], out=highest[..., :-by])
    across = highest.copy()
    for by in range(1, REACH + 1):  # along y
        np.maximum(highest[:, by:], across[:, :-by], out=highest[:, by:])
        np.maximum(highest[:, :-by], across[:, by:], out=highest[:, :-by])
    return np.asarray(maps == highest)


def _highest(
    maps: NDArray[np.float32], count: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return cells (map, count) of the highest peaks of (map, h, w), and their scores."""
    flat = np.where(_peaks(maps), maps, 0).reshape(len(maps), -1)
    count = min(count, flat.shape[1])

    # A partition, then a sort of the few: sorting whole maps takes many times as long.
    cells = np.argpartition(-flat, count - 1, axis=1)[:, :count]
    scores = np.take_along_axis(flat, cells, axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(cells, order, 1), np.take_along_axis(scores, order, 1)
