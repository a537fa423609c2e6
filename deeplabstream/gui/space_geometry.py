"""Space geometry: a perspective view that turns around a point, and the lines of a scene in mm.

Without Qt: widgets draw the lines that it returns. Axes are those of the calibration, z up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deeplabstream.core.volumes import Volume
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup

Floats = NDArray[np.float64]

_FIELD = 1.9
"""Focal length in heights of the view: 30 degrees from top to bottom."""
_NEAREST = 0.02
"""Depth of the nearest point that is drawn, as a share of the distance to the centre."""
_STEEPEST = 89.0  # degrees
_NEAREST_MM, _FURTHEST_MM = 5.0, 100_000.0
_GRID_CELLS = 8
"""Approximate number of cells of the floor grid along each axis."""
_MOST_EDGES = 8
"""Largest number of upright edges that a volume has."""
_RAISED, _AWAY = 0.2, 2.2
"""Height of the first view's centre above the focus, and its distance, in radii of the scene."""
_FRUSTUM = 0.12
"""Length of a drawn camera, as a share of its distance from the centre."""


@dataclass(frozen=True, slots=True)
class Orbit:
    """A perspective view of a point from a distance, z upright.

    Attributes
    ----------
    centre : tuple of float
        The point in the middle of the view, x, y, z in mm.
    distance : float
        Distance of the eye from it, mm.
    azimuth, elevation : float
        Direction from the centre to the eye, in degrees: 0, 0 looks along -x.
    """

    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    distance: float = 600.0
    azimuth: float = -60.0
    elevation: float = 25.0

    def turned(self, azimuth: float, elevation: float) -> "Orbit":
        """Return the view turned by angles in degrees; it stays upright."""
        steep = min(max(self.elevation + elevation, -_STEEPEST), _STEEPEST)
        return replace(self, azimuth=(self.azimuth + azimuth) % 360, elevation=steep)

    def zoomed(self, factor: float) -> "Orbit":
        """Return the view from a distance that is `factor` times smaller."""
        distance = min(max(self.distance / factor, _NEAREST_MM), _FURTHEST_MM)
        return replace(self, distance=distance)

    def in_axes(self, points: ArrayLike) -> Floats:
        """Return points (..., 3) as x right, y down, z depth, (..., 3), in mm."""
        turn, rise = np.radians(self.azimuth), np.radians(self.elevation)
        forward = -np.array(
            [np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)]
        )
        right = np.array([-np.sin(turn), np.cos(turn), 0.0])
        axes = np.stack([right, np.cross(forward, right), forward])
        moved = np.asarray(points, np.float64) - np.array(self.centre)
        return np.asarray(moved @ axes.T + np.array([0.0, 0.0, self.distance]))

    def project(self, points: ArrayLike, width: float, height: float) -> Floats:
        """Return where points (..., 3) are in a view of a size, (..., 2); y down.

        NaN stays NaN, and is given for points behind the eye.
        """
        return self._flat(self.in_axes(points), width, height)

    def project_lines(self, lines: ArrayLike, width: float, height: float) -> Floats:
        """Return lines (n, 2, 3) in a view of a size, (m, 2, 2).

        What is behind the eye is cut off; lines that are there completely, or have an
        unknown end, are left out.
        """
        seen = self.in_axes(np.reshape(lines, (-1, 2, 3)))
        near = _NEAREST * self.distance
        seen = seen[np.isfinite(seen).all(axis=(1, 2))]
        seen = seen[(seen[..., 2] > near).any(axis=1)]
        for end, other in ((0, 1), (1, 0)):
            hidden = seen[:, end, 2] < near
            start, stop = seen[hidden, other], seen[hidden, end]
            share = (near - start[:, 2]) / (stop[:, 2] - start[:, 2])
            seen[hidden, end] = start + share[:, None] * (stop - start)
        return self._flat(seen, width, height)

    def _flat(self, seen: Floats, width: float, height: float) -> Floats:
        hidden = seen[..., 2:] < _NEAREST * self.distance * (1 - 1e-9)
        depth = np.where(hidden, np.nan, seen[..., 2:])
        focal = _FIELD * min(width, height)
        middle = np.array([width / 2, height / 2])
        return np.asarray(focal * seen[..., :2] / depth + middle)


