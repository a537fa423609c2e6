"""Simulated box: the settings of a rig without its devices, to measure what a box costs."""

from collections.abc import Callable
from dataclasses import fields, replace
from math import ceil, sqrt
from typing import Any

from deeplabstream.plugins.camera import Camera
from deeplabstream.settings.loading import kinds_of
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.text_rewriting import with_drawn_seeds
from deeplabstream.simulation.virtual_output import (
    virtual_outputs,
    without_dose_limits,
)

_SIMULATED, _WELLS = "SimulatedCamera", "SimulatedWells"
_VIDEO = "VideoFile"
_MOST_WELLS = 16, 24
"""Largest rows and columns of simulated wells."""
_USUAL_SIZE = 640, 480
_USUAL_RATE = 30.0
"""Format of a camera whose settings leave it to the device."""


def simulated(rig: Settings) -> Settings:
    """Return the settings with simulated cameras, virtual outputs, no inputs, no remotes.

    Network, triggers, experiment and recording are those of the rig. A simulated camera has
    size and rate of the settings, or 640×480 at 30/s, and so many animals as have names; above
    arenas, it sees flies in wells. A video file is repeated at its own rate. The progress of an
    animal is neither used nor changed, and no doses are counted.
    """
    # what replaces values in the text and reads it again would bring the devices back
    rig = with_drawn_seeds(rig)
    cameras = {name: _without_device(rig, name) for name in rig.cameras}
    plate = rig.plate
    if any(type(camera).__name__ == _WELLS for camera in cameras.values()):
        # simulated wells have no markers, and a stream begins only when they are found
        plate = replace(plate, markers=())
    return replace(
        rig,
        cameras=cameras,
        plate=plate,
        outputs=without_dose_limits(virtual_outputs(rig.outputs)),
        inputs={},
        remotes={},
        subject=replace(rig.subject, progress_folder=None),
    )


def _without_device(rig: Settings, name: str) -> Camera:
    """Return a camera of a rig, or the one that stands in for it."""
    camera = rig.cameras[name]
    kind = type(camera).__name__
    if kind in (_SIMULATED, _WELLS):
        return camera
    if kind == _VIDEO:
        repeated: dict[str, Any] = {"repeat": True, "paced": True}
        return replace(camera, **repeated)

    width, height = _size(camera)
    values: dict[str, Any] = {
        field.name: getattr(camera, field.name) for field in fields(Camera)
    }
    values |= {"width": width, "height": height, "crop": None}
    values["rate"] = getattr(camera, "rate", None) or _USUAL_RATE
    if rig.arenas and name == rig.deciding_camera:
        rows, columns = _grid(rig)
        return _kind(_WELLS)(**values, rows=rows, columns=columns)
    return _kind(_SIMULATED)(**values, animals=max(1, len(rig.animals.names)))


def _kind(name: str) -> Callable[..., Camera]:
    return kinds_of("Camera")[name]


def _grid(rig: Settings) -> tuple[int, int]:
    """Return rows and columns of simulated wells for the arenas of a rig."""
    rows, columns = rig.plate.rows, rig.plate.columns
    if not rows:
        columns = ceil(sqrt(len(rig.arenas)))
        rows = ceil(len(rig.arenas) / columns)
    most_rows, most_columns = _MOST_WELLS
    return min(rows, most_rows), min(columns, most_columns)


def _size(camera: Camera) -> tuple[int, int]:
    """Return width and height of the frames as the settings of a camera give them."""
    if camera.crop is not None:
        return camera.crop[2:]
    return getattr(camera, "resolution", None) or _USUAL_SIZE
