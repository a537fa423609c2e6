"""Marks along a tail that no network finds."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.pose.tracking.aligned_crops import BodyAxis
from deeplabstream.pose.tracking.tail_marks import SEGMENTS, tail_marks

AXIS = BodyAxis(0, 1)
POINTS = np.array([[50.0, 120.0], [150.0, 120.0]])
SEEN = np.array([True, True])
NOBODY = np.zeros((0, 2))
FLOOR, SKIN, INK = 170, 130, 30


def picture(
    marks: tuple[tuple[float, float], ...] = (), bend: float = 0.0, skin: int = SKIN
) -> Image:
    """Return an animal of 100 px with marks from and to so many px behind its body."""
    image = np.full((240, 320, 3), FLOOR, np.uint8)
    random = np.random.default_rng(0)
    image += random.integers(0, 5, image.shape, np.uint8)

    def place(behind: float) -> tuple[int, int]:
        return round(150 + behind), round(120 + bend * behind**2 / 100)

    for behind in range(100):
        colour = (
            INK if any(low <= behind < high for low, high in marks) else skin,
        ) * 3
        cv2.line(image, place(behind), place(behind + 1), colour, 5)
    cv2.ellipse(image, (100, 120), (50, 18), 0, 0, 360, (40, 40, 40), -1)
    return image


def marked(image: Image, others: NDArray[np.float64] = NOBODY) -> NDArray[np.float64]:
    """Return the contrast (segment, colour) of the tail."""
    found = tail_marks(image, POINTS, SEEN, others, AXIS)
    assert found is not None
    return found.reshape(SEGMENTS, -1)


@pytest.mark.parametrize("bend", [0.0, 0.4, -0.7])
def test_a_mark_is_where_it_is_on_a_bent_tail(bend: float) -> None:
    plain = marked(picture(bend=bend)).mean(axis=1)
    assert plain[1:] == pytest.approx((FLOOR - SKIN) / FLOOR, abs=0.05)
    band = marked(picture(((20, 30),), bend)).mean(axis=1)
    # a segment is 5 px long
    assert np.argmax(band) in (4, 5)
    assert band[4:6].mean() > 0.6
    assert band[8:] == pytest.approx(plain[8:], abs=0.05)


def test_contrast_is_that_of_the_animal_in_any_light() -> None:
    image = picture(((20, 30),))
    dim = np.asarray(image * 0.6, np.uint8)
    assert marked(dim) == pytest.approx(marked(image), abs=0.15)
    deep = image.astype(np.uint16) * 257
    assert marked(deep) == pytest.approx(marked(image), abs=0.01)
    grey = marked(np.ascontiguousarray(image[..., 0]))
    assert grey.shape == (SEGMENTS, 1)
    assert grey[:, 0] == pytest.approx(marked(image)[:, 0], abs=0.01)


def test_what_is_not_seen_is_unknown() -> None:
    image = picture(((20, 30),))
    assert tail_marks(image, POINTS, np.array([False, True]), NOBODY, AXIS) is None
    near = np.array([[200.0, 140.0]])
    assert tail_marks(image, POINTS, SEEN, near, AXIS) is None
    far = np.array([[200.0, 200.0]])
    assert tail_marks(image, POINTS, SEEN, far, AXIS) is not None
    no_tail = picture(skin=FLOOR + 2)
    assert tail_marks(no_tail, POINTS, SEEN, NOBODY, AXIS) is None
    # turned round by the network: there is no tail before the snout
    assert tail_marks(image, POINTS[::-1], SEEN, NOBODY, AXIS) is None
    close = np.array([[150.0, 120.0], [155.0, 120.0]])
    assert tail_marks(image, close, SEEN, NOBODY, AXIS) is None
