"""What the triggers of the settings look like in the image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.regions import Region
from deeplabstream.plugins.trigger import BodyPartTrigger
from deeplabstream.settings.sections import Settings

Outline = NDArray[np.float64]
"""(n, 2), px: the corners of a closed line; a single row is a point to look at, two are a
line."""


@dataclass(frozen=True, eq=False)
class TriggerShape:
    """A trigger's place in the image of its camera."""

    trigger: str
    camera: str
    outline: Outline


def trigger_shapes_of(settings: Settings, camera: str = "") -> tuple[TriggerShape, ...]:
    """Return the places of all triggers that have one: a `region`, a `point` or a `line`.

    With `camera`, only of those that see it.
    """
    zones = []
    floors = settings.calibrations
    for name, trigger in settings.new_triggers().items():
        sees = settings.camera_of(trigger)
        if camera not in ("", sees) or not isinstance(trigger, BodyPartTrigger):
            continue
        outline = _outline(trigger)
        if outline is not None:
            if trigger.unit == "mm" and sees in floors:
                outline = floors[sees].to_px(outline)
                outline = outline[np.isfinite(outline).all(axis=1)]
            if len(outline):
                zones.append(TriggerShape(name, sees, outline))
    return tuple(zones)


def _outline(trigger: BodyPartTrigger) -> Outline | None:
    """Return (n, 2) in the trigger's own unit, None when it has no place."""
    region = getattr(trigger, "region", None)
    point = getattr(trigger, "point", None)
    line = getattr(trigger, "line", None)
    if isinstance(region, Region):
        return region.outline()
    if isinstance(point, tuple) and len(point) == 2:
        return np.array([point], np.float64)
    if isinstance(line, tuple) and len(line) == 4:
        return np.reshape(line, (2, 2)).astype(np.float64)
    return None
