"""What is looked at before an experiment starts, so that it need not be thrown away later."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.errors import DeviceError
from core.frame import ImageFormat
from engine.rig import Rig
from engine.vitals import that_exists
from engine.zones import zones_of

ENOUGH = 0.9
"""A camera delivers its rate if it gives this share of it."""
TOO_LITTLE = 0.2
"""Below this share of it, decisions would come from too few pictures."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at."""

    text: str
    """A sentence; of a grave one, the end of "Cannot start because …"."""
    grave: bool = False
    """The experiment can't start."""


def inspect(rig: Rig, rates: Mapping[str, float]) -> list[Finding]:
    """Return what was found in a rig that streams and analyses, all that is good too.

    `rates`: pictures per second that the cameras give; of one that is not there nobody
    knows it yet.
    """
    return [*_cameras(rig, rates), *_network(rig), *_regions(rig), *_disk(rig)]


def _cameras(rig: Rig, rates: Mapping[str, float]) -> Iterator[Finding]:
    for camera, form in rig.formats.items():
        if not rig.counts[camera].delivered:
            yield Finding(f"[Camera {camera}] has given no picture yet")
            continue
        if camera not in rates:
            continue
        rate, deciding = rates[camera], camera == rig.settings.deciding_camera
        said = f"[Camera {camera}] gives {rate:.1f} pictures/s"
        if not rate:
            silent = f"[Camera {camera}] gives no pictures any more"
            yield Finding(silent, grave=deciding)
        elif not form.rate or rate >= ENOUGH * form.rate:
            yield Finding(said)
        else:
            slow = f"{said} and not {form.rate:g}: exposure, light or cable?"
            yield Finding(slow, grave=deciding and rate < TOO_LITTLE * form.rate)


def _network(rig: Rig) -> Iterator[Finding]:
    parts = ", ".join(rig.skeleton.bodyparts) if rig.skeleton else ""
    if rig.skeleton is None:
        yield Finding("the network is not loaded yet", grave=True)
    else:
        yield Finding(f"the network finds {parts}; it runs on {rig.provider}")


def _regions(rig: Rig) -> Iterator[Finding]:
    good = 0
    for zone in zones_of(rig.settings):
        form = rig.formats.get(zone.camera)
        if form is None:
            continue
        outside = _outside(zone.outline.tolist(), form)
        whose = f"the place of [Trigger {zone.trigger}]"
        picture = f"the picture of [Camera {zone.camera}], {form.width}×{form.height}"
        if outside == 1:
            yield Finding(
                f"{whose} lies outside {picture}", grave=len(zone.outline) > 1
            )
        elif outside:
            yield Finding(f"{whose} lies partly outside {picture}")
        else:
            good += 1
    if good:
        yield Finding(f"{good} places of triggers lie in the picture")


def _outside(points: list[list[float]], form: ImageFormat) -> float:
    """Return the share of points that are not in the picture."""
    inside = [0 <= x < form.width and 0 <= y < form.height for x, y in points]
    return 1 - sum(inside) / len(inside)


def _disk(rig: Rig) -> Iterator[Finding]:
    folder = that_exists(rig.run_folder or rig.settings.output_directory)
    try:
        free = shutil.disk_usage(folder).free
        if rig.settings.experiment.record_exp and not rig.status.recording:
            filmed = [rig.formats[name] for name in rig.settings.recorded]
            rig.settings.recording.recipe.check_room(folder, filmed)
    except (OSError, DeviceError) as error:
        yield Finding(str(error), grave=True)
    else:
        yield Finding(f"{free / 1e9:.1f} GB are free in {folder}")
