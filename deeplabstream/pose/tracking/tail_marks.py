"""Tail marks: contrast along the tail of one animal, as bands of a marker pen make it.

No network finds the tail. It is followed from the rear end of the body axis as the line that
differs most from what is beside it, by dynamic programming. Its contrast to both sides does not
change with the brightness of the light.
"""

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.pose.tracking.aligned_crops import SHORTEST_PX, BodyAxis
from deeplabstream.pose.tracking.identity_evidence import Array, Mask

STEP = 0.02
"""Distance of two pixels of the straightened tail, in lengths of the body axis."""
LENGTH = 0.8
"""Length of the tail that is compared, in lengths of the body axis."""
SEGMENTS = 16
"""Segments of it, each with its mean contrast."""
ASIDE = 0.7
"""Largest distance of the tail from the body axis, in lengths of it."""
BESIDE = 0.06
"""Distance across the tail at which the floor is seen, in lengths of the body axis."""
CLEAR = 0.3
"""Shortest distance of another animal from the tail, in lengths of the body axis."""
LEAST_LINE = 5.0
"""Difference of the tail from both sides, in grey levels, at which it is seen."""
LEAST_SEEN = 0.85
"""Share of the tail that must be seen."""
_MOST_LINE = 25.0
"""Difference above which a place is no more likely the tail: a mark must not attract it."""
_START = 4
"""Largest distance of the tail's root from the rear body part, in steps."""
_OVERSAMPLED = 2
"""Factor by which the crop is first too large: bilinear interpolation alone skips pixels."""


def tail_marks(
    image: Image, points: Array, seen: Mask, others: Array, axis: BodyAxis
) -> Array | None:
    """Return the contrast along the tail, from its root to its tip.

    Parameters
    ----------
    image : numpy.ndarray, shape (height, width) or (height, width, 3)
        Frame, of any unsigned type.
    points : numpy.ndarray of float, shape (bodypart, 2)
        Pixels of the image, x right, y down.
    seen : numpy.ndarray of bool, shape (bodypart,)
        Whether a body part is visible.
    others : numpy.ndarray of float, shape (point, 2)
        Body parts of all other animals and points on their edges, px.
    axis : BodyAxis
        Front and rear body part.

    Returns
    -------
    numpy.ndarray of float, shape (segment * colour,), or None
        -1 to 1; above 0: darker than the floor. None: the tail is not seen, or another animal
        is near it.
    """
    transform = _tail_transform(points, seen, axis)
    if transform is None:
        return None
    patch = _patch(image, transform)
    beside = round(BESIDE / STEP)
    middle, floors = patch[beside:-beside], (patch[: -2 * beside], patch[2 * beside :])
    off = np.stack([floor - middle for floor in floors])
    # the edge of a shadow or a wall differs from one side only
    line = np.where(off[0] * off[1] > 0, np.abs(off).min(axis=0), 0.0).max(axis=-1)
    path = _path(line.clip(0.0, _MOST_LINE))
    steps = np.arange(len(path))
    if (line[path, steps] >= LEAST_LINE).mean() < LEAST_SEEN:
        return None
    across = path + beside
    if len(others):
        place = transform[:, :2] @ others.T + transform[:, 2:]
        apart = np.hypot(place[0][:, None] - steps, place[1][:, None] - across)
        if apart.min() < CLEAR / STEP:
            return None

    floor = np.stack([side[path, steps] for side in floors]).mean(axis=0)
    tail = middle[path, steps]
    contrast = (floor - tail) / np.maximum(np.maximum(floor, tail), 1.0)
    # along the tail, not along the axis; steps of a grid alone make a line too long
    smooth = np.convolve(np.pad(path.astype(float), 3, "edge"), np.ones(7) / 7, "valid")
    along = np.concatenate([[0.0], np.hypot(1.0, np.diff(smooth)).cumsum()]) * STEP
    segment = np.floor(along / LENGTH * SEGMENTS).astype(np.intp)
    means = [contrast[segment == number].mean(axis=0) for number in range(SEGMENTS)]
    return np.asarray(np.concatenate(means), np.float64)


def _tail_transform(points: Array, seen: Mask, axis: BodyAxis) -> Array | None:
    """Return the affine transform (2, 3) from the image to the region behind the body."""
    if not (seen[axis.front] and seen[axis.rear]):
        return None
    rear = points[axis.rear]
    behind = rear - points[axis.front]
    length = float(np.hypot(*behind))
    if length < SHORTEST_PX:
        return None
    cos, sin = behind / length / (STEP * length)
    turn = np.array([[cos, sin], [-sin, cos]])
    root = np.array([0.0, round(ASIDE / STEP)])
    return np.column_stack([turn, root - turn @ rear])


def _patch(image: Image, transform: Array) -> Array:
    """Return the region behind the body (across, along, colour), in grey levels."""
    import cv2

    shift = (_OVERSAMPLED - 1) / 2
    larger = transform * _OVERSAMPLED + np.array([[0, 0, shift], [0, 0, shift]])
    width, height = round(LENGTH / STEP), 2 * round(ASIDE / STEP) + 1
    size = (width * _OVERSAMPLED, height * _OVERSAMPLED)
    wide = cv2.warpAffine(
        image, larger, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    small = np.asarray(cv2.resize(wide, (width, height), interpolation=cv2.INTER_AREA))
    levels = np.iinfo(image.dtype).max / 255
    return np.asarray(small.reshape(height, width, -1) / levels)


def _path(line: Array) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the row of the best path through each column of (across, along)."""
    rows, columns = line.shape
    total = np.full(rows + 2, -np.inf)
    start = slice(rows // 2 - _START + 1, rows // 2 + _START + 2)
    total[start] = line[start.start - 1 : start.stop - 1, 0]
    came = np.zeros((columns, rows), np.intp)
    for column in range(1, columns):
        before = np.stack([total[:-2], total[1:-1], total[2:]])
        step = before.argmax(axis=0)
        came[column] = step - 1
        total[1:-1] = line[:, column] + before[step, np.arange(rows)]
    row = int(total[1:-1].argmax())
    path = [row]
    for column in range(columns - 1, 0, -1):
        row += int(came[column, row])
        path.append(row)
    return np.array(path[::-1])
