"""Settings of what triggers see of what the network says."""

from pydantic import Field
from pydantic.dataclasses import dataclass as settings


@settings(frozen=True, kw_only=True)
class Tracking:
    """What triggers see of the network's points; `[Tracking CAMERA]` says it for one camera.

    The record has the points as they came.
    """

    hold_ms: float = Field(
        0.0,
        ge=0,
        description="milliseconds for which a point that is not seen, or is refused, stays "
        "where it was; unknown after that",
    )
    max_speed: float = Field(
        0.0,
        ge=0,
        description="pixels per second; a point that is farther from where it was last "
        "seen is refused; 0: no limit",
    )

    @property
    def active(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.hold_ms or self.max_speed)
