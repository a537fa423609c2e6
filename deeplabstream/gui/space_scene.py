"""Space scene: what stands still in the view of space, and the moment that is shown in it."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.core.volumes import Volume
from deeplabstream.gui.space_geometry import (
    Floats,
    camera_lines,
    floor_grid,
    focus_of,
    plane_lines,
    radius_of,
    volume_lines,
)
from deeplabstream.gui.widgets.frame_overlay import TRAIL_NS, SpaceOutline
from deeplabstream.plugins.space_trigger import SpaceTrigger
from deeplabstream.settings.sections import Settings
from deeplabstream.settings.space_checks import read_space_cameras
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup

TRAIL_POINTS = 48
"""Largest number of points of a trail; at higher rates some are left out."""
_RECENT = 16
_PIECES = 8
"""Pieces of each line in the image of a camera: a lens bends it."""
_ALONE_NS = 4_000_000
"""Largest distance in time of a frame from the only moment."""


@dataclass(frozen=True, slots=True, eq=False)
class SpaceShape:
    """Volume, height or plane of a trigger."""

    trigger: str
    lines: Floats
    """(n, 2, 3), mm."""


@dataclass(frozen=True, slots=True, eq=False)
class SpaceScene:
    """Calibrated cameras, and the shapes of the triggers in space."""

    cameras: CameraGroup
    shapes: tuple[SpaceShape, ...] = ()
    bodypart: str = ""
    """Body part whose height is written first; empty: the first one."""


@dataclass(frozen=True, slots=True, eq=False)
class SpaceMoment:
    """The body at one moment."""

    skeleton: Skeleton
    time_ns: int
    points: NDArray[np.floating]
    """(body part, 3), mm; NaN: not known."""
    answers: Mapping[str, bool | None] = field(default_factory=dict)
    """States of the triggers in space; None: unknown."""
    trail: tuple[tuple[float, float, float], ...] = ()
    """Earlier centres of the body, mm, oldest first; NaN: not known."""


def scene_of(settings: Settings) -> SpaceScene | None:
    """Return the scene that settings describe; None: there is none, or it can't be read."""
    if settings.space.calibration is None:
        return None
    try:
        return read_scene(settings)
    except (DeepLabStreamError, OSError):
        return None  # the checks of the settings state the reason


def read_scene(settings: Settings) -> SpaceScene:
    """Return the scene that settings describe; SettingsError: it can't be read."""
    cameras = read_space_cameras(settings)
    triggers = {
        name: trigger
        for name, trigger in settings.new_triggers().items()
        if isinstance(trigger, SpaceTrigger)
    }
    shapes = [
        SpaceShape(name, lines)
        for name, trigger in triggers.items()
        if (lines := _lines_of(trigger, cameras)) is not None
    ]
    named = [trigger.bodyparts[0] for trigger in triggers.values()]
    return SpaceScene(cameras, tuple(shapes), named[0] if named else "")


def _lines_of(trigger: SpaceTrigger, cameras: CameraGroup) -> Floats | None:
    """Return the lines of a trigger with a `volume`, a `height_mm` or a `point` of a plane."""
    volume = getattr(trigger, "volume", None)
    if isinstance(volume, Volume):
        return volume_lines(volume)
    centre, half = plane_square(cameras)
    height = getattr(trigger, "height_mm", None)
    if isinstance(height, float):
        return plane_lines((centre[0], centre[1], height), (0, 0, 1), half)
    point, normal = getattr(trigger, "point", None), getattr(trigger, "normal", None)
    if isinstance(point, tuple) and isinstance(normal, tuple):
        return plane_lines(point, normal, half)
    return None


def plane_square(cameras: CameraGroup) -> tuple[tuple[float, float, float], float]:
    """Return centre and half side, in mm, of the squares that show heights and planes."""
    centre = focus_of(cameras)
    return centre, 0.35 * radius_of(cameras, centre)


def outlines_in(
    shapes: Sequence[SpaceShape], camera: CalibratedCamera
) -> tuple[SpaceOutline, ...]:
    """Return where a camera sees the edges of shapes, as far as it sees them."""
    return tuple(
        SpaceOutline(shape.trigger, lines)
        for shape in shapes
        if len(lines := _seen_lines(shape.lines, camera))
    )


def _seen_lines(lines: Floats, camera: CalibratedCamera) -> Floats:
    """Return the visible pieces (n, 2, 2), px, of lines (n, 2, 3)."""
    shares = np.linspace(0, 1, _PIECES + 1)[:, None]
    places = lines[:, None, 0] + shares * (lines[:, None, 1] - lines[:, None, 0])
    pixels = camera.project(places)
    pieces = np.stack([pixels[:, :-1], pixels[:, 1:]], axis=2).reshape(-1, 2, 2)
    return np.asarray(pieces[np.isfinite(pieces).all(axis=(1, 2))])


def still_lines(scene: SpaceScene) -> tuple[Floats, float, dict[str, Floats]]:
    """Return lines of the floor grid, its spacing in mm, and the lines of each camera."""
    centre = focus_of(scene.cameras)
    grid, step = floor_grid(centre, radius_of(scene.cameras, centre))
    cameras = {
        camera.name: camera_lines(camera, centre) for camera in scene.cameras.cameras
    }
    return grid, step, cameras


class RecentMoments:
    """The last moments of a stream, to find that of a camera's frame."""

    def __init__(self) -> None:
        self._moments: deque[SpaceMoment] = deque(maxlen=_RECENT)

    def clear(self) -> None:
        """Delete all moments."""
        self._moments.clear()

    def add(self, moment: SpaceMoment) -> None:
        """Add the newest moment; an earlier time deletes the others."""
        if self._moments and moment.time_ns < self._moments[-1].time_ns:
            self.clear()
        self._moments.append(moment)

    def at(self, time_ns: int) -> SpaceMoment | None:
        """Return the moment of a frame's exposure; None: it has not ended, or is too old."""
        if not self._moments:
            return None
        times = np.array([moment.time_ns for moment in self._moments], np.int64)
        place = int(np.abs(times - time_ns).argmin())
        # half a period, as for the frames of one moment
        apart = np.diff(times).min() / 2 if len(times) > 1 else _ALONE_NS
        return self._moments[place] if abs(times[place] - time_ns) <= apart else None


class SpaceTrail:
    """Recent centres of the body, for a view that follows a stream."""

    def __init__(self) -> None:
        self._centres: deque[tuple[int, tuple[float, float, float]]] = deque()

    def clear(self) -> None:
        """Delete all centres."""
        self._centres.clear()

    def add(
        self, time_ns: int, points: NDArray[np.floating]
    ) -> tuple[tuple[float, float, float], ...]:
        """Add a moment and return the trail; an earlier time starts a new one."""
        known = self._centres
        if known and time_ns < known[-1][0]:
            self.clear()
        while known and known[0][0] < time_ns - TRAIL_NS:
            known.popleft()
        if not known or time_ns - known[-1][0] >= TRAIL_NS // TRAIL_POINTS:
            known.append((time_ns, centre_of(points)))
        return tuple(centre for _, centre in known)


def centre_of(points: NDArray[np.floating]) -> tuple[float, float, float]:
    """Return the mean of the known points (n, 3); NaN: fewer than half are known."""
    known = points[np.isfinite(points).all(axis=1)].astype(np.float64)
    if not len(known) or 2 * len(known) < len(points):
        return (np.nan, np.nan, np.nan)
    x, y, z = known.mean(axis=0).tolist()
    return x, y, z
