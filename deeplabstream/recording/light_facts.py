"""Light facts: the light cycle of a run, from its start and the times of the lamps."""

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any

from deeplabstream.core.daily_span import DailySpan
from deeplabstream.core.light_cycle import LightCycle, light_cycle

START_LOCAL = "start_local"
"""Entry of `run.json`: local time of Start Stream, with its offset from UTC."""
LIGHT_CYCLE = "light_cycle"
"""Entry of `run.json`: values of [Light Cycle]."""


def recorded_start(facts: Mapping[str, Any]) -> datetime | None:
    """Return the local time of Start Stream; None: the run does not have it."""
    try:
        started = datetime.fromisoformat(str(facts.get(START_LOCAL)))
    except ValueError:
        return None
    return started if started.tzinfo is not None else None


def recorded_light_cycle(facts: Mapping[str, Any]) -> LightCycle | None:
    """Return the phases of a run; None: its start or the times of the lamps are not known."""
    started, found = recorded_start(facts), facts.get(LIGHT_CYCLE)
    if started is None or not isinstance(found, Mapping):
        return None
    try:
        on, off = (
            time.fromisoformat(str(found[key])) for key in ("LIGHTS_ON", "LIGHTS_OFF")
        )
        offset = found.get("UTC_OFFSET")
        return light_cycle(
            DailySpan(on, off), started, None if offset is None else float(offset)
        )
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