def focus_of(cameras: CameraGroup) -> tuple[float, float, float]:
    """Return the point nearest to the optical axes of all cameras, on the floor or above."""
    normal, sides = np.zeros((3, 3)), np.zeros(3)
    for camera in cameras.cameras:
        axis = camera.rotation[2]
        across = np.eye(3) - np.outer(axis, axis)
        normal += across
        sides += across @ camera.centre
    # cameras side by side have parallel axes: then a point in front of them
    if np.linalg.cond(normal) > 1e4:
        ahead = np.mean([camera.rotation[2] for camera in cameras.cameras], axis=0)
        point = cameras.centres.mean(axis=0) + 2 * cameras.largest_baseline * ahead
    else:
        point = np.linalg.solve(normal, sides)
    x, y, z = point.tolist()
    return x, y, max(z, 0.0)


def view_of(cameras: CameraGroup) -> Orbit:
    """Return the first view of a scene: the floor in its lower part, cameras above."""
    x, y, z = focus = focus_of(cameras)
    radius = radius_of(cameras, focus)
    return Orbit((x, y, z + _RAISED * radius), max(_AWAY * radius, _NEAREST_MM))


def radius_of(cameras: CameraGroup, centre: ArrayLike) -> float:
    """Return the mean distance of the cameras from a point, mm."""
    offsets = cameras.centres - np.asarray(centre, np.float64)
    return float(np.linalg.norm(offsets, axis=1).mean())


def round_length(length: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, … that is not above a length.

    >>> round_length(73.0), round_length(0.3)
    (50.0, 0.2)
    """
    power = 10.0 ** floor(log10(length))
    return max(
        step * power for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)
    )


def floor_grid(centre: Sequence[float], radius: float) -> tuple[Floats, float]:
    """Return the lines (n, 2, 3) of a grid on the floor, z = 0, and its spacing in mm."""
    step = round_length(max(radius, 1e-3) * 1.6 / _GRID_CELLS)
    reach = _GRID_CELLS / 2 * step
    x0, y0 = (step * floor((middle - reach) / step) for middle in centre[:2])
    x1, y1 = (step * ceil((middle + reach) / step) for middle in centre[:2])
    across = [[(x, y0, 0), (x, y1, 0)] for x in np.arange(x0, x1 + step / 2, step)]
    along = [[(x0, y, 0), (x1, y, 0)] for y in np.arange(y0, y1 + step / 2, step)]
    return np.array(across + along, np.float64), step


def camera_lines(camera: CalibratedCamera, centre: ArrayLike) -> Floats:
    """Return the edges (8, 2, 3) of a camera's field of view, near the camera."""
    away = float(np.linalg.norm(camera.centre - np.asarray(centre, np.float64)))
    height, width = camera.size
    if not width:
        width, height = (2 * int(half) for half in camera.matrix[:2, 2])
    pixels = [(0, 0), (width, 0), (width, height), (0, height)]
    inverse = np.linalg.inv(camera.matrix)
    # without distortion: far from the axis a lens may have no direction
    rays = np.array([inverse @ (x, y, 1.0) for x, y in pixels])
    corners = (_FRUSTUM * away * rays - camera.translation) @ camera.rotation
    tip = np.broadcast_to(camera.centre, (4, 3))
    sides = np.stack([tip, corners], axis=1)
    return np.concatenate([sides, closed(corners)])


def closed(corners: ArrayLike) -> Floats:
    """Return the lines (n, 2, 3) between corners (n, 3), and back to the first."""
    points = np.asarray(corners, np.float64)
    return np.stack([points, np.roll(points, -1, axis=0)], axis=1)


def volume_lines(volume: Volume) -> Floats:
    """Return the edges (n, 2, 3) of a volume: bottom, top and some upright ones."""
    outline = volume.region.outline()
    bottom = np.column_stack([outline, np.full(len(outline), volume.low)])
    top = np.column_stack([outline, np.full(len(outline), volume.high)])
    chosen = np.arange(0, len(outline), max(1, ceil(len(outline) / _MOST_EDGES)))
    upright = np.stack([bottom[chosen], top[chosen]], axis=1)
    return np.concatenate([closed(bottom), closed(top), upright])


def plane_lines(point: ArrayLike, normal: ArrayLike, half: float) -> Floats:
    """Return the edges (4, 2, 3) of a square of a plane around a point."""
    across = np.asarray(normal, np.float64) / np.linalg.norm(normal)
    other = np.eye(3)[int(np.abs(across).argmin())]
    one = np.cross(across, other)
    one /= np.linalg.norm(one)
    two = np.cross(across, one)
    corners = [one + two, one - two, -one - two, two - one]
    return closed(np.asarray(point, np.float64) + half * np.array(corners))
