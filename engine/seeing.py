"""What triggers see of what the network says: the seam between pose and decision.

In this order: points below the model's threshold are unseen; implausible ones are refused;
what is missing is held for a while; points are smoothed, then predicted; classifiers tell
behaviours from what is left. The same poses at the same times are always seen the same, so
a run is decided again from its raw poses (and from the behaviours that were told, so that
no classifier is needed).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np

from core.calibration import Calibration
from core.pose import Pose, changed_hands
from core.thresholds import Thresholds
from engine.motion import Motion
from engine.plausibility import Plausibility
from engine.sections import Settings
from engine.tracking import Tracking
from recording.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Sight:
    """One frame as triggers see it."""

    pose: Pose
    """In px; NaN where nothing is known."""
    on_floor: Pose | None = None
    """The same in mm; None: the camera has no calibration."""
    doubts: Mapping[str, str] = field(default_factory=dict)
    """See `Step.doubts`."""
    behaviours: Mapping[str, float] = field(default_factory=dict)
    """See `Step.behaviours`."""

    def in_unit(self, unit: Literal["px", "mm"]) -> Pose:
        """Return the pose in `unit`."""
        return self.on_floor if unit == "mm" and self.on_floor else self.pose

    @property
    def changed(self) -> bool:
        """Whether it is something else than the pose above the threshold."""
        return bool(self.doubts)


class Watcher(Protocol):
    """What tells behaviours from poses, such as `pose.classifier.Classifier`."""

    @property
    def unit(self) -> Literal["px", "mm"]:
        """What it wants the pose in."""
        ...

    def look(self, pose: Pose, time_s: float) -> Mapping[str, float]:
        """Return the probability of each behaviour; NaN: unknown."""
        ...

    def forget(self) -> None:
        """Forget all that was seen."""
        ...


class Seeing:
    """The eyes of a run: one memory per camera. `forget` before a new run."""

    def __init__(
        self,
        thresholds: Thresholds,
        rules: Mapping[str, Tracking] | None = None,
        calibrations: Mapping[str, Calibration] | None = None,
        watchers: Mapping[str, Sequence[Watcher]] | None = None,
    ) -> None:
        """All by camera; `rules` under the empty name are those of all others."""
        self._thresholds = thresholds
        self._rules = rules or {}
        self._calibrations = calibrations or {}
        self._watchers = watchers or {}
        self._gates: dict[str, Plausibility | None] = {}
        self._filters: dict[str, Motion | None] = {}

    def forget(self) -> None:
        """Forget all that was seen."""
        self._gates.clear()
        self._filters.clear()
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.forget()

    def see(self, camera: str, pose: Pose, time_s: float, age_s: float = 0.0) -> Sight:
        """Return what triggers see of the network's pose of one frame.

        `age_s` is how long ago it was exposed.
        """
        seen, doubts = pose.seen(self._thresholds.of(camera)), dict[str, str]()
        if changed_hands(pose.identity):  # what was followed was another animal
            self._gates.pop(camera, None)
            self._filters.pop(camera, None)
        calibration = self._calibrations.get(camera)
        if gate := self._gate(camera):
            points, doubts = gate.sift(seen, time_s, calibration)
            seen = pose.moved(points)
        if motion := self._motion(camera):
            points, done = motion.step(seen.points, time_s, age_s)
            seen = pose.moved(points)
            doubts = {**doubts, **done}
        on_floor = None
        if calibration is not None:
            places = calibration.to_mm(seen.points).astype(np.float32)
            on_floor = pose.moved(places)
        sight = Sight(seen, on_floor, doubts)
        behaviours: dict[str, float] = {}
        for watcher in self._watchers.get(camera, ()):
            behaviours |= watcher.look(sight.in_unit(watcher.unit), time_s)
        return replace(sight, behaviours=behaviours) if behaviours else sight

    def _motion(self, camera: str) -> Motion | None:
        if camera not in self._filters:
            rules = self._rules.get(camera) or self._rules.get("")
            active = rules is not None and (rules.smooth_hz or rules.predict)
            self._filters[camera] = Motion(rules) if rules and active else None
        return self._filters[camera]

    def _gate(self, camera: str) -> Plausibility | None:
        if camera not in self._gates:
            rules = self._rules.get(camera) or self._rules.get("")
            active = rules is not None and rules.active
            self._gates[camera] = Plausibility(rules) if rules and active else None
        return self._gates[camera]


def seeing_of(
    settings: Settings,
    thresholds: Thresholds,
    watchers: Mapping[str, Sequence[Watcher]] | None = None,
) -> Seeing:
    """Return the eyes that the settings describe, without memory.

    `watchers`, by camera, are to be opened by `engine.network.open_classifiers`.
    """
    return Seeing(thresholds, settings.tracking, settings.calibrations, watchers)


def sights(
    settings: Settings, folder: RunFolder, camera: str
) -> Iterator[tuple[float, Sight]]:
    """Yield what triggers of `settings` see of a recorded run, with its times in s."""
    start_ns = int(folder.facts["start_ns"])
    seeing = seeing_of(settings, folder.thresholds)
    for step in folder.steps(camera):
        time_s = (step.exposed_ns - start_ns) / 1e9
        age_s = (step.posed_ns - step.exposed_ns) / 1e9
        yield time_s, seeing.see(camera, step.pose, time_s, age_s)
