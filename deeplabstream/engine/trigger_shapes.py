"""Trigger shapes: outlines of the triggers' regions, points and lines in the image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.regions import Polygon, Region
from deeplabstream.plugins.trigger import BodyPartTrigger
from deeplabstream.settings.sections import Settings

Outline = NDArray[np.float64]
"""(n, 2), px: corners of a polygon; one row is a point, two rows are a line."""


@dataclass(frozen=True, eq=False)
class TriggerShape:
    """Outline of a trigger in the image of its camera."""

    trigger: str
    camera: str
    outline: Outline
    region: Region | None = None
    """In px of the image; None: it is a point or a line."""


def trigger_shapes_of(settings: Settings, camera: str = "") -> tuple[TriggerShape, ...]:
    """Return the outlines of all triggers with a `region`, a `point` or a `line`.

    With `camera`, only those of the triggers that are evaluated on its frames.
    """
    zones = []
    floors = settings.calibrations
    for name, trigger in settings.new_triggers().items():
        sees = settings.camera_of(trigger)
        if camera not in ("", sees) or not isinstance(trigger, BodyPartTrigger):
            continue
        outline, region = _outline(trigger), getattr(trigger, "region", None)
        if outline is not None:
            # corners beyond the horizon of a tilted camera have no position in the
            # image
            if trigger.unit == "mm" and sees in floors:
                outline = floors[sees].outline_px(outline)
                # a circle on the floor is none in the image of a tilted camera
                if isinstance(region, Region):
                    region = Polygon(tuple((x, y) for x, y in outline.tolist()))
            if len(outline):
                zones.append(TriggerShape(name, sees, outline, region))
    return tuple(zones)


def _outline(trigger: BodyPartTrigger) -> Outline | None:
    """Return the outline (n, 2) in the trigger's unit; None: it has none."""
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
