"""Features of behaviour: numbers computed from the pose over the last moments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.pair_geometry import speed_towards
from deeplabstream.core.pose import Pose

Quantity = Literal["distance", "angle", "speed", "direction", "approach"]
Statistic = Literal["mean", "std", "min", "max"]
PARTS: dict[Quantity, int] = {
    "distance": 2,
    "angle": 3,
    "speed": 1,
    "direction": 4,
    "approach": 2,
}
"""Number of body parts of each quantity.

An angle is at the second of three. A direction is the angle from the vector between the first
two to the vector between the last two, 0 to 180 degrees. An approach is the part of the first
one's velocity towards the second one; negative: away from it.
"""
_OF_SPEED: tuple[Quantity, ...] = ("speed", "approach")
_OF_LENGTH: tuple[Quantity, ...] = ("distance", *_OF_SPEED)
_STATISTICS: dict[Statistic, Callable[..., Any]] = {
    "mean": np.mean,
    "std": np.std,
    "min": np.min,
    "max": np.max,
}
_SHORTEST = 1e-6
"""Length below which two points are at one place, in px or mm."""


@dataclass(frozen=True)
class Feature:
    """One feature, such as the mean distance from snout to tail base."""

    statistic: Statistic
    what: Quantity
    of: tuple[str, ...]
    """Body parts, named as in `Pose.names`: `snout`, or `animal2_snout` of several."""

    def __str__(self) -> str:
        return f"{self.statistic} {self.what} {' '.join(self.of)}"


@dataclass(frozen=True)
class FeatureSet:
    """The features of a classifier, and their time window."""

    features: tuple[Feature, ...]
    window_s: float
    rate: float
    """Moments per second of the window at which the pose is sampled."""
    max_gap_s: float
    """Features are unknown when the animal was lost for longer than this in the window."""
    unit: Literal["px", "mm"] = "px"
    of_pair: bool = False
    """Whether the body parts are those of an actor and a target: `actor_snout`."""
    scale: tuple[tuple[str, str], ...] = ()
    """Body parts whose mean distance in the window is the unit of lengths; empty: `unit` is."""

    @property
    def moments(self) -> int:
        """Number of moments in the window, both ends included."""
        return max(2, round(self.window_s * self.rate) + 1)

    @property
    def bodyparts(self) -> tuple[str, ...]:
        """The body parts that must be visible."""
        parts = [part for feature in self.features for part in feature.of]
        parts += [part for ends in self.scale for part in ends]
        return tuple(dict.fromkeys(parts))

    @property
    def network_bodyparts(self) -> tuple[str, ...]:
        """The same, as the network names them: of a pair, those of both animals."""
        if not self.of_pair:
            return self.bodyparts
        return tuple(dict.fromkeys(part.partition("_")[2] for part in self.bodyparts))


class FeatureWindow:
    """The last moments of one camera, as input of a classifier.

    The window's moments are the same times whatever the frame rate is and whichever
    frames are skipped: positions between two frames are interpolated linearly. Frames
    with a missing body part are left out.
    """

    def __init__(self, features: FeatureSet) -> None:
        self._set = features
        self._ago_s = np.arange(features.moments)[::-1] / features.rate
        self._columns = FeatureColumns(features)
        self._places: dict[tuple[str, ...], list[int]] = {}
        self.reset()

    def reset(self) -> None:
        """Discard all previous poses."""
        self._times: NDArray[np.float64] = np.empty(64)
        self._points: NDArray[np.float64] = np.empty((64, len(self._set.bodyparts), 2))
        self._first = self._end = 0

    def update(self, pose: Pose, time_s: float) -> NDArray[np.float32] | None:
        """Return the current features (feature,); None when the window has a gap.

        `pose` is in the set's unit; `time_s` must be later than in the call before.
        """
        points = self.sample(pose, time_s)
        return None if points is None else self._columns.compute(points)

    def sample(self, pose: Pose, time_s: float) -> NDArray[np.float64] | None:
        """Return the points (moment, body part, 2) of `update`, as input of `FeatureColumns`."""
        points = pose.points.reshape(-1, 2)[self._indices(pose.names)]
        if not np.isfinite(points).all():
            return None
        self._add(points, time_s)
        moments = time_s - self._ago_s
        times = self._times[self._first : self._end]
        since = int(np.searchsorted(times, moments[0], side="right")) - 1
        if since < 0:
            return None
        self._first += since
        times = times[since:]
        if np.diff(times).max(initial=0.0) > self._set.max_gap_s:
            return None
        return self._at(times, moments)

    def _indices(self, names: tuple[str, ...]) -> list[int]:
        if names not in self._places:
            self._places[names] = [names.index(part) for part in self._set.bodyparts]
        return self._places[names]

    def _add(self, points: NDArray[np.float32], time_s: float) -> None:
        if self._end == len(self._times):
            kept = slice(self._first, self._end)
            room = max(64, 2 * (self._end - self._first))
            times, places = self._times[kept], self._points[kept]
            self._times = np.resize(times, room)
            self._points = np.resize(places, (room, *places.shape[1:]))
            self._first, self._end = 0, len(times)
        self._times[self._end], self._points[self._end] = time_s, points
        self._end += 1

    def _at(
        self, times: NDArray[np.float64], moments: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (moment, body part, 2), interpolated linearly between two frames."""
        after = np.clip(np.searchsorted(times, moments), 1, len(times) - 1)
        span = times[after] - times[after - 1]
        share = ((moments - times[after - 1]) / span)[:, None, None]
        points = self._points[self._first : self._end]
        return np.asarray((1 - share) * points[after - 1] + share * points[after])


