"""Relative positions of body parts: which of several peaks belong together.

Training learns them from the labels (`training/data/learned_relations.py`); they are part of
the section `heatmaps` of `model.json`. A relation knows where one body part lies from another:
its offset, where the labels agree on that, or only its distance, as of an animal that turns.

Of the peaks of all maps those are chosen whose heights and relative positions are most likely
together: the sum of the logarithms of the heights and of the relations' likelihoods is the
largest. A position that no label has costs at most `log(OUTLIER)`, so a posture that was never
labelled does not outweigh clear peaks.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import pydantic
from numpy.typing import NDArray
from pydantic import Field

STRICT = pydantic.ConfigDict(strict=True, extra="forbid")
OUTLIER = 0.05
"""Likelihood of a relative position that no label has; that of the most usual one is 1."""
NEAREST_PX = 2.0
"""Smallest distance before the logarithm, input pixels."""
LEAST_GAIN = 1e-9
"""Smallest gain of a change: rounding errors are smaller."""
LEAST_HEIGHT = 1e-4
"""Smallest height of a peak before the logarithm."""
Part = Annotated[int, Field(ge=0, lt=4096)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=100)]


class OffsetRelation(NamedTuple):
    """The second body part lies at an offset from the first: a Gaussian in two dimensions."""

    first: Part
    second: Part
    weight: Weight
    x: Number
    """Mean offset, input pixels."""
    y: Number
    xx: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Inverse covariance."""
    xy: Number
    yy: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class DistanceRelation(NamedTuple):
    """The second body part lies at a distance from the first, in any direction."""

    first: Part
    second: Part
    weight: Weight
    log_px: Number
    """Mean natural logarithm of the distance in input pixels."""
    deviation: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Standard deviation of the logarithm."""


class Choice(NamedTuple):
    """Chosen peaks."""

    places: NDArray[np.intp]
    """(bodypart,): which of its peaks."""
    plausible: NDArray[np.float64]
    """(bodypart,): likelihood of its position relative to the others, 0 to 1."""


class _Arrays(NamedTuple):
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    weight: NDArray[np.float64]
    offsets: NDArray[np.float64]
    distances: NDArray[np.float64]
    usual: NDArray[np.float64]


_ALL = slice(None)


@dataclass(frozen=True)
class PartRelations:
    """Relations between pairs of body parts, learned from labels.

    The weights of all relations of a body part add up to about 2: relations from which its
    position is best known count most.
    """

    offsets: tuple[OffsetRelation, ...]
    distances: tuple[DistanceRelation, ...]
    usual: tuple[Annotated[float, Field(le=0, allow_inf_nan=False)], ...] = ()
    """`log_plausible` of each body part in a usual label; positions at least as likely as
    that are fully plausible."""

    __pydantic_config__: ClassVar[pydantic.ConfigDict] = STRICT

    def check(self, parts: int) -> None:
        """Raise ValueError where they are not those of `parts` body parts."""
        for one in self._every:
            if max(one.first, one.second) >= parts or one.first == one.second:
                raise ValueError(
                    f"heatmaps → relations: body part {one.first} and body part "
                    f"{one.second} are not two of {parts}, counted from 0"
                )
        if len(self.usual) not in (0, parts):
            raise ValueError(
                f"heatmaps → relations → usual: expected {parts} values, not "
                f"{len(self.usual)}"
            )

    def choose(
        self, points: NDArray[np.floating], heights: NDArray[np.floating]
    ) -> Choice:
        """Return the peaks that are most likely together.

        Parameters
        ----------
        points
            (bodypart, peak, 2), input pixels, the highest first; finite.
        heights
            (bodypart, peak); not above 0: there is no such peak, but for the first.
        """
        parts, peaks = heights.shape
        chosen = np.zeros(parts, np.intp)
        if peaks > 1:
            self._climb(points, heights, chosen)
        at = points[np.arange(parts), chosen][:, None]
        related = self.log_plausible(at)
        return Choice(chosen, np.exp(np.minimum(related - self._usual(parts), 0)))

    def log_plausible(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return (bodypart,): half the weighted log-likelihoods of its relations.

        `points` are (bodypart, 1, 2), input pixels. A relation with NaN does not count.
        """
        own, parts = self._arrays, len(points)
        every = own.weight * self._log_likelihoods(points, _ALL)[:, 0, 0]
        every = np.where(np.isfinite(every), every, 0) / 2
        first = np.bincount(own.first, every, parts)
        return np.asarray(first + np.bincount(own.second, every, parts))

    def _usual(self, parts: int) -> NDArray[np.float64]:
        return self._arrays.usual if len(self.usual) else np.zeros(parts)

    def _climb(
        self,
        points: NDArray[np.floating],
        heights: NDArray[np.floating],
        chosen: NDArray[np.intp],
    ) -> None:
        """Coordinate ascent: change the choice that gains most, until none gains."""
        own, (parts, peaks) = self._arrays, heights.shape
        free = np.asarray((heights[:, 1:] > 0).any(axis=1))
        some = np.flatnonzero(free[own.first] | free[own.second])
        first, second, counted = own.first[some], own.second[some], np.arange(len(some))
        likely = own.weight[some, None, None] * self._log_likelihoods(points, some)

        everyone = np.arange(parts)
        begins, ends = (
            (everyone[:, None] == one).astype(np.float64) for one in (first, second)
        )
        scores = np.log(np.maximum(heights, LEAST_HEIGHT), dtype=np.float64)
        scores[:, 1:][heights[:, 1:] <= 0] = -np.inf
        for _ in range(2 * int(free.sum()) * peaks):
            related = begins @ likely[counted, :, chosen[second]]
            related += ends @ likely[counted, chosen[first], :]
            total = scores + related
            gains = total - total[everyone, chosen][:, None]
            part, place = divmod(int(gains.argmax()), peaks)
            if gains[part, place] < LEAST_GAIN:
                return
            chosen[part] = place

    def _log_likelihoods(
        self, points: NDArray[np.floating], some: "NDArray[np.intp] | slice"
    ) -> NDArray[np.float64]:
        """Return (relation, peak of the first, peak of the second) of some, at most 0."""
        own = self._arrays
        first, second = own.first[some], own.second[some]
        apart = points[second][:, None] - points[first][:, :, None]
        x, y = apart[..., 0], apart[..., 1]
        squares = np.empty(x.shape)

        # Relations of offsets come first.
        count = len(self.offsets)
        if isinstance(some, slice):
            offsets, distances = own.offsets, own.distances
        else:
            count = int(np.searchsorted(some, count))
            offsets = own.offsets[some[:count]]
            distances = own.distances[some[count:] - len(self.offsets)]
        if count:
            mean_x, mean_y, xx, twice_xy, yy = offsets.T[:, :, None, None]
            dx, dy = x[:count] - mean_x, y[:count] - mean_y
            squares[:count] = (xx * dx + twice_xy * dy) * dx + yy * dy * dy
        if count < len(squares):
            log_px, deviation = distances.T[:, :, None, None]
            length = np.log(np.maximum(np.hypot(x[count:], y[count:]), NEAREST_PX))
            squares[count:] = ((length - log_px) / deviation) ** 2
        return np.asarray(np.log((np.exp(-squares / 2) + OUTLIER) / (1 + OUTLIER)))

    @property
    def _every(self) -> tuple[OffsetRelation | DistanceRelation, ...]:
        """Relations of offsets, then those of distances."""
        return (*self.offsets, *self.distances)

    @cached_property
    def _arrays(self) -> _Arrays:
        both = self._every
        offsets = np.array([one[3:] for one in self.offsets], np.float64).reshape(-1, 5)
        offsets[:, 3] *= 2  # xy occurs twice in a square
        return _Arrays(
            np.array([one.first for one in both], np.intp),
            np.array([one.second for one in both], np.intp),
            np.array([one.weight for one in both], np.float64),
            offsets,
            np.array([one[3:] for one in self.distances], np.float64).reshape(-1, 2),
            np.array(self.usual, np.float64),
        )
