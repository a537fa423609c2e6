"""Labels lie on what they mark, to a tenth of a pixel, from the camera's image to the decoder."""

from dataclasses import replace

import numpy as np
import pytest

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.image_fitting import Fitting, ImageWindow, whole
from deeplabstream.training.data.augmentation import (
    Augmentation,
    apply,
    augment,
    augment_clip,
)

WITHIN_PX = 0.1
DOT_PX = 3.0
"""Standard deviation of a dot."""
REACH = 13
"""Half the side of the square around a label in which its dot must lie, px."""
SKELETON = Skeleton(("leftear", "rightear", "snout"))
KNOWN = np.ones(3, np.bool_)
INPUT = Fitting(96, 128, rest=0)
POINTS = np.array([[41.3, 34.6], [70.8, 61.45], [84.0, 36.0]], np.float32)
"""One dot in each colour."""


def dots(points: np.ndarray, height: int, width: int, sd: float = DOT_PX) -> np.ndarray:
    """Return an image with a Gaussian dot at each point, each in a colour of its own."""
    y, x = np.mgrid[:height, :width]
    squares = [(x - at[0]) ** 2 + (y - at[1]) ** 2 for at in points]
    shapes = np.exp(-np.stack(squares, axis=2) / (2 * sd**2))
    return np.asarray(np.rint(250 * shapes), np.uint8)


def dot_near(image: np.ndarray, point: np.ndarray, colours: list[int]) -> np.ndarray:
    """Return the centroid of the dot of one of the colours around a point, px."""
    left, top = np.rint(point).astype(int) - REACH
    square = image[top : top + 2 * REACH + 1, left : left + 2 * REACH + 1, colours]
    weight = square[..., square.sum(axis=(0, 1)).argmax()].astype(np.float64)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    middle = [(own * weight).sum() / weight.sum() for own in (x, y)]
    return np.add(middle, [left, top])


def check(image: np.ndarray, points: np.ndarray, colours: list[list[int]]) -> bool:
    """Check that labels lie on their dots; False: one is too near the border to tell."""
    size = np.array([image.shape[1], image.shape[0]])
    if not ((points > REACH + 1) & (points < size - REACH - 2)).all():
        return False
    pairs = zip(points, colours, strict=True)
    at = [dot_near(image, point, own) for point, own in pairs]
    np.testing.assert_allclose(points, at, atol=WITHIN_PX)
    return True


@pytest.mark.parametrize(
    ("rotation_deg", "scale", "mirror"),
    [
        (0, (1.0, 1.0), True),
        (180, (1.0, 1.0), False),
        (0, (0.75, 1.3), False),
        (180, (0.75, 1.3), True),
    ],
    ids=("mirrored", "turned", "scaled", "all"),
)
def test_labels_follow_augmented_images(
    rotation_deg: float, scale: tuple[float, float], mirror: bool
) -> None:
    how = Augmentation(rotation_deg, scale, shift=0.02, mirror=mirror, light=0)
    image = dots(POINTS, INPUT.height, INPUT.width)
    # The ears exchange their names in a mirror image, and the colours do not.
    ears = [0, 1] if mirror else [0]
    colours = [ears, ears if mirror else [1], [2]]
    compared = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        changed, points, _ = augment(how, SKELETON, image, POINTS, KNOWN, None, rng)
        compared += check(changed, points, colours)
    assert compared > 10


def test_labels_follow_augmented_clips() -> None:
    how = Augmentation(rotation_deg=30, shift=0.02, mirror=False, light=0)
    image = dots(POINTS, INPUT.height, INPUT.width)
    compared = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        changed, matrix = augment_clip(how, image[None], POINTS, rng)
        compared += check(changed[0], apply(matrix, POINTS), [[0], [1], [2]])
    assert compared > 5


@pytest.mark.parametrize(
    ("camera", "window"),
    [
        ((192, 256), whole((192, 256), INPUT)),
        ((240, 300), whole((240, 300), INPUT)),
        ((131, 173), whole((131, 173), INPUT)),
        ((72, 96), whole((72, 96), INPUT)),
        ((240, 300), whole((240, 300), replace(INPUT, fit="stretch"))),
        ((240, 300), whole((240, 300), replace(INPUT, sampling="antialias"))),
        ((96, 128), whole((96, 128), replace(INPUT, fit="native"))),
        ((240, 300), ImageWindow(30, 20, 220, 165, INPUT)),
    ],
    ids=(
        "averages", "letterbox", "linear", "enlarged", "stretch", "antialias",
        "native", "window",
    ),
)  # fmt: skip
def test_points_return_through_input_and_decoder(
    camera: tuple[int, int], window: ImageWindow
) -> None:
    height, width = camera
    fitting = window.fitting
    labels = POINTS * np.array([width, height], np.float32) / [128, 96]
    image = dots(labels, height, width, DOT_PX * max(1, width / 128))
    fitted = np.zeros((fitting.height, fitting.width, 3), np.uint8)
    window.place(image, fitted)
    assert check(fitted, window.to_input(labels), [[0], [1], [2]])

    seen = [dot_near(fitted, at, [n]) for n, at in enumerate(window.to_input(labels))]
    decoder = Heatmaps(stride=4, sigma=1.25)
    given = np.array(seen, np.float32)[None, None]
    maps = decoder.encode(given, fitting.height, fitting.width)
    found, _ = decoder.decode(maps)
    px = max(1.0, window.width / fitting.width)  # camera pixels per input pixel
    np.testing.assert_allclose(
        window.to_image(found[0, 0]), labels, atol=WITHIN_PX * px
    )