class FeatureColumns:
    """Columns of the features by kind, so that all features of a kind are computed together."""

    def __init__(self, features: FeatureSet) -> None:
        self._rate = features.rate
        self._count = len(features.features)
        part = {name: n for n, name in enumerate(features.bodyparts)}
        scale = [[part[name] for name in ends] for ends in features.scale]
        self._scale = np.array(scale, np.intp).reshape(-1, 2)
        self._kinds = [
            kind for what in PARTS if (kind := _Kind.of(what, features)).statistics
        ]

    def compute(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the features (..., feature) of points (..., moment, body part, 2)."""
        numbers = np.empty((*points.shape[:-3], self._count), np.float32)
        length = None
        if len(self._scale):
            ends = points[..., self._scale, :]
            lengths = _length(ends[..., 0, :] - ends[..., 1, :])
            length = np.maximum(lengths.mean(axis=(-2, -1), keepdims=True), _SHORTEST)
        for kind in self._kinds:
            values = _values(kind.what, kind.ends, points, self._rate)
            if length is not None and kind.what in _OF_LENGTH:
                values = values / length
            for statistic, (sources, targets) in kind.statistics.items():
                found = _STATISTICS[statistic](values[..., sources], axis=-2)
                numbers[..., targets] = found
        return numbers


@dataclass(frozen=True)
class _Kind:
    what: Quantity
    ends: NDArray[np.intp]
    """(quantity, body part): each quantity is computed once, for all its statistics."""
    statistics: dict[Statistic, tuple[list[int], list[int]]]
    """For each statistic: indices of quantities and of the features computed from them."""

    @classmethod
    def of(cls, what: Quantity, features: FeatureSet) -> "_Kind":
        part = {name: n for n, name in enumerate(features.bodyparts)}
        mine = [(n, f) for n, f in enumerate(features.features) if f.what == what]
        quantities = {
            of: n for n, of in enumerate(dict.fromkeys(f.of for _, f in mine))
        }
        statistics: dict[Statistic, tuple[list[int], list[int]]] = {}
        for n, feature in mine:
            sources, targets = statistics.setdefault(feature.statistic, ([], []))
            sources.append(quantities[feature.of])
            targets.append(n)
        ends = np.array([[part[name] for name in of] for of in quantities], np.intp)
        return cls(what, ends, statistics)


def _values(
    what: Quantity,
    ends: NDArray[np.intp],
    points: NDArray[np.float64],
    rate: float,
) -> NDArray[np.float64]:
    """Return (..., moment, quantity); speeds have one moment less."""
    if what in _OF_SPEED:
        velocity = np.diff(points[..., ends[:, 0], :], axis=-3) * rate
        if what == "speed":
            return _length(velocity)
        # to where the other one was before the step
        way = points[..., ends[:, 1], :] - points[..., ends[:, 0], :]
        return _speed_towards(velocity, way[..., :-1, :, :])
    one = points[..., ends[:, 0], :] - points[..., ends[:, 1], :]
    if what == "distance":
        return _length(one)
    begin = ends[:, 3 if what == "direction" else 1]
    other = points[..., ends[:, 2], :] - points[..., begin, :]
    cross = one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
    along = (one * other).sum(axis=-1)
    return np.asarray(np.degrees(np.arctan2(np.abs(cross), along)))


def usual(bodyparts: Sequence[str], chain: Sequence[str] = ()) -> tuple[Feature, ...]:
    """Return a general set of features.

    All distances and speeds of `bodyparts`, their variation, and the angles along
    `chain`, body parts in their order along the body.
    """
    parts = list(bodyparts)
    pairs = [(one, two) for n, one in enumerate(parts) for two in parts[n + 1 :]]
    bends = list(zip(chain, chain[1:], chain[2:], strict=False))
    statistics: tuple[Statistic, ...] = ("mean", "std")
    found: list[Feature] = []
    for statistic in statistics:
        found += [Feature(statistic, "distance", pair) for pair in pairs]
        found += [Feature(statistic, "angle", bend) for bend in bends]
        found += [Feature(statistic, "speed", (part,)) for part in parts]
    return tuple(found)


def _speed_towards(
    velocity: NDArray[np.float64], way: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the parts of velocities along ways; 0 where a way has no length."""
    is_apart = _length(way) >= _SHORTEST
    along = np.where(is_apart[..., None], way, 1.0)
    towards = speed_towards(
        (velocity[..., 0], velocity[..., 1]), (along[..., 0], along[..., 1])
    )
    return np.where(is_apart, towards, 0.0)


def _length(way: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.hypot(way[..., 0], way[..., 1]))
