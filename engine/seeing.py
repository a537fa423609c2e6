"""What triggers see of what the network says: the seam between pose and decision.

In this order: points below the model's threshold are unseen; implausible ones are refused;
what is missing is held for a while. The same poses at the same times are always seen the
same, so a run is decided again from its raw poses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.pose import Pose
from engine.plausibility import Plausibility
from engine.sections import Settings
from engine.tracking import Tracking


@dataclass(frozen=True, slots=True)
class Sight:
    """One frame as triggers see it."""

    pose: Pose
    """NaN where nothing is known."""
    doubts: Mapping[str, str] = field(default_factory=dict)
    """See `Step.doubts`."""
    behaviours: Mapping[str, float] = field(default_factory=dict)
    """See `Step.behaviours`."""

    @property
    def changed(self) -> bool:
        """Whether it is something else than the pose above the threshold."""
        return bool(self.doubts)


class Seeing:
    """The eyes of a run: one memory per camera. `forget` before a new run."""

    def __init__(
        self, threshold: float, rules: Mapping[str, Tracking] | None = None
    ) -> None:
        """`rules` by camera, under the empty name those of all others."""
        self._threshold = threshold
        self._rules = rules or {}
        self._gates: dict[str, Plausibility | None] = {}

    def forget(self) -> None:
        """Forget all that was seen."""
        self._gates.clear()

    def see(self, camera: str, pose: Pose, time_s: float) -> Sight:
        """Return what triggers see of the network's pose of one frame."""
        seen = pose.seen(self._threshold)
        gate = self._gate(camera)
        if gate is None:
            return Sight(seen)
        points, doubts = gate.sift(seen, time_s)
        return Sight(Pose(pose.skeleton, points, pose.confidence), doubts)

    def _gate(self, camera: str) -> Plausibility | None:
        if camera not in self._gates:
            rules = self._rules.get(camera) or self._rules.get("")
            active = rules is not None and rules.active
            self._gates[camera] = Plausibility(rules) if rules and active else None
        return self._gates[camera]


def seeing_of(settings: Settings, threshold: float) -> Seeing:
    """Return the eyes that the settings describe, without memory."""
    return Seeing(threshold, settings.tracking)
