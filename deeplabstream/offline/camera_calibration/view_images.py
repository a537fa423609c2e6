"""View images: the corners of all views over each camera's image, and the worst moment."""

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
from deeplabstream.offline.camera_calibration.view_coverage import coverage_share
from deeplabstream.video.image_sheet import write_sheet

_WIDTH = 640
_FOUND, _EXPECTED = (80, 220, 80), (60, 60, 240)
"""BGR: corners that were found (rings), and where the others cameras put them (crosses)."""
_SHADE = 0.45
"""Share of red in the parts of an image without corners."""


def draw_coverage(videos: Sequence[ImageSource], views: BoardViews, file: Path) -> None:
    """Write an image of each camera with the corners of all views; bare parts are red."""
    import cv2

    images: list[Image] = []
    shares = coverage_share(views)
    for camera, (name, share) in enumerate(zip(views.names, shares, strict=True)):
        seen = np.flatnonzero(views.seen[camera])
        moment = int(seen[len(seen) // 2]) if len(seen) else 0
        drawn = _image_of(videos[camera], views, camera, moment)
        height, width = views.sizes[camera]
        bare = np.asarray(~views.covered[camera], np.uint8)
        bare_px = cv2.resize(bare, (width, height), interpolation=cv2.INTER_NEAREST)
        shaded = drawn * (1 - _SHADE) + np.array(_EXPECTED) * _SHADE
        drawn = np.where(bare_px[..., None] > 0, shaded, drawn).astype(np.uint8)
        radius = max(1, round(2 * width / _WIDTH))
        for place in _whole(views.pixels[camera][views.seen[camera]]):
            cv2.circle(drawn, place, radius, _FOUND, -1)
        images.append(_labelled(drawn, f"{name}  {share:.0%}"))
    _write(images, file)


def draw_worst(
    videos: Sequence[ImageSource],
    views: BoardViews,
    expected: NDArray[np.float64],
    moment: int,
    file: Path,
) -> None:
    """Write the images of all cameras at one moment, side by side.

    `expected`: where the corners should be, (camera, corner, 2).
    """
    import cv2

    images: list[Image] = []
    for camera, video in enumerate(videos):
        drawn = _image_of(video, views, camera, moment)
        for place in _whole(views.pixels[camera, moment]):
            cv2.circle(drawn, place, 7, _FOUND, 2)
        for place in _whole(expected[camera]):
            cv2.drawMarker(drawn, place, _EXPECTED, cv2.MARKER_CROSS, 14, 2)
        images.append(_labelled(drawn, views.names[camera]))
    _write(images, file)


def _image_of(
    video: ImageSource, views: BoardViews, camera: int, moment: int
) -> NDArray[np.uint8]:
    """Return the image of a camera at a moment in colour; black: it can't be decoded."""
    height, width = views.sizes[camera]
    drawn = np.zeros((height, width, 3), np.uint8)
    image = next(iter(video.images_at(views.frames[moment : moment + 1]))).image
    if image is not None:
        drawn[:] = image if image.ndim == 3 else image[..., None]
    return drawn


def _labelled(drawn: NDArray[np.uint8], text: str) -> Image:
    """Return an image at the width of the sheet, with a text in its upper left corner."""
    import cv2

    height, width = drawn.shape[:2]
    small = cv2.resize(drawn, (_WIDTH, round(_WIDTH * height / width)))
    for colour, thickness in ((0, 0, 0), 4), (_FOUND, 2):
        cv2.putText(
            small, text, (10, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.8, colour, thickness
        )
    corner = _WIDTH - 1, small.shape[0] - 1
    cv2.rectangle(small, (0, 0), corner, (255, 255, 255), 1)
    return np.asarray(small, np.uint8)


def _write(images: Sequence[Image], file: Path) -> None:
    """Write images of one width as a sheet; lower ones get a black border below."""
    most = max(image.shape[0] for image in images)
    padded: list[Image] = []
    for image in images:
        below = [(0, most - image.shape[0]), (0, 0), (0, 0)]
        padded.append(np.asarray(np.pad(image, below), np.uint8))
    with atomic_file(file) as draft:
        write_sheet(
            draft, padded, columns=2 if len(padded) == 4 else min(3, len(padded))
        )


def _whole(
    pixels: NDArray[np.float64],
) -> list[tuple[int, int]]:
    """Return the known points as whole pixels near the image."""
    known = pixels[np.isfinite(pixels).all(axis=-1)]
    near = known[(np.abs(known) < 1e5).all(axis=-1)]
    return [(round(x), round(y)) for x, y in near.tolist()]
