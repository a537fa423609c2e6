"""From which confidence on a point counts as seen, camera by camera."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Confidences below which triggers see NaN: each network has its own."""

    usual: float
    own: Mapping[str, float] = field(default_factory=dict)
    """Those of cameras that have a network of their own."""

    def of(self, camera: str) -> float:
        """Return what counts for a camera's points."""
        return self.own.get(camera, self.usual)
