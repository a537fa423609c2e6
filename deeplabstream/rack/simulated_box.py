"""Simulated box: the settings of a rig without its devices, to measure what a box costs."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from deeplabstream.plugins.camera import Camera
from deeplabstream.settings.loading import kinds_of
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.text_rewriting import with_drawn_seeds
from deeplabstream.simulation.virtual_output import (
    virtual_outputs,
    without_dose_limits,
)

_SIMULATED = "SimulatedCamera"
_WITHOUT_DEVICE = (_SIMULATED, "SimulatedWells")
_USUAL_SIZE = 640, 480
_USUAL_RATE = 30.0
"""Format of a camera whose settings leave it to the device."""


def simulated(rig: Settings) -> Settings:
    """Return the settings with simulated cameras, virtual outputs, no inputs, no remotes.

    Network, triggers, experiment and recording are those of the rig. A simulated camera has
    size and rate of the settings, or 640×480 at 30/s, and so many animals as have names. The
    progress of an animal is neither used nor changed, and no doses are counted.
    """
    # what replaces values in the text and reads it again would bring the devices back
    rig = with_drawn_seeds(rig)
    animals = max(1, len(rig.animals.names))
    return replace(
        rig,
        cameras=_simulated_cameras(rig.cameras, animals),
        outputs=without_dose_limits(virtual_outputs(rig.outputs)),
        inputs={},
        remotes={},
        subject=replace(rig.subject, progress_folder=None),
    )


def _simulated_cameras(
    cameras: Mapping[str, Camera], animals: int
) -> dict[str, Camera]:
    kind = kinds_of("Camera")[_SIMULATED]
    shared = [field.name for field in fields(Camera)]
    found: dict[str, Camera] = {}
    for name, camera in cameras.items():
        if type(camera).__name__ in _WITHOUT_DEVICE:
            found[name] = camera
            continue
        width, height = _size(camera)
        values: dict[str, Any] = {key: getattr(camera, key) for key in shared}
        values |= {"width": width, "height": height, "animals": animals, "crop": None}
        rate = getattr(camera, "rate", None) or _USUAL_RATE
        found[name] = kind(**values, rate=rate)
    return found


def _size(camera: Camera) -> tuple[int, int]:
    """Return width and height of the frames as the settings of a camera give them."""
    if camera.crop is not None:
        return camera.crop[2:]
    return getattr(camera, "resolution", None) or _USUAL_SIZE
