"""Data augmentation: rotation, scale, position, background, light, blur and noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.body_sides import mirrored
from deeplabstream.core.pose import Skeleton
from deeplabstream.training.data.imgaug_sections import ImgaugTransform

ImageArray = NDArray[np.uint8]
Points = NDArray[np.float32]
Known = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Ranges of augmentation. The defaults are for views from above."""

    rotation_deg: float = 180.0
    """Largest rotation in either direction."""
    scale: tuple[float, float] = (0.75, 1.3)
    shift: float = 0.08
    """Standard deviation of a shift, as a share of the sides."""
    mirror: bool = True
    """Mirror, and swap the body parts of the two sides; see `mirrored`."""
    light: float = 1.0
    """Strength of brightness changes, 0 to 1."""
    moved: float = 0.0
    """Share of images in which the animal is cut out and pasted anywhere on the empty
    background, the median of its clip. For cameras that do not move."""
    empty: float = 0.05
    """Share of images without an animal, where there is an empty background."""
    sections: tuple[ImgaugTransform, ...] = ()
    """Transforms of a Lightning Pose file, instead of rotation, scale and shift."""


def augment(
    how: Augmentation,
    skeleton: Skeleton,
    image: ImageArray,
    points: Points,
    known: Known,
    background: ImageArray | None,
    rng: np.random.Generator,
) -> tuple[ImageArray, Points, Known]:
    """Return a changed image (height, width, 3), its points (bodypart, 2), and `known`.

    `known` (bodypart,) is False where nothing is known of a point; a mirror image swaps it
    like the points. Points of several animals are in one row, animal by animal. Points
    outside the image stay outside; the decoder's `encode` leaves them out. `background` is
    the same camera's image without an animal, if there is one.
    """
    chance = rng.random()
    if how.sections:
        for section in how.sections:
            image, points = section.apply(image, points, rng)
    elif background is not None and chance < how.empty:
        image, points = _scenery(background, rng), np.full_like(points, np.nan)
    elif background is not None and chance < how.empty + how.moved:
        image, points = _move(how, image, points, background, rng)
    else:
        image, points = _warp(how, image, points, rng)

    if how.mirror and rng.random() < 0.5:
        # Left and right body parts swap their names in a mirror image.
        image = np.ascontiguousarray(image[:, ::-1])
        other = mirrored(skeleton)
        swapped = points.reshape(-1, len(other), 2)[:, other]
        points = swapped.reshape(-1, 2) * [-1, 1] + [image.shape[1] - 1, 0]
        known = known.reshape(-1, len(other))[:, other].reshape(-1)

    return relight(image, how.light, rng), points.astype(np.float32), known


def augment_clip(
    how: Augmentation,
    images: NDArray[np.uint8],
    points: Points | None,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return images (frame, height, width, 3), all changed by the matrix (2, 3), and it.

    It takes a pixel of the given images to where it is in the changed ones. `points`, if
    there are any, are kept inside the image.
    """
    height, width = images.shape[1:3]
    if points is None:
        points = np.empty((0, 2), np.float32)
    matrix = _drawn(how, (height, width), points, rng)
    constant = rng.random() < 0.3
    grey = rng.uniform(0, 255)
    state = rng.bit_generator.state
    changed = []
    for image in images:
        rng.bit_generator.state = state  # the same changes of light for all
        warped = _warped(image, matrix, constant, grey)
        changed.append(relight(warped, how.light, rng))
    return np.stack(changed), matrix


def apply(matrix: NDArray[np.float64], points: Points) -> Points:
    """Return `points` (…, 2) transformed by `matrix` (2, 3)."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _warp(
    how: Augmentation, image: ImageArray, points: Points, rng: np.random.Generator
) -> tuple[ImageArray, Points]:
    """Rotate, scale and shift the whole image; its border is repeated outwards."""
    # some images are not changed, so the network also trains on original ones
    if rng.random() < 0.15:
        return image, points
    matrix = _drawn(how, image.shape[:2], points, rng)
    constant, grey = rng.random() < 0.3, rng.uniform(0, 255)
    return _warped(image, matrix, constant, grey), apply(matrix, points)


