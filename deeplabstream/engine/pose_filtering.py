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
"""(animal, bodypart, 2); NaN: not detected."""
Lengths = NDArray[np.float64]
Mask = NDArray[np.bool_]
"""(animal, bodypart)."""


class OutlierFilter:
    """Outlier filter of one camera, with the last accepted position of each point.

    A point is rejected when it is farther from that position than it can have moved since.
    That distance grows with time, so a correct point is accepted again. Of an edge that is too
    short or too long, the end that violates more edges is rejected. If both violate as many,
    the end with the lower confidence is rejected.
    """

    def __init__(self, rules: Tracking) -> None:
        self._rules = rules
        self._hold_s = rules.hold_ms / 1e3 or -1.0
        self._edge_limits = _EdgeLimits(rules)
        self._shape: tuple[int, ...] = ()
        self._accepted: Points
        self._measured: Lengths
        self._times: Lengths

    def filter(
        self, seen: Pose, time_s: float, calibration: Calibration | None = None
    ) -> tuple[Points, dict[str, str]]:
        """Return the accepted points, in px, and the flags of the others, by name.

        With UNIT = mm lengths are those on the floor: `calibration`.
        """
        if self._shape != seen.points.shape:
            self._begin(seen.points)
        points = seen.points.copy()
        measured = points.astype(np.float64)
        if self._rules.unit == "mm" and calibration is not None:
            measured = calibration.to_mm(points)

        # Speed first: a point that jumped would also violate the lengths of its edges.
        since_accepted_s = time_s - self._times
        jumped = self._jumped(measured, since_accepted_s)
        measured[jumped] = np.nan
        bad_edge = self._edge_limits.rejected_points(seen, measured)
        points[jumped | bad_edge] = np.nan

        accepted = np.isfinite(points[..., 0])
        self._accepted[accepted] = points[accepted]
        self._measured[accepted] = measured[accepted]
        self._times[accepted] = time_s

        # A held point keeps the time of its last acceptance, so HOLD_MS counts from
        # there.
        held = ~accepted & (since_accepted_s <= self._hold_s)
        points[held] = self._accepted[held]
        masks = {"jump": jumped, "bone": bad_edge, "held": held}
        return points, dict(_flags_of(seen.names, masks))

    def _begin(self, points: Points) -> None:
        self._shape = points.shape
        self._accepted = np.full_like(points, np.nan)
        self._measured = np.full(points.shape, np.nan)
        self._times = np.full(points.shape[:2], -np.inf)

    def _jumped(self, measured: Lengths, since_accepted_s: Lengths) -> Mask:
        if not self._rules.max_speed:
            return np.zeros(since_accepted_s.shape, np.bool_)
        step = measured - self._measured
        distance = np.hypot(step[..., 0], step[..., 1])
        return np.asarray(distance > self._rules.max_speed * since_accepted_s)


class _EdgeLimits:
    """Limits of the lengths of skeleton edges."""

    def __init__(self, rules: Tracking) -> None:
        self._edge_limits = rules.bones

    def rejected_points(self, seen: Pose, measured: Lengths) -> Mask:
        """Return the points to reject; `measured` (animal, bodypart, 2), NaN: unknown."""
        rejected = np.zeros(measured.shape[:2], np.bool_)
        if self._edge_limits:
            ends = [
                seen.skeleton.indices((edge.one, edge.other))
                for edge in self._edge_limits
            ]
            for animal, positions in enumerate(measured.tolist()):
                confidence: list[float] = seen.confidence[animal].tolist()
                # One at a time: without the worst point, the other edges may be right.
                while (worst := self._worst(ends, positions, confidence)) is not None:
                    rejected[animal, worst] = True
                    positions[worst] = [nan, nan]
        return rejected

    def _worst(
        self,
        ends: list[list[int]],
        positions: list[list[float]],
        confidence: list[float],
    ) -> int | None:
        """Return the point with the most violated edges; None: no edge is violated."""
        violations: Counter[int] = Counter()
        for (one, other), edge in zip(ends, self._edge_limits, strict=True):
            length = dist(positions[one], positions[other])  # NaN violates no limit
            if length < edge.shortest or length > edge.longest:
                violations.update((one, other))
        if not violations:
            return None
        return max(violations, key=lambda part: (violations[part], -confidence[part]))


def _flags_of(
    names: tuple[str, ...], masks: Mapping[str, Mask]
) -> Iterator[tuple[str, str]]:
    """Yield the name of each changed point, and its flags."""
    # most frames change nothing: skip the loop over the points for them
    used = {flag: mask.ravel().tolist() for flag, mask in masks.items() if mask.any()}
    if used:
        for index, name in enumerate(names):
            flags = [flag for flag, mask in used.items() if mask[index]]
            if flags:
                yield name, "+".join(flags)


EVERY = "every point"
"""Key of the flags that apply to all points of a frame."""


