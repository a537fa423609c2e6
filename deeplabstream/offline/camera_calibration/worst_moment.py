"""Image of the worst moment: corners as they were found, and as the calibration has them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.camera_calibration.board_views import (
    BoardViews,
    ImageSource,
)
from deeplabstream.space.camera_group import CameraGroup
from deeplabstream.space.triangulation import triangulate
from deeplabstream.video.image_sheet import write_sheet

_WIDTH = 640
_FOUND, _EXPECTED = (80, 220, 80), (60, 60, 240)
"""BGR: corners that were found (rings), and where the others cameras put them (crosses)."""


def draw_worst(
    videos: Sequence[ImageSource],
    cameras: CameraGroup,
    views: BoardViews,
    moment: int,
    file: Path,
) -> None:
    """Write the images of all cameras at one moment, side by side."""
    import cv2

    found = triangulate(cameras, views.pixels[:, moment], limit_px=np.inf)
    expected = cameras.project(found.points)
    images: list[Image] = []
    for camera, video in enumerate(videos):
        row = views.frames[moment : moment + 1]
        image = next(iter(video.images_at(row))).image
        height, width = views.sizes[camera]
        drawn = np.zeros((height, width, 3), np.uint8)
        if image is not None:
            drawn[:] = image if image.ndim == 3 else image[..., None]
        for place in _whole(views.pixels[camera, moment]):
            cv2.circle(drawn, place, 7, _FOUND, 2)
        for place in _whole(expected[camera]):
            cv2.drawMarker(drawn, place, _EXPECTED, cv2.MARKER_CROSS, 14, 2)
        name = views.names[camera]
        cv2.putText(drawn, name, (12, 36), cv2.FONT_HERSHEY_SIMPLEX, 1.2, _FOUND, 2)
        small = cv2.resize(drawn, (_WIDTH, round(_WIDTH * height / width)))
        images.append(np.asarray(small, np.uint8))

    most = max(image.shape[0] for image in images)
    padded: list[Image] = []
    for image in images:
        below = [(0, most - image.shape[0]), (0, 0), (0, 0)]
        padded.append(np.asarray(np.pad(image, below), np.uint8))
    with atomic_file(file) as draft:
        write_sheet(draft, padded, columns=min(2, len(padded)))


def _whole(
    pixels: NDArray[np.float64],
) -> list[tuple[int, int]]:
    """Return the known points as whole pixels near the image."""
    known = pixels[np.isfinite(pixels).all(axis=-1)]
    near = known[(np.abs(known) < 1e5).all(axis=-1)]
    return [(round(x), round(y)) for x, y in near.tolist()]
