"""Crops that are aligned by the body axis."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.tracking.aligned_crops import (
    AHEAD,
    LENGTH,
    SIZE,
    BodyAxis,
    body_axis,
    clear_crops,
    crop,
    crop_transform,
    is_clear,
)

SKELETON = Skeleton(("tailbase", "snout"), (("snout", "tailbase"),))
AXIS = BodyAxis(front=1, rear=0)
BOTH = np.ones(2, bool)
HEIGHT, WIDTH = SIZE


def posed(degrees: float, length: float = 80.0) -> NDArray[np.float64]:
    """Return tail base and snout of an animal in the middle of an image of 400x400."""
    angle = np.deg2rad(degrees)
    half = length / 2 * np.array([np.cos(angle), np.sin(angle)])
    return np.array([200 - half, 200 + half])


def drawn(degrees: float, length: float = 80.0) -> NDArray[np.uint8]:
    """Return an image with a bright front, and a mark on the animal's left side."""
    image = np.full((400, 400, 3), 90, np.uint8)
    rear, front = posed(degrees, length)
    left = np.array([front[1] - rear[1], rear[0] - front[0]]) / length
    for place, radius, shade in (
        ((rear + front) / 2, 0.2, 40),
        (front, 0.12, 240),
        ((rear + front) / 2 + 0.25 * length * left, 0.08, 200),
    ):
        x, y = np.round(place * 16).astype(int).tolist()
        size = round(radius * length * 16)
        cv2.circle(image, (x, y), size, (shade,) * 3, -1, cv2.LINE_AA, 4)
    return image


def crop_of(degrees: float, length: float = 80.0) -> NDArray[np.uint8]:
    transform = crop_transform(posed(degrees, length), BOTH, AXIS)
    assert transform is not None
    return crop(drawn(degrees, length), transform)


@pytest.mark.parametrize("degrees", [0, 37, 90, 180, 251])
@pytest.mark.parametrize("length", [60, 80, 120])
def test_an_animal_has_the_same_crop_in_each_direction_and_size(
    degrees: float, length: float
) -> None:
    away = np.abs(crop_of(degrees, length).astype(int) - crop_of(0))
    assert away.mean() < 2


def test_front_is_right_and_the_left_side_is_up() -> None:
    pixels = crop_of(0)[..., 0]
    assert pixels.shape == SIZE
    y, x = np.argwhere(pixels > 225).mean(axis=0)
    assert x == pytest.approx(WIDTH * (1 - AHEAD / LENGTH) - 0.5, abs=1)
    assert y == pytest.approx(HEIGHT / 2 - 0.5, abs=1)
    y, _ = np.argwhere((pixels > 170) & (pixels < 210)).mean(axis=0)
    assert y < HEIGHT / 2


def test_a_crop_of_a_grey_image_of_16_bits_is_the_same() -> None:
    transform = crop_transform(posed(30), BOTH, AXIS)
    assert transform is not None
    wide = drawn(30)[..., 0].astype(np.uint16) * 257
    away = np.abs(crop(wide, transform).astype(int) - crop_of(30))
    assert away.max() <= 2


def test_without_an_end_of_its_axis_an_animal_has_no_crop() -> None:
    assert crop_transform(posed(0), np.array([True, False]), AXIS) is None
    assert crop_transform(posed(0, length=5), BOTH, AXIS) is None


def test_a_crop_is_clear_when_no_point_of_another_animal_is_in_it() -> None:
    transform = crop_transform(posed(0), BOTH, AXIS)
    assert transform is not None
    across = HEIGHT / WIDTH * LENGTH * 80 / 2
    unseen = [np.nan, np.nan]
    assert not is_clear(transform, np.array([unseen, [200, 200 + across - 2]]))
    assert is_clear(transform, np.array([unseen, [200, 200 + across + 4]]))


def test_crops_that_overlap_the_pose_of_another_animal_are_refused() -> None:
    """The edge between two points crosses the crop; the points themselves are outside."""
    near = np.array([[200.0, 120.0], [200.0, 280.0]])
    far = np.array([[40.0, 40.0], [40.0, 100.0]])
    image = drawn(0)
    assert clear_crops(image, np.stack([posed(0), near]), SKELETON, AXIS) == {}
    assert {*clear_crops(image, np.stack([posed(0), far]), SKELETON, AXIS)} == {0, 1}
    lost = np.full((2, 2), np.nan)
    assert {*clear_crops(image, np.stack([posed(0), lost]), SKELETON, AXIS)} == {0}


def test_the_body_axis_is_found_by_usual_names_or_stated() -> None:
    assert body_axis(SKELETON) == AXIS
    fish = Skeleton(("mouth", "fin"))
    assert body_axis(fish, ("mouth", "fin")) == BodyAxis(0, 1)
    with pytest.raises(
        DeepLabStreamError, match="no body axis from a snout and a tail"
    ):
        body_axis(fish)
    with pytest.raises(DeepLabStreamError, match="from mouth and tail among"):
        body_axis(fish, ("mouth", "tail"))
    with pytest.raises(DeepLabStreamError, match="no body axis from mouth and mouth"):
        body_axis(fish, ("mouth", "mouth"))