class PointSmoother:
    """Smoothing (one-euro filter) and motion prediction of the points of one camera."""

    def __init__(self, rules: Tracking) -> None:
        self._smoothing = None
        if rules.smooth_hz:
            self._smoothing = OneEuro(rules.smooth_hz, rules.smooth_beta)
        self._prediction = MotionPredictor() if rules.predict else None
        self._acts_after_s = rules.acts_after_ms / 1e3
        steps = [("smoothed", self._smoothing), ("predicted", self._prediction)]
        self._flags = {EVERY: "+".join(name for name, step in steps if step)}

    def step(
        self, points: NDArray[np.float32], time_s: float, age_s: float
    ) -> tuple[NDArray[np.float32], dict[str, str]]:
        """Return the filtered points, NaN where they were NaN, and the flags."""
        if self._smoothing is not None:
            points = self._smoothing.step(points, time_s)
        if self._prediction is not None:
            ahead_s = age_s + self._acts_after_s
            points = self._prediction.step(points, time_s, ahead_s)
        return points, self._flags


@dataclass(frozen=True, slots=True)
class FilteredPose:
    """Pose of one frame after filtering, as triggers get it."""

    pose: Pose
    """In px; NaN: unknown."""
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
        """Whether it differs from the pose above the threshold."""
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
    """Filters the poses of a run, with a state per camera. `reset` before a new run."""

    def __init__(
        self,
        thresholds: Thresholds,
        rules: Mapping[str, Tracking] | None = None,
        calibrations: Mapping[str, Calibration] | None = None,
        classifiers: Mapping[str, Sequence[BehaviourSource]] | None = None,
    ) -> None:
        """Store filters by camera; `rules` under the empty name apply to all other cameras."""
        self._thresholds = thresholds
        self._rules = rules or {}
        self._calibrations = calibrations or {}
        self._classifiers = classifiers or {}
        self._outlier_filters: dict[str, OutlierFilter | None] = {}
        self._smoothers: dict[str, PointSmoother | None] = {}

    def reset(self) -> None:
        """Discard the state of all cameras."""
        self._outlier_filters.clear()
        self._smoothers.clear()
        for classifiers in self._classifiers.values():
            for classifier in classifiers:
                classifier.reset()

    def filter(
        self, camera: str, pose: Pose, time_s: float, age_s: float = 0.0
    ) -> FilteredPose:
        """Return the filtered pose of the network's pose of one frame.

        `age_s` is the time since its exposure.
        """
        seen, flags = pose.seen(self._thresholds.of(camera)), dict[str, str]()
        # after a swap the state of each animal's filters is that of another animal
        if pose.identity and identity_switched(pose.identity):
            self._outlier_filters.pop(camera, None)
            self._smoothers.pop(camera, None)

        calibration = self._calibrations.get(camera)
        if outlier_filter := self._outlier_filter(camera):
            points, flags = outlier_filter.filter(seen, time_s, calibration)
            seen = pose.moved(points)

        # after the outliers: smoothing would spread a jump over the frames that follow
        if smoother := self._smoother(camera):
            points, applied = smoother.step(seen.points, time_s, age_s)
            seen = pose.moved(points)
            flags = {**flags, **applied}

        on_floor = None
        if calibration is not None:
            on_floor = pose.moved(calibration.to_mm(seen.points).astype(np.float32))
        filtered = FilteredPose(seen, on_floor, flags)

        behaviours: dict[str, float] = {}
        for classifier in self._classifiers.get(camera, ()):
            behaviours |= classifier.classify(filtered.in_unit(classifier.unit), time_s)
        return replace(filtered, behaviours=behaviours) if behaviours else filtered

    def _smoother(self, camera: str) -> PointSmoother | None:
        if camera not in self._smoothers:
            rules = self._rules.get(camera) or self._rules.get("")
            active = rules is not None and (rules.smooth_hz or rules.predict)
            self._smoothers[camera] = PointSmoother(rules) if rules and active else None
        return self._smoothers[camera]

    def _outlier_filter(self, camera: str) -> OutlierFilter | None:
        if camera not in self._outlier_filters:
            rules = self._rules.get(camera) or self._rules.get("")
            active = rules is not None and rules.active
            outlier_filter = OutlierFilter(rules) if rules and active else None
            self._outlier_filters[camera] = outlier_filter
        return self._outlier_filters[camera]


def pose_filter_of(
    settings: Settings,
    thresholds: Thresholds,
    classifiers: Mapping[str, Sequence[BehaviourSource]] | None = None,
) -> PoseFilter:
    """Return the pose filter that the settings describe, in its first state.

    `classifiers`, by camera, are opened by
    `deeplabstream.engine.behaviour_classifiers.open_classifiers`.
    """
    return PoseFilter(thresholds, settings.tracking, settings.calibrations, classifiers)
