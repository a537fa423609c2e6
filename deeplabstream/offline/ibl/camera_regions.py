"""Camera regions: crops of an image, and mapping of points back to the image.

All places are px, x right, y down, of the image after mirroring (where the pipeline
requires it) unless stated otherwise.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.offline.ibl.motion_energy import Box
from deeplabstream.offline.ibl.pipeline import (
    CameraPlan,
    CropRegion,
    Motion,
    Pipeline,
    Quirks,
)

Place: TypeAlias = tuple[int, int]
Places: TypeAlias = Mapping[str, Place]
"""Positions by body part; missing ones were not found."""


def mean_places(
    bodyparts: Sequence[str],
    points: NDArray[np.floating],
    confidence: NDArray[np.floating],
    likelihood: float,
) -> dict[str, Place]:
    """Return the mean position of each body part, truncated to whole pixels.

    `points` (row, body part, 2), `confidence` (row, body part); rows below `likelihood`
    do not count, and a body part without any that does is left out.
    """
    places = {}
    for part, name in enumerate(bodyparts):
        sure = confidence[:, part] >= likelihood
        known = points[sure, part].astype(np.float64)
        known = known[np.isfinite(known).all(axis=1)]
        if len(known):
            x, y = known.mean(axis=0).tolist()
            places[name] = int(x), int(y)
    return places


@dataclass(frozen=True, slots=True)
class Crop:
    """Crop of the image for a network."""

    box: Box
    """The actual box."""
    requested: tuple[float, float]
    """Upper left corner requested by the anchor, which may be outside or fractional."""
    mirrored: bool
    gain: float

    def cut(self, image: Image) -> Image:
        """Return the crop of a camera image, mirrored and brightened."""
        import cv2

        box, width = self.box, image.shape[1]
        left = width - box.x - box.width if self.mirrored else box.x
        part = np.asarray(image, np.uint8)[
            box.y : box.y + box.height, left : left + box.width
        ]
        part = part[:, ::-1] if self.mirrored else part
        part = np.ascontiguousarray(part, np.uint8)
        if self.gain == 1:
            return part
        return np.asarray(cv2.convertScaleAbs(part, alpha=self.gain), np.uint8)

    def back(
        self, points: NDArray[np.floating], width: int, quirks: Quirks
    ) -> NDArray[np.float64]:
        """Return `points` (…, 2) of the crop in coordinates of the camera's own image."""
        unclamped = quirks.clamped_crop == "compat"
        origin = self.requested if unclamped else (self.box.x, self.box.y)
        whole = points.astype(np.float64) + origin
        if self.mirrored:
            last = width if quirks.flip == "compat" else width - 1
            whole[..., 0] = last - whole[..., 0]
        return np.asarray(whole)


def crop_of(
    region: CropRegion, camera: CameraPlan, places: Places, shape: Sequence[int]
) -> Crop | None:
    """Return the crop of a region, moved into the image; None: not found.

    `shape` is (height, width, …) of the images; sizes and offsets are divided by the
    camera's scale.
    """
    height, width = shape[:2]
    if region.crop is None:
        return Crop(Box(0, 0, width, height), (0, 0), camera.flip, region.gain)
    if any(part not in places for part in region.anchor):
        return None
    middle = np.mean([places[part] for part in region.anchor], axis=0)
    x, y = (
        float(at) + by / camera.scale
        for at, by in zip(middle, region.offset, strict=True)
    )
    wide, high = (round(side / camera.scale) for side in region.crop)
    wide, high = min(wide, width), min(high, height)
    left = min(max(math.floor(x + 0.5), 0), width - wide)
    top = min(max(math.floor(y + 0.5), 0), height - high)
    return Crop(Box(left, top, wide, high), (x, y), camera.flip, region.gain)


def motion_box(
    name: str, pipeline: Pipeline, places: Places, shape: Sequence[int]
) -> tuple[Box, Box] | None:
    """Return a motion energy's region, as measured and as saved; None: not found.

    `places` are px of the camera's own image, not mirrored. DeepLabStreamError: the
    region reaches over the left or upper border and the pipeline has that fail.
    """
    box = _motion_box(pipeline.motions[name], places)
    if box is None:
        return None
    if pipeline.quirks.motion_border == "compat":
        if min(box.x, box.y, box.width, box.height) < 0:
            raise DeepLabStreamError(
                f"motion energy: region {name} begins outside the frame: {box}"
            )
        return box.within(shape), box
    cut = box.within(shape)
    return (cut, cut) if cut.width and cut.height else None


def _motion_box(motion: Motion, places: Places) -> Box | None:
    if motion.from_ not in places:
        return None
    x, y = places[motion.from_]
    if not motion.to:
        width = int(motion.width_share * x)
        left = int(x - motion.left_share * x)
        return Box(left, int(y - motion.up), width, motion.height)
    other = next((places[part] for part in motion.to if part in places), None)
    if other is None:
        return None
    middle_x, middle_y = (x + other[0]) / 2, (y + other[1]) / 2
    distance = math.sqrt((x - other[0]) ** 2 + (y - other[1]) ** 2)
    return Box(
        int(middle_x - distance / motion.left_over),
        int(middle_y),
        int(distance / motion.width_over),
        int(distance / motion.height_over),
    )
