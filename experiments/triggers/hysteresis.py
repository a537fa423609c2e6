"""Hysteresis of triggers with a limit: an enter margin and an exit margin."""

from dataclasses import field

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import DebounceSettings


@settings(kw_only=True)
class Hysteresis(DebounceSettings):
    """Settings of triggers with a limit of speed, distance or angle.

    Between the two margins the last state persists; the first one is false.
    """

    enter_margin: float = Field(
        0.0,
        ge=0,
        description="margin past the limit at which the trigger starts to hold",
    )
    exit_margin: float = Field(
        0.0,
        ge=0,
        description="margin before the limit at which the trigger stops to hold",
    )
    _over: bool = field(default=False, init=False, repr=False, compare=False)

    def update(self, by: float) -> bool:
        """Return the answer for a value that exceeds its limit by `by`; 0 counts as exceeded."""
        self._over = by >= (-self.exit_margin if self._over else self.enter_margin)
        return self._over

    def reset(self) -> None:
        """Discard the last answer."""
        self._over = False
        super().reset()
