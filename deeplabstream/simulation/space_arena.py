"""Simulated arena in space: a body that walks and rears before calibrated cameras.

All follows from a time, so that cameras in different processes show the same body.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.rotations import rotation_matrix

Floats = NDArray[np.float64]

BODY = Skeleton(
    ("nose", "leftear", "rightear", "neck", "tailbase"),
    (
        ("nose", "leftear"),
        ("nose", "rightear"),
        ("leftear", "neck"),
        ("rightear", "neck"),
        ("neck", "tailbase"),
    ),
)
"""Body parts of the simulated body."""
FLOOR_MM = 260.0
"""Width and depth of the floor; its middle is the origin, z is up."""
VIEWS: dict[str, tuple[float, float, float]] = {
    "left": (-350.0, 100.0, 260.0),
    "right": (335.0, 130.0, 290.0),
    "front": (40.0, -370.0, 275.0),
    "top": (-25.0, 20.0, 480.0),
}
"""Positions of the cameras in mm; they look at the middle of the floor."""

_CYCLE_S, _WALK_S = 6.0, 3.6
"""Each cycle begins with walking; then the body rears and comes down."""
_RISE_S = 0.6
_REACH_MM, _SPEED_MM_S = 75.0, 80.0
_REAR = np.radians(62.0)
_HIP_MM, _BACK_MM, _TORSO_MM, _HEAD_MM = 13.0, 24.0, 52.0, 24.0
"""Height of the hip; lengths behind it, to the neck, and from there to the nose."""
_EAR_MM = (7.0, 8.5, 6.0)
"""Position of the left ear from the neck: forward, left, up."""

_ON_SURFACE = 3
"""Nose and ears: the first body parts."""
_OWN_MM = 4.0
"""Distance within which a sphere is that of the point itself."""

_FLOOR_GREY, _WALL_GREY = 186, 118
_COAT, _BELLY, _EAR, _SKIN, _INK = 52, 84, 128, 168, 18
_SHIFT = 4  # fractional bits of a pixel in OpenCV's coordinates
_NOISE_IMAGES = 8
_DISTORTION = (-0.18, 0.04, 0.0008, -0.0012, 0.0)


def simulated_camera(
    name: str,
    width: int = 640,
    height: int = 480,
    centre: tuple[float, float, float] | None = None,
) -> CalibratedCamera:
    """Return the camera of a name of `VIEWS`, with lens distortion; `centre`: elsewhere, mm."""
    place = np.array(centre or VIEWS[name])
    forward = np.array([0.0, 0.0, 20.0]) - place
    forward /= np.linalg.norm(forward)
    upright = (0.0, 1.0, 0.0) if name == "top" else (0.0, 0.0, 1.0)
    right = np.cross(forward, upright)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    focal = 1.28 * height
    matrix = [[focal, 0, width / 2 - 3.5], [0, focal, height / 2 + 2.5], [0, 0, 1]]
    return CalibratedCamera(
        name,
        np.array(matrix),
        np.array(_DISTORTION),
        rotation,
        -rotation @ place,
        (height, width),
    )


def simulated_cameras(width: int = 640, height: int = 480) -> CameraGroup:
    """Return all cameras of the arena, as their calibration describes them."""
    return CameraGroup(tuple(simulated_camera(name, width, height) for name in VIEWS))


def turned(camera: CalibratedCamera, degrees: float) -> CalibratedCamera:
    """Return a camera that was turned around its vertical axis; its place stays."""
    turn = rotation_matrix(np.array([0.0, np.radians(degrees), 0.0]))
    rotation = turn @ camera.rotation
    return replace(camera, rotation=rotation, translation=-rotation @ camera.centre)


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """The body at one moment, in mm."""

    points: Floats
    """(body part, 3), in the order of `BODY`."""
    spheres: Floats
    """(sphere, 5): centre, radius and grey level of what is painted."""


class BodyWalk:
    """Course of the body: it walks along a closed path, stops, rears, and walks on."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng([seed, 40])
        self._phases = rng.uniform(0, 2 * np.pi, 4)
        self._rates = rng.uniform(0.8, 1.2, 2)
        self._yaw = rng.uniform(0, 2 * np.pi)

    def at(self, time_s: float) -> Body:
        """Return the body at a time in seconds."""
        cycle, within_s = divmod(time_s, _CYCLE_S)
        walked_s = cycle * _WALK_S + _eased(within_s, _WALK_S)
        hip, heading = self._place(walked_s)
        rise = self._rise(within_s)

        nod = 0.18 * np.sin(2.3 * time_s + self._phases[2])
        pitch = np.radians(6.0) + rise * (_REAR - np.radians(6.0))
        head_pitch = 0.55 * pitch + nod
        yaw = heading + 0.3 * np.sin(1.7 * time_s + self._phases[3])
        along, head = _direction(heading, pitch), _direction(yaw, head_pitch)
        neck = hip + _TORSO_MM * along
        nose = neck + _HEAD_MM * head
        left = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        up = np.cross(head, left)
        forward_mm, aside_mm, up_mm = _EAR_MM
        ear = neck + forward_mm * head + up_mm * up
        tail = hip - _BACK_MM * _direction(heading, np.radians(-8.0) * (1 - rise))
        tail[2] = max(tail[2], 5.0)
        points = np.array(
            [nose, ear + aside_mm * left, ear - aside_mm * left, neck, tail]
        )
        return Body(points, _spheres(points, hip, left, head))

    def rears(self, time_s: float, height_mm: float) -> bool:
        """Return whether the nose is above a height."""
        return bool(self.at(time_s).points[0, 2] > height_mm)

    def _rise(self, within_s: float) -> float:
        """Return how far the body has risen, 0 to 1."""
        up = np.clip((within_s - _WALK_S) / _RISE_S, 0, 1)
        down = np.clip((_CYCLE_S - 0.2 - within_s) / _RISE_S, 0, 1)
        share = min(up, down)
        return float(share * share * (3 - 2 * share))

    def _place(self, walked_s: float) -> tuple[Floats, float]:
        """Return the hip's position and the heading on the path."""
        rates = self._rates * _SPEED_MM_S / _REACH_MM
        angles = rates * walked_s + self._phases[:2]
        x, y = _REACH_MM * np.sin(angles)
        ahead_x, ahead_y = rates * np.cos(angles)
        heading = float(np.arctan2(ahead_y, ahead_x))
        return np.array([x, y, _HIP_MM]), heading


