"""Cameras around an arena, for tests of points in space."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup

DISTORTION = (-0.2, 0.05, 0.001, -0.002, 0.01)


def camera_at(
    name: str, centre: tuple[float, float, float], focal: float = 800.0
) -> CalibratedCamera:
    """A camera of 640×480 that looks at the origin; z of the world is up."""
    forward = -np.array(centre) / np.linalg.norm(centre)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.array([[focal, 0, 320.0], [0, focal + 5, 240.0], [0, 0, 1]])
    moved = -rotation @ np.array(centre)
    return CalibratedCamera(
        name, matrix, np.array(DISTORTION), rotation, moved, (480, 640)
    )


def four_cameras() -> CameraGroup:
    """Four cameras, 0.6 m above the floor, around an arena of 0.4 m; in mm."""
    places = {
        "left": (-500.0, 50.0, 600.0),
        "right": (520.0, -40.0, 620.0),
        "front": (30.0, -560.0, 580.0),
        "back": (-20.0, 540.0, 640.0),
    }
    return CameraGroup(tuple(camera_at(name, at) for name, at in places.items()))


def points_in_arena(count: int, seed: int = 0) -> NDArray[np.float64]:
    """Points (count, 3) in mm, up to 100 mm above the floor."""
    rng = np.random.default_rng(seed)
    return rng.uniform((-150, -150, 0), (150, 150, 100), (count, 3))


def as_opencv_sees(
    camera: CalibratedCamera, points: NDArray[np.float64]
) -> NDArray[np.float64]:
    vector, _ = cv2.Rodrigues(camera.rotation)
    pixels, _ = cv2.projectPoints(
        points, vector, camera.translation, camera.matrix, camera.distortion
    )
    return pixels.reshape(-1, 2)


def without_distortion(cameras: CameraGroup) -> CameraGroup:
    return CameraGroup(
        tuple(replace(camera, distortion=np.zeros(5)) for camera in cameras.cameras)
    )
