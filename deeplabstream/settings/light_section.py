"""Light cycle section: the times of day at which the lamps of the room go on and off."""

import re
from datetime import datetime, time
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.daily_span import TIME_OF_DAY, DailySpan
from deeplabstream.core.light_cycle import LightCycle, light_cycle


def _read(word: object) -> object:
    if isinstance(word, str) and not re.fullmatch(TIME_OF_DAY, word):
        raise ValueError("expected a time of day, such as 07:00")
    return word


TimeOfDay = Annotated[time, BeforeValidator(_read)]
"""A time of day that is written as a text such as `07:00`."""


@settings(frozen=True, kw_only=True)
class LightSection:
    """Light cycle of the room, for the light and the dark phase of experiments and results."""

    lights_on: TimeOfDay | None = Field(
        default=None,
        description="time of day at which the lamps go on; empty: not known",
    )
    lights_off: TimeOfDay | None = Field(
        default=None, description="time of day at which they go off; empty: not known"
    )
    utc_offset: float | None = Field(
        default=None,
        ge=-14,
        le=14,
        description="offset of the lamps' timer from UTC in hours, such as 1 for a timer that "
        "ignores daylight saving in Berlin; empty: that of the computer at Start Stream, for "
        "the whole run",
        title="Timer: hours from UTC",
    )

    def __post_init__(self) -> None:
        on, off = self.lights_on, self.lights_off
        if (on is None) is not (off is None):
            missing = "LIGHTS_ON" if on is None else "LIGHTS_OFF"
            raise ValueError(f"{missing}: is missing; enter both times, or none")
        if on is not None and on == off:
            raise ValueError(f"LIGHTS_OFF = {off:%H:%M}: must differ from LIGHTS_ON")

    @property
    def lit(self) -> DailySpan | None:
        """Times of day from lights-on to lights-off; None: not known."""
        if self.lights_on is None or self.lights_off is None:
            return None
        return DailySpan(self.lights_on, self.lights_off)

    def cycle(self, started: datetime | None) -> LightCycle | None:
        """Return the phases of a run; None: its start or the times of the lamps are unknown.

        `started`: local time of the start of the stream, with its offset from UTC.
        """
        if self.lit is None or started is None:
            return None
        return light_cycle(self.lit, started, self.utc_offset)
