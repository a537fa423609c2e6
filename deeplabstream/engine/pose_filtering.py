"""Pose filtering: confidence threshold, outlier rejection, hold, smoothing, prediction.

The steps run in this order; classifiers then compute behaviours from the filtered poses. The
result depends only on the poses and their times. A re-run therefore needs the recorded raw
poses and behaviours, and no network or classifier.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import dist, nan
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.calibration import Calibration
from deeplabstream.core.pose import Pose, Thresholds, identity_switched
from deeplabstream.pose.filters.motion_prediction import MotionPredictor
from deeplabstream.pose.filters.one_euro import OneEuro
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.tracking import Tracking

Points = NDArray[np.float32]
"""(animal, bodypart, 2); NaN: not seen."""
Lengths = NDArray[np.float64]
Mask = NDArray[np.bool_]
"""(animal, bodypart)."""


class OutlierFilter:
    """Outlier filter of one camera, with the last accepted position of each point.

    A point is rejected when it is farther from there than it can have moved since. That
    distance grows with time, so a correct point is accepted again. Of an edge that is too
    short or too long, the end that violates more edges is rejected. If both violate as many,
    the end with the lower confidence is rejected.
    """

    def __init__(self, rules: Tracking) -> None:
        self._rules = rules
        self._hold_s = rules.hold_ms / 1e3 or -1.0
        self._edge_limits = _EdgeLimits(rules)
        self._shape: tuple[int, ...] = ()
        self._places: Points
        self._measured: Lengths
        self._times: Lengths

    def filter(
        self, seen: Pose, time_s: float, calibration: Calibration | None = None
    ) -> tuple[Points, dict[str, str]]:
        """Return the accepted points, in px, and what was done to the others, by name.

        With UNIT = mm lengths are those on the floor: `calibration`.
        """
        if self._shape != seen.points.shape:
            self._begin(seen.points)
        points = seen.points.copy()
        measured = points.astype(np.float64)
        if self._rules.unit == "mm" and calibration is not None:
            measured = calibration.to_mm(points)
        away_s = time_s - self._times
        jumped = self._jumped(measured, away_s)
        measured[jumped] = np.nan
        bent = self._edge_limits.spoilt(seen, measured)
        points[jumped | bent] = np.nan
        believed = np.isfinite(points[..., 0])
        self._places[believed] = points[believed]
        self._measured[believed] = measured[believed]
        self._times[believed] = time_s
        held = ~believed & (away_s <= self._hold_s)
        points[held] = self._places[held]
        what = {"jump": jumped, "bone": bent, "held": held}
        return points, dict(_flags_of(seen.names, what))

    def _begin(self, points: Points) -> None:
        self._shape = points.shape
        self._places = np.full_like(points, np.nan)
        self._measured = np.full(points.shape, np.nan)
        self._times = np.full(points.shape[:2], -np.inf)

    def _jumped(self, measured: Lengths, away_s: Lengths) -> Mask:
        if not self._rules.max_speed:
            return np.zeros(away_s.shape, np.bool_)
        step = measured - self._measured
        gone = np.hypot(step[..., 0], step[..., 1])
        return np.asarray(gone > self._rules.max_speed * away_s)


class _EdgeLimits:
    """The edges that the settings measure."""

    def __init__(self, rules: Tracking) -> None:
        self._edge_limits = rules.bones

    def spoilt(self, seen: Pose, measured: Lengths) -> Mask:
        """Return the points to refuse; `measured` (animal, bodypart, 2) has NaN for none."""
        refused = np.zeros(measured.shape[:2], np.bool_)
        if self._edge_limits:
            ends = [
                seen.skeleton.indices((edge.one, edge.other))
                for edge in self._edge_limits
            ]
            for animal, places in enumerate(measured.tolist()):
                sure: list[float] = seen.confidence[animal].tolist()
                while (worst := self._worst(ends, places, sure)) is not None:
                    refused[animal, worst] = True
                    places[worst] = [nan, nan]
        return refused

    def _worst(
        self, ends: list[list[int]], places: list[list[float]], sure: list[float]
    ) -> int | None:
        spoils: Counter[int] = Counter()
        for (one, other), edge in zip(ends, self._edge_limits, strict=True):
            length = dist(places[one], places[other])
            if length < edge.shortest or length > edge.longest:
                spoils.update((one, other))
        if not spoils:
            return None
        return max(spoils, key=lambda part: (spoils[part], -sure[part]))


def _flags_of(
    names: tuple[str, ...], what: Mapping[str, Mask]
) -> Iterator[tuple[str, str]]:
    found = {word: mask.ravel().tolist() for word, mask in what.items() if mask.any()}
    if found:
        for place, name in enumerate(names):
            words = [word for word, mask in found.items() if mask[place]]
            if words:
                yield name, "+".join(words)


EVERY = "every point"
"""Under this name the record says what was done to all points of a frame."""


class PointSmoother:
    """The filters of one camera."""

    def __init__(self, rules: Tracking) -> None:
        self._smoothing = None
        if rules.smooth_hz:
            self._smoothing = OneEuro(rules.smooth_hz, rules.smooth_beta)
        self._prediction = MotionPredictor() if rules.predict else None
        self._acts_after_s = rules.acts_after_ms / 1e3
        steps = [("smoothed", self._smoothing), ("predicted", self._prediction)]
        self._done = {EVERY: "+".join(word for word, step in steps if step)}

    def step(
        self, points: NDArray[np.float32], time_s: float, age_s: float
    ) -> tuple[NDArray[np.float32], dict[str, str]]:
        """Return the points to see, NaN where they were, and what was done to them."""
        if self._smoothing is not None:
            points = self._smoothing.step(points, time_s)
        if self._prediction is not None:
            ahead_s = age_s + self._acts_after_s
            points = self._prediction.step(points, time_s, ahead_s)
        return points, self._done


@dataclass(frozen=True, slots=True)
class FilteredPose:
    """One frame as triggers see it."""

    pose: Pose
    """In px; NaN where nothing is known."""
    on_floor: Pose | None = None
    """The same in mm; None: the camera has no calibration."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """See `Step.flags`."""
    behaviours: Mapping[str, float] = field(default_factory=dict)
    """See `Step.behaviours`."""

    def in_unit(self, unit: Literal["px", "mm"]) -> Pose:
        """Return the pose in `unit`."""
        return self.on_floor if unit == "mm" and self.on_floor else self.pose

    @property
    def changed(self) -> bool:
        """Whether it is something else than the pose above the threshold."""
        return bool(self.flags)


class BehaviourSource(Protocol):
    """Behaviour classifier, such as `pose.behaviour.classifier.Classifier`."""

    @property
    def unit(self) -> Literal["px", "mm"]:
        """Unit of the poses that it expects."""
        ...

    def classify(self, pose: Pose, time_s: float) -> Mapping[str, float]:
        """Return the probability of each behaviour; NaN: unknown."""
        ...

    def reset(self) -> None:
        """Discard the earlier poses."""
        ...


class PoseFilter:
    """Filters the poses of a run, with a state per camera. `forget` before a new run."""

    def __init__(
        self,
        thresholds: Thresholds,
        rules: Mapping[str, Tracking] | None = None,
        calibrations: Mapping[str, Calibration] | None = None,
        classifiers: Mapping[str, Sequence[BehaviourSource]] | None = None,
    ) -> None:
        """All by camera; `rules` under the empty name are those of all others."""
        self._thresholds = thresholds
        self._rules = rules or {}
        self._calibrations = calibrations or {}
        self._classifiers = classifiers or {}
        self._gates: dict[str, OutlierFilter | None] = {}
        self._filters: dict[str, PointSmoother | None] = {}

    def forget(self) -> None:
        """Forget all that was seen."""
        self._gates.clear()
        self._filters.clear()
        for classifiers in self._classifiers.values():
            for classifier in classifiers:
                classifier.reset()

    def see(
        self, camera: str, pose: Pose, time_s: float, age_s: float = 0.0
    ) -> FilteredPose:
        """Return what triggers see of the network's pose of one frame.

        `age_s` is how long ago it was exposed.
        """
        seen, flags = pose.seen(self._thresholds.of(camera)), dict[str, str]()
        if pose.identity and identity_switched(
            pose.identity
        ):  # what was followed was another animal
            self._gates.pop(camera, None)
            self._filters.pop(camera, None)
        calibration = self._calibrations.get(camera)
        if gate := self._gate(camera):
            points, flags = gate.filter(seen, time_s, calibration)
            seen = pose.moved(points)
        if motion := self._motion(camera):
            points, done = motion.step(seen.points, time_s, age_s)
            seen = pose.moved(points)
            flags = {**flags, **done}
        on_floor = None
        if calibration is not None:
            places = calibration.to_mm(seen.points).astype(np.float32)
            on_floor = pose.moved(places)
        filtered = FilteredPose(seen, on_floor, flags)
        behaviours: dict[str, float] = {}
        for classifier in self._classifiers.get(camera, ()):
            behaviours |= classifier.classify(filtered.in_unit(classifier.unit), time_s)
        return replace(filtered, behaviours=behaviours) if behaviours else filtered

    def _motion(self, camera: str) -> PointSmoother | None:
        if camera not in self._filters:
            rules = self._rules.get(camera) or self._rules.get("")
            active = rules is not None and (rules.smooth_hz or rules.predict)
            self._filters[camera] = PointSmoother(rules) if rules and active else None
        return self._filters[camera]

    def _gate(self, camera: str) -> OutlierFilter | None:
        if camera not in self._gates:
            rules = self._rules.get(camera) or self._rules.get("")
            active = rules is not None and rules.active
            self._gates[camera] = OutlierFilter(rules) if rules and active else None
        return self._gates[camera]


def pose_filter_of(
    settings: Settings,
    thresholds: Thresholds,
    classifiers: Mapping[str, Sequence[BehaviourSource]] | None = None,
) -> PoseFilter:
    """Return the pose filter that the settings describe, in its first state.

    `classifiers`, by camera, are to be opened by
    `deeplabstream.engine.behaviour_classifiers.open_classifiers`.
    """
    return PoseFilter(thresholds, settings.tracking, settings.calibrations, classifiers)
