"""Rendered images of a plate with four ArUco markers: perspective, blur and noise."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image

NUMBERS = (7, 3, 12, 5)
DICTIONARY = "4X4_50"
SIZE = 1280, 960
_SIDE, _MARGIN = 90, 20
_WELLS = np.stack(np.meshgrid(np.linspace(200, 800, 8), np.linspace(180, 620, 6)), -1)
WELLS: NDArray[np.float64] = _WELLS.reshape(-1, 2)
"""Centres of the wells on the flat plate, in its own pixels."""


@cache
def plate() -> Image:
    """Return a plate of 1000 × 800 px with a marker at each corner."""
    image = np.full((800, 1000), 200, np.uint8)
    kind = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    places = ((_MARGIN, _MARGIN), (1000 - _MARGIN - _SIDE, _MARGIN))
    places += ((1000 - _MARGIN - _SIDE, 800 - _MARGIN - _SIDE),)
    places += ((_MARGIN, 800 - _MARGIN - _SIDE),)
    for number, (x, y) in zip(NUMBERS, places, strict=True):
        marker = cv2.aruco.generateImageMarker(kind, number, _SIDE)
        image[y : y + _SIDE, x : x + _SIDE] = marker
    return image


def seen(
    corners: list[list[float]], seed: int = 0
) -> tuple[Image, NDArray[np.float64]]:
    """Return a noisy image of the plate with these corners, and the matrix to it."""
    flat = np.float32([[0, 0], [999, 0], [999, 799], [0, 799]])
    matrix = cv2.getPerspectiveTransform(flat, np.float32(corners))
    image = cv2.warpPerspective(
        plate(), matrix, SIZE, flags=cv2.INTER_AREA, borderValue=90
    )
    image = cv2.GaussianBlur(image, (0, 0), 0.8)
    noise = np.random.default_rng(seed).normal(0, 6, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), matrix


def wells(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return cv2.perspectiveTransform(WELLS[:, None], matrix)[:, 0]


LAID_OUT = [[180, 90], [1090, 110], [1120, 850], [150, 830]]


def shifted(dx: float, dy: float, degrees: float = 0.0) -> list[list[float]]:
    """Return corners of the plate that was moved on the table."""
    turn = np.radians(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.mean(LAID_OUT, axis=0)
    moved = (np.array(LAID_OUT) - middle) @ matrix.T + middle + (dx, dy)
    return [[float(x), float(y)] for x, y in moved]
