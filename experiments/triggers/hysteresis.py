"""Hysteresis of triggers with a limit: an enter margin and an exit margin."""

from dataclasses import field

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream import DebounceSettings


@settings(kw_only=True)
class Hysteresis(DebounceSettings):
    """Settings of triggers that hold from a number on: a speed, a distance, an angle.

    Between the two margins the last answer stands; at first it is no.
    """

    enter_margin: float = Field(
        0.0, ge=0, description="how far past its limit it begins, in the limit's unit"
    )
    exit_margin: float = Field(
        0.0,
        ge=0,
        description="how far back over its limit it ends, in the limit's unit",
    )
    _over: bool = field(default=False, init=False, repr=False, compare=False)

    def update(self, by: float) -> bool:
        """Return the answer for a number that is `by` past its limit; 0 is past it."""
        self._over = by >= (-self.exit_margin if self._over else self.enter_margin)
        return self._over

    def forget(self) -> None:
        """Forget the last answer."""
        self._over = False
        super().forget()
