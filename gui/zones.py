"""What the triggers of the settings look like in the picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.region import Region
from engine.sections import Settings


@dataclass(frozen=True, eq=False)
class Zone:
    """A trigger's place in the picture of its camera."""

    trigger: str
    camera: str
    outline: NDArray[np.float64]
    """(n, 2), px: the corners of a closed line; a single row is a point to look at, two
    are a line."""


def zones_of(settings: Settings, camera: str = "") -> tuple[Zone, ...]:
    """Return the places of all triggers that have one: a `region`, a `point` or a `line`.

    With `camera`, only of those that see it.
    """
    zones = []
    for name, trigger in settings.new_triggers().items():
        sees = settings.camera_of(trigger)
        if camera not in ("", sees):
            continue
        region = getattr(trigger, "region", None)
        point = getattr(trigger, "point", None)
        line = getattr(trigger, "line", None)
        if isinstance(region, Region):
            zones.append(Zone(name, sees, region.outline()))
        elif isinstance(point, tuple) and len(point) == 2:
            zones.append(Zone(name, sees, np.array([point], np.float64)))
        elif isinstance(line, tuple) and len(line) == 4:
            zones.append(Zone(name, sees, np.reshape(line, (2, 2)).astype(np.float64)))
    return tuple(zones)
