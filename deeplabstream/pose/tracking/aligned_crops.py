"""Aligned crops: small images of single animals, turned and scaled by the body axis.

A crop is a rectangle along the axis from the rear to the front body part. Its length is
`LENGTH` axes, because bands on a tail lie behind the tail base, which is often the last body
part. It is narrower than long, so that it shows little floor, and few other animals reach
into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.tracking.appearance_model import body_points
from deeplabstream.pose.tracking.identity_evidence import Array, Mask

SIZE = (32, 64)
"""Height (across the body) and width (along it, front to the right) of a crop, px."""
LENGTH = 1.8
"""Length of a crop in lengths of the body axis."""
AHEAD = 0.25
"""Part of it that lies before the front body part, in lengths of the axis."""
SHORTEST_PX = 8.0
"""Shortest axis, px: of a shorter one the direction is mostly noise."""
_OVERSAMPLED = 2
"""Factor by which a crop is first too large: bilinear interpolation alone would skip pixels."""
_FRONT = ("snout", "nose", "head")
_REAR = ("tailbase", "tail base", "tail_base", "abdomen", "tail")

Transform = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BodyAxis:
    """The body axis of a skeleton: indices of its front and its rear body part."""

    front: int
    rear: int


def body_axis(skeleton: Skeleton, names: Sequence[str] = ()) -> BodyAxis:
    """Return the body axis of a skeleton.

    `names`: its front and its rear body part, or none: snout, nose or head, and the tail base
    or the abdomen. DeepLabStreamError: the skeleton does not have them.
    """
    fronts, rears = [(name,) for name in names] or (_FRONT, _REAR)
    front, rear = _first_of(fronts, skeleton), _first_of(rears, skeleton)
    if front is None or rear is None or front == rear:
        wanted = " and ".join(names) or "a snout and a tail base"
        raise DeepLabStreamError(
            f"no body axis from {wanted} among the body parts "
            f"{', '.join(skeleton.bodyparts)}. State its front and its rear one"
        )
    return BodyAxis(front, rear)


def _first_of(names: Sequence[str], skeleton: Skeleton) -> int | None:
    """Return the first of some body parts that a skeleton has, in any case of letters."""
    parts = [part.lower() for part in skeleton.bodyparts]
    known = (name.lower() for name in names)
    return next((parts.index(name) for name in known if name in parts), None)


def crop_transform(points: Array, seen: Mask, axis: BodyAxis) -> Transform | None:
    """Return the affine transform (2, 3) from the image to the crop of one animal.

    Parameters
    ----------
    points : numpy.ndarray of float, shape (bodypart, 2)
        Pixels of the image, x right, y down.
    seen : numpy.ndarray of bool, shape (bodypart,)
        Whether a body part is visible.
    axis : BodyAxis
        Front and rear body part.

    Returns
    -------
    numpy.ndarray of float, shape (2, 3), or None
        None: an end of the axis is not visible, or the axis is shorter than `SHORTEST_PX`.
    """
    if not (seen[axis.front] and seen[axis.rear]):
        return None
    front = points[axis.front]
    along = points[axis.rear] - front
    length = float(np.hypot(*along))
    if length < SHORTEST_PX:
        return None

    height, width = SIZE
    scale = width / (LENGTH * length)
    # The axis points to the left in the crop: rear body parts have a smaller x
    cos, sin = -along / length * scale
    turn = np.array([[cos, sin], [-sin, cos]])
    target = np.array([width * (1 - AHEAD / LENGTH), height / 2]) - 0.5
    return np.column_stack([turn, target - turn @ front])


def is_clear(transform: Transform, others: Array) -> bool:
    """Return whether no point of another animal lies in a crop.

    Parameters
    ----------
    transform : numpy.ndarray of float, shape (2, 3)
        See `crop_transform`.
    others : numpy.ndarray of float, shape (point, 2)
        Body parts of all other animals and points on their edges, px of the image; NaN: not
        visible.
    """
    x, y = transform[:, :2] @ others.T + transform[:, 2:]
    height, width = SIZE
    inside = (x > -1) & (x < width) & (y > -1) & (y < height)
    return not inside.any()


def crop(image: Image, transform: Transform) -> NDArray[np.uint8]:
    """Return the crop (height, width, 3), BGR, of an image; black beyond its border.

    `image`: (height, width) or (height, width, 3), of any unsigned type.
    """
    import cv2

    height, width = SIZE
    # Centres of pixels: one at 0 in the crop is between those at 0 and 1 of a larger one
    shift = (_OVERSAMPLED - 1) / 2
    larger = transform * _OVERSAMPLED + np.array([[0, 0, shift], [0, 0, shift]])
    size = (width * _OVERSAMPLED, height * _OVERSAMPLED)
    wide = cv2.warpAffine(image, larger, size, flags=cv2.INTER_LINEAR)
    small = np.asarray(cv2.resize(wide, (width, height), interpolation=cv2.INTER_AREA))
    levels = np.iinfo(image.dtype).max / 255
    pixels = (small / levels).astype(np.uint8)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def clear_crops(
    image: Image, points: Array, skeleton: Skeleton, axis: BodyAxis
) -> dict[int, NDArray[np.uint8]]:
    """Return the crops of all animals that no other animal's pose reaches into.

    Parameters
    ----------
    image : numpy.ndarray, shape (height, width) or (height, width, 3)
        Frame.
    points : numpy.ndarray of float, shape (animal, bodypart, 2)
        Pixels; NaN: not visible.
    skeleton : Skeleton
        Edges: they are part of the pose's extent.
    axis : BodyAxis
        Front and rear body part.

    Returns
    -------
    dict
        By animal: its crop (height, width, 3).
    """
    seen = np.isfinite(points[..., 0])
    extents = [
        np.concatenate([body_points(animal, visible, skeleton), animal[visible]])
        if visible.any()
        else np.zeros((0, 2))
        for animal, visible in zip(points, seen, strict=True)
    ]
    crops = {}
    for animal in range(len(points)):
        transform = crop_transform(points[animal], seen[animal], axis)
        if transform is None:
            continue
        others = [extent for n, extent in enumerate(extents) if n != animal]
        if others and not is_clear(transform, np.concatenate(others)):
            continue
        crops[animal] = crop(image, transform)
    return crops
