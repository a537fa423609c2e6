"""A board in front of simulated cameras: exact views, and rendered images."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplabstream.offline.camera_calibration.board_views import BoardViews
from deeplabstream.offline.camera_calibration.charuco_board import CharucoBoard
from deeplabstream.space.calibrated_camera import CalibratedCamera
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.rotations import rotation_matrix

BOARD = CharucoBoard(7, 5, 30.0)
SIZE = (480, 640)


def poses(
    count: int, seed: int = 0
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Rotations and translations of the board in the world: tilted, near and far.

    The first lies on the floor, its corner at the origin, face up.
    """
    rng = np.random.default_rng(seed)
    face_up = np.diag([1.0, -1.0, -1.0])
    found = [(face_up, np.zeros(3))]
    middle = np.array([BOARD.columns, BOARD.rows, 0]) * BOARD.square_mm / 2
    for _ in range(count - 1):
        turned = rotation_matrix(rng.uniform(-0.8, 0.8, 3)) @ face_up
        place = rng.uniform((-130, -130, 0), (130, 130, 330))
        found.append((turned, place - turned @ middle))
    return found


def views_of(
    cameras: CameraGroup, count: int = 64, noise_px: float = 0.0, seed: int = 0
) -> BoardViews:
    """Exact views, with noise; corners outside of an image are not found."""
    rng = np.random.default_rng(seed)
    pixels = np.stack(
        [
            cameras.project(BOARD.corners_mm @ turned.T + moved)
            for turned, moved in poses(count, seed)
        ],
        axis=1,
    )
    pixels += rng.normal(0, noise_px, pixels.shape)
    height, width = SIZE
    outside = ~((pixels > 0) & (pixels < (width, height))).all(axis=-1)
    pixels[outside] = np.nan
    names, sizes = cameras.names, (SIZE,) * len(cameras)
    return BoardViews(BOARD, names, sizes, np.arange(count), pixels)


def render(
    cameras: CameraGroup, folder: Path, count: int, board: CharucoBoard = BOARD
) -> None:
    """Write an image of each pose and camera to FOLDER/CAMERA."""
    scale = 8
    size = board.columns * 10 * scale, board.rows * 10 * scale
    printed = board.detector.getBoard().generateImage(size)
    if board.inverted:
        printed = 255 - printed
    size_mm = board.square_mm / (10 * scale)
    # A pixel's position is that of its centre.
    to_mm = np.array([[size_mm, 0, size_mm / 2], [0, size_mm, size_mm / 2], [0, 0, 1]])
    for camera in cameras.cameras:
        (folder / camera.name).mkdir(parents=True)
        bent = _straight_places(camera)
        for number, (turned, moved) in enumerate(poses(count)):
            rotation = camera.rotation @ turned
            place = camera.rotation @ moved + camera.translation
            plane = np.column_stack([rotation[:, :2], place])
            # Rendered at twice the size, so that edges are smooth.
            double = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
            matrix = double @ camera.matrix @ plane @ to_mm
            large = cv2.warpPerspective(
                printed, matrix, (1280, 960), borderValue=128, flags=cv2.INTER_AREA
            )
            if camera.distortion.any():
                large = cv2.remap(large, *bent, cv2.INTER_LINEAR, borderValue=128)
            image = cv2.resize(large, (640, 480), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / camera.name / f"{number}.png"), image)


def _straight_places(
    camera: CalibratedCamera,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Columns and rows of the image without distortion at twice the size, by pixel."""
    y, x = np.mgrid[0:960, 0:1280]
    pixels = np.stack([x - 0.5, y - 0.5], axis=-1) / 2
    straight = camera.to_pixels(camera.undistort(pixels))
    places = np.nan_to_num(2 * straight + 0.5, nan=-1e4).astype(np.float32)
    return places[..., 0], places[..., 1]
