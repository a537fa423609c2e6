"""Light switch: chooses the network for white or for infrared light, frame by frame.

By the phase of the room, or by the colours of a camera's images::

    white ── measured light is infrared for LIGHT_CHANGE_S ──► infrared
      ▲                                                            │
      └────────── measured light is white for LIGHT_CHANGE_S ──────┘

While the light changes, or can't be determined, it is unknown, and so is the pose. It depends on
times and images of frames only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from deeplabstream.core.frame import Frame, Image
from deeplabstream.core.light_cycle import LightCycle
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.per_light import LightSource, PerLight, per_light_of
from deeplabstream.settings.sections import Settings

FrameLight: TypeAlias = Literal["", "white", "infrared", "unknown"]
"""Light of a frame, and so the network that estimated its pose; empty: there is one network."""
GREY, COLOURED = 6.0, 12.0
"""Spread of the colour channels up to which an image is infrared, and from which on it is white.

Noise and the conversion of a camera's compressed stream leave a few grey levels of spread in
an infrared image.
"""
_EVERY = 16
"""Each sixteenth row and column is measured, 1,200 pixels of a VGA image: it delays the pose."""


def colour_spread(image: Image) -> float:
    """Return the difference of the highest and the lowest channel that 5 % of the pixels exceed.

    `image`: (height, width, 3) BGR, 8 bits. From 0 (grey) to 255. The share, because a dark room
    has colours in a part of the image only.
    """
    blue, green, red = np.moveaxis(image[::_EVERY, ::_EVERY], 2, 0)
    highest = np.maximum(np.maximum(blue, green), red)
    lowest = np.minimum(np.minimum(blue, green), red)
    return float(np.percentile(highest - lowest, 95))


@dataclass
class _CameraLight:
    """Light of one camera by its images."""

    light: LightSource
    contradicted_s: float | None = None
    """Since when the measured light has been the other one."""


class LightSwitch:
    """Chooses the network of each frame. `cameras`: those whose network depends on the light.

    `cycle`: phases of the room; None: the images are measured. `change_s`: time in which the
    light is unknown around a change.
    """

    def __init__(
        self,
        networks: PerLight,
        cameras: frozenset[str],
        by_image: bool,
        cycle: LightCycle | None,
        change_s: float,
    ) -> None:
        self._networks, self._cameras = networks, cameras
        self._by_image, self._cycle, self._change_s = by_image, cycle, change_s
        self._measured: dict[str, _CameraLight] = {}

    def reset(self) -> None:
        """Discard what earlier frames have shown."""
        self._measured.clear()

    def choose(self, frame: Frame, time_s: float) -> FrameLight:
        """Choose the network for a frame, and return its light."""
        if frame.camera not in self._cameras:
            return ""
        if self._by_image:
            light, is_known = self._by_colour(frame, time_s)
        else:
            light, is_known = self._by_phase(time_s)
        self._networks.choose(frame.camera, light)
        return light if is_known else "unknown"

    def _by_phase(self, time_s: float) -> tuple[LightSource, bool]:
        """Return the light of the phase, and whether it is far enough from a change."""
        if self._cycle is None:
            return "white", False
        light: LightSource = "white"
        if self._cycle.at(time_s).phase == "dark":
            light = "infrared"
        return light, not self._cycle.is_near_change(time_s, self._change_s / 2)

    def _by_colour(self, frame: Frame, time_s: float) -> tuple[LightSource, bool]:
        """Return the light by the image and those before, and whether this one agrees."""
        spread = colour_spread(frame.image) if frame.image.ndim == 3 else None
        measured: LightSource | None = None
        if spread is not None and not GREY < spread < COLOURED:
            measured = "infrared" if spread <= GREY else "white"

        known = self._measured.get(frame.camera)
        if known is None:
            if measured is None:
                return "white", False
            known = self._measured[frame.camera] = _CameraLight(measured)
        if measured == known.light:
            known.contradicted_s = None
        elif known.contradicted_s is None:
            known.contradicted_s = time_s
        elif measured and time_s - known.contradicted_s >= self._change_s:
            known.light, known.contradicted_s = measured, None
        return known.light, known.contradicted_s is None


def light_switch_of(settings: Settings, estimator: PoseEstimator) -> LightSwitch | None:
    """Return the switch of a rig; None: it has one network for all light."""
    networks = per_light_of(estimator)
    if networks is None:
        return None
    return LightSwitch(
        networks,
        frozenset(cameras_by_light(settings)),
        settings.pose.infrared_when == "image",
        settings.light_cycle,
        settings.pose.light_change_s,
    )


def cameras_by_light(settings: Settings) -> tuple[str, ...]:
    """Return the analysed cameras without a network of their own."""
    return tuple(
        name
        for name, camera in settings.cameras.items()
        if camera.analyse and not camera.model
    )


def colour_problems(
    settings: Settings, shapes: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Return sentences on cameras whose images can't show their light; shapes by camera."""
    if not settings.pose.infrared_model or settings.pose.infrared_when != "image":
        return []
    return [
        f"[Camera {name}] delivers grey images, which do not show whether the light is "
        "infrared; set [Pose Estimation] INFRARED_WHEN = phase"
        for name in cameras_by_light(settings)
        if len(shapes.get(name, (0, 0, 0))) < 3
    ]