def _eased(within_s: float, walk_s: float) -> float:
    """Return the seconds walked within a cycle, with a smooth start and stop."""
    share = min(within_s / walk_s, 1.0)
    return walk_s * share * share * (3 - 2 * share)


def _direction(yaw: float, pitch: float) -> Floats:
    return np.array(
        [np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)]
    )


def _spheres(points: Floats, hip: Floats, left: Floats, head: Floats) -> Floats:
    """Return the spheres (n, 5) that the body is painted with."""
    nose, left_ear, right_ear, neck, tail = points
    rows: list[list[float]] = []

    def add(centre: Floats, radius: float, grey: float) -> None:
        rows.append([*centre.tolist(), radius, grey])

    for share in np.linspace(0, 1, 9):
        # the trunk is widest at the hip
        add(hip + share * (neck - hip), 15.0 - 4.0 * share, _COAT + 14 * share)
    for share in np.linspace(0, 1, 4):
        add(tail + share * (hip - tail), 7.0 + 7.0 * share, _COAT)
    for share in np.linspace(0, 1, 5):
        add(neck + share * (nose - neck), 10.0 - 7.0 * share, _COAT + 16)
    for ear in (left_ear, right_ear):
        add(ear, 4.5, _EAR)
    add(nose, 2.4, _SKIN)
    for side in (-1, 1):
        eye = neck + 0.62 * (nose - neck) + side * 5.0 * left
        add(eye + 3.0 * np.cross(head, left), 1.6, _INK)
    thin = tail - hip
    thin[2] = 0.0
    for share in np.linspace(0.15, 2.2, 12):
        place = tail + share * thin
        add(np.array([*place[:2], max(2.0, tail[2] * (1 - share))]), 1.8, _SKIN - 30)
    return np.array(rows)