def _drawn(
    how: Augmentation, shape: tuple[int, ...], points: Points, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a random matrix (2, 3): rotation, scale, shift; the animal stays visible."""
    size = np.array([shape[1], shape[0]])
    middle = (size - 1) / 2
    inside = points[np.isfinite(points).all(axis=1)]
    centre = inside.mean(axis=0) if len(inside) else middle

    # Half of the rotations are small, so that usual orientations stay frequent.
    turn = rng.uniform(-1, 1) * how.rotation_deg * (1 if rng.random() < 0.5 else 0.1)
    matrix = _similarity(turn, rng.uniform(*how.scale), middle, middle)
    goal = matrix[:, :2] @ centre + matrix[:, 2]

    # If the rotated animal would leave the image, move it back inside.
    wish = goal + rng.normal(0, how.shift, 2) * size
    matrix[:, 2] += wish.clip(0.02 * size, 0.98 * size) - goal
    return matrix


def _warped(
    image: ImageArray, matrix: NDArray[np.float64], constant: bool, grey: float
) -> ImageArray:
    import cv2

    out = cv2.warpAffine(
        image, matrix, (image.shape[1], image.shape[0]), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT if constant else cv2.BORDER_REPLICATE,
        borderValue=(grey, grey, grey),
    )  # fmt: skip
    return np.asarray(out, np.uint8)


def _move(
    how: Augmentation,
    image: ImageArray,
    points: Points,
    background: ImageArray,
    rng: np.random.Generator,
) -> tuple[ImageArray, Points]:
    """Copy-paste augmentation: cut the animal out and paste it anywhere on the background."""
    import cv2

    height, width = image.shape[:2]
    inside = points[np.isfinite(points).all(axis=1)]
    if not len(inside):
        return _warp(how, image, points, rng)

    # The mask is where the image differs from the background, near the labelled points.
    centre = inside.mean(axis=0)
    radius = 1.5 * max(8.0, float(np.ptp(inside, axis=0).max()))
    difference = np.abs(image.astype(np.int16) - background).max(axis=2)
    alpha = ((difference - 8) / 16.0).clip(0, 1)
    y, x = np.ogrid[:height, :width]
    away = np.hypot(x - centre[0], y - centre[1]) / radius
    alpha = (alpha * ((1.25 - away) / 0.25).clip(0, 1)).astype(np.float32)
    alpha = cv2.GaussianBlur(cv2.dilate(alpha, np.ones((3, 3))), (0, 0), 0.7)

    # Animals at the border are partly outside in live images too.
    goal = rng.uniform(-0.03, 1.03, 2) * [width, height]
    turn = rng.uniform(-1, 1) * how.rotation_deg
    matrix = _similarity(turn, rng.uniform(*how.scale), centre, goal)
    size = (width, height)

    scene = _scenery(background, rng).astype(np.float32)
    cover = cv2.warpAffine(alpha, matrix, size)[..., None]
    if rng.random() < 0.5:  # paste the animal itself
        animal = cv2.warpAffine(image, matrix, size).astype(np.float32)
        out = scene * (1 - cover) + animal * cover
    else:  # paste only its effect on the brightness of the image behind it
        ratio = (image.astype(np.float32) + 1) / (background.astype(np.float32) + 1)
        moved = cv2.warpAffine(ratio.clip(0, 4), matrix, size)
        out = scene * (1 + cover * (moved - 1))
    return out.clip(0, 255).astype(np.uint8), apply(matrix, points)


def _scenery(background: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Return the background, often rotated, mirrored or enlarged."""
    import cv2

    if rng.random() < 0.5:
        background = np.ascontiguousarray(background[:, ::-1])
    if rng.random() < 0.3:
        background = np.ascontiguousarray(background[::-1])
    if rng.random() < 0.6:
        return background
    height, width = background.shape[:2]
    middle = np.array([width - 1, height - 1]) / 2
    goal = middle + rng.normal(0, 0.15, 2) * [width, height]
    matrix = _similarity(rng.uniform(-180, 180), rng.uniform(0.7, 1.6), middle, goal)
    warped = cv2.warpAffine(
        background, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, np.uint8)


def _similarity(
    turn_deg: float,
    scale: float,
    centre: NDArray[np.floating],
    goal: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Return the (2, 3) matrix that rotates and scales, and moves `centre` to `goal`."""
    angle = np.radians(turn_deg)
    across, down = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[across, -down], [down, across]])
    return np.column_stack([linear, goal - linear @ centre])


def relight(
    image: NDArray[np.uint8], strength: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the image (height, width, 3) with other light, shadows, blur and noise.

    `strength` 0 does not change it, 1 changes it strongly.
    """
    import cv2

    if strength <= 0:
        return image
    height, width = image.shape[:2]
    out: NDArray[np.float32] = image.astype(np.float32)

    # In the order of a real camera: focus, light, exposure, colour, noise.
    if rng.random() < 0.3 * strength:
        blur = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 1.2))
        out = np.asarray(blur, np.float32)

    light = np.ones((height, width), np.float32)
    if rng.random() < 0.5 * strength:
        light *= _gradient(height, width, rng)
    for _ in range(rng.poisson(0.5 * strength)):
        light *= _shadow(height, width, rng)
    out *= light[..., None]

    gamma = np.exp(rng.normal(0, 0.25) * strength)
    contrast = np.exp(rng.normal(0, 0.2) * strength)
    brightness = rng.normal(0, 20) * strength
    out = 255 * (out.clip(0, 255) / 255) ** gamma
    out = (out - 127) * contrast + 127 + brightness

    if rng.random() < 0.3 * strength:  # as a monochrome camera
        out[:] = out @ np.array([0.114, 0.587, 0.299], np.float32)[:, None]
    elif rng.random() < 0.3 * strength:  # a colour cast
        out *= rng.uniform(0.8, 1.2, 3).astype(np.float32)
    if rng.random() < 0.5 * strength:
        noise = rng.standard_normal((height, width, 1), np.float32)
        out += rng.uniform(1, 8) * noise
    return np.asarray(out.clip(0, 255), np.uint8)


def _gradient(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a brightness gradient from one side, 0.6 to 1.2."""
    angle = rng.uniform(0, 2 * np.pi)
    steepness = rng.uniform(0, 0.3)
    x = np.linspace(-1, 1, width, dtype=np.float32) * steepness * np.cos(angle)
    y = np.linspace(-1, 1, height, dtype=np.float32) * steepness * np.sin(angle)
    return np.asarray(np.float32(0.95) + x + y[:, None], np.float32)


def _shadow(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return an ellipse that is darker, sometimes brighter, with a hard or soft edge."""
    cx, cy = rng.uniform(0, 1, 2) * [width, height]
    rx, ry = rng.uniform(0.04, 0.35, 2) * width
    x = ((np.arange(width) - cx) / rx).astype(np.float32)
    y = ((np.arange(height) - cy) / ry).astype(np.float32)
    inside = 1 - np.sqrt(x**2 + (y**2)[:, None])
    edge = rng.uniform(0.05, 1.0)
    level = rng.uniform(0.35, 1.25)
    depth = (inside * np.float32(1 / edge)).clip(0, 1)
    return np.asarray(1 + np.float32(level - 1) * depth, np.float32)
