"""What triggers see of what the network says: the seam between pose and decision.

In this order: points below the model's threshold are unseen; implausible ones are refused;
what is missing is held for a while. The same poses at the same times are always seen the
same, so a run is decided again from its raw poses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from core.calibration import Calibration
from core.pose import Pose
from engine.plausibility import Plausibility
from engine.sections import Settings
from engine.tracking import Tracking


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


class Seeing:
    """The eyes of a run: one memory per camera. `forget` before a new run."""

    def __init__(
        self,
        threshold: float,
        rules: Mapping[str, Tracking] | None = None,
        calibrations: Mapping[str, Calibration] | None = None,
    ) -> None:
        """`rules` by camera, under the empty name those of all others."""
        self._threshold = threshold
        self._rules = rules or {}
        self._calibrations = calibrations or {}
        self._gates: dict[str, Plausibility | None] = {}

    def forget(self) -> None:
        """Forget all that was seen."""
        self._gates.clear()

    def see(self, camera: str, pose: Pose, time_s: float) -> Sight:
        """Return what triggers see of the network's pose of one frame."""
        seen, doubts = pose.seen(self._threshold), dict[str, str]()
        calibration = self._calibrations.get(camera)
        if gate := self._gate(camera):
            points, doubts = gate.sift(seen, time_s, calibration)
            seen = Pose(pose.skeleton, points, pose.confidence)
        on_floor = None
        if calibration is not None:
            places = calibration.to_mm(seen.points).astype(np.float32)
            on_floor = Pose(pose.skeleton, places, pose.confidence)
        return Sight(seen, on_floor, doubts)

    def _gate(self, camera: str) -> Plausibility | None:
        if camera not in self._gates:
            rules = self._rules.get(camera) or self._rules.get("")
            active = rules is not None and rules.active
            self._gates[camera] = Plausibility(rules) if rules and active else None
        return self._gates[camera]


def seeing_of(settings: Settings, threshold: float) -> Seeing:
    """Return the eyes that the settings describe, without memory."""
    return Seeing(threshold, settings.tracking, settings.calibrations)