class CameraPainter:
    """Paints the body as one camera sees it, grey (height, width)."""

    def __init__(
        self, camera: CalibratedCamera, noise: float = 2.0, seed: int = 0
    ) -> None:
        self._camera = camera
        self._noise = _noise_images(camera.size, noise, seed) if noise else ()
        self._floor = _painted_floor(camera)

    def paint(self, image: Image, body: Body, number: int = 0) -> None:
        """Paint one image; `number` of the frame chooses its noise."""
        import cv2

        np.copyto(image, self._floor)
        camera, spheres = self._camera, body.spheres
        depths = camera.in_axes(spheres[:, :3])[:, 2]
        centres = camera.project(spheres[:, :3])
        radii = spheres[:, 3] * camera.matrix[0, 0] / depths
        # the farthest first: nearer ones hide them
        for place in np.argsort(-depths).tolist():
            if not np.isfinite(centres[place]).all():
                continue
            x, y = np.round(centres[place] * 2**_SHIFT).astype(int).tolist()
            radius = round(float(radii[place]) * 2**_SHIFT)
            grey = float(spheres[place, 4])
            cv2.circle(image, (x, y), radius, (grey,), -1, cv2.LINE_AA, _SHIFT)
        if self._noise:
            brighter, darker = self._noise[(number * 5) % len(self._noise)]
            cv2.add(image, brighter, image)
            cv2.subtract(image, darker, image)


def _painted_floor(camera: CalibratedCamera) -> Image:
    """Return the image of the empty arena."""
    import cv2

    image: Image = np.full(camera.size, _WALL_GREY, np.uint8)
    half = FLOOR_MM / 2
    side = np.linspace(-half, half, 24)
    ends = np.full_like(side, half)
    border = np.concatenate(
        [
            np.column_stack([side, -ends]),
            np.column_stack([ends, side]),
            np.column_stack([side[::-1], ends]),
            np.column_stack([-ends, side[::-1]]),
        ]
    )
    outline = camera.project(np.column_stack([border, np.zeros(len(border))]))
    # a lens shows nothing beyond the edge of its model
    outline = outline[np.isfinite(outline).all(axis=-1)]
    fixed = np.round(outline * 2**_SHIFT).astype(np.int32)
    cv2.fillPoly(image, [fixed], (_FLOOR_GREY,), cv2.LINE_AA, _SHIFT)
    return image


@lru_cache(maxsize=8)
def _noise_images(
    size: tuple[int, int], noise: float, seed: int
) -> tuple[tuple[Image, Image], ...]:
    """Return pairs of what is added and subtracted; computed once: it takes longer than a frame."""
    rng = np.random.default_rng([seed, 41])
    pairs = []
    for _ in range(_NOISE_IMAGES):
        drawn = np.round(rng.normal(0, noise, size))
        pairs.append(
            (
                np.clip(drawn, 0, 255).astype(np.uint8),
                np.clip(-drawn, 0, 255).astype(np.uint8),
            )
        )
    return tuple(pairs)


def visible_points(camera: CalibratedCamera, body: Body) -> Floats:
    """Return the body parts as a camera sees them.

    Parameters
    ----------
    camera : CalibratedCamera
        The camera.
    body : Body
        The body.

    Returns
    -------
    numpy.ndarray of float64, shape (body part, 2)
        x, y in pixels. NaN: outside the image, or nose or ear hidden by the body. Neck and
        tail base are the middle of the body there, which no view hides alone.
    """
    pixels = camera.project(body.points)
    inside = (pixels >= 0).all(axis=-1) & (pixels < camera.size[::-1]).all(axis=-1)
    hidden = np.zeros(len(pixels), np.bool_)
    spheres = camera.in_axes(body.spheres[:, :3])
    radii = body.spheres[:, 3]
    for place, point in enumerate(camera.in_axes(body.points[:_ON_SURFACE])):
        ray = point / np.linalg.norm(point)
        along = spheres @ ray
        aside = np.linalg.norm(spheres - along[:, None] * ray, axis=1)
        is_own = np.linalg.norm(spheres - point, axis=1) < _OWN_MM
        in_front = along < np.linalg.norm(point) - _OWN_MM
        hidden[place] = (in_front & ~is_own & (aside < radii)).any()
    return np.where((inside & ~hidden)[:, None], pixels, np.nan)
