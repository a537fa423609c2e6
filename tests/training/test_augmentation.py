import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.body_sides import mirrored
from deeplabstream.core.pose import Skeleton
from deeplabstream.training.data.augmentation import Augmentation, augment

SKELETON = Skeleton(("leftear", "rightear"))
POINTS = np.array([[40, 30], [70, 60]], np.float32)
KNOWN = np.ones(2, np.bool_)
EMPTY = np.full((96, 128, 3), 120, np.uint8)


def scene() -> np.ndarray:
    picture = EMPTY.copy()
    for (x, y), level in zip(POINTS, (10, 245), strict=True):
        cv2.circle(picture, (int(x), int(y)), 5, (level,) * 3, -1)
    return picture


def follows(picture: np.ndarray, points: np.ndarray, levels: tuple[int, int]) -> None:
    """Check that each point inside the picture lies on its dot."""
    for (x, y), level in zip(points, levels, strict=True):
        if 3 < x < 124 and 3 < y < 92:
            assert abs(int(picture[round(y), round(x), 0]) - level) < 60


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.9]))
def test_points_stay_on_the_animal(seed: int, moved: float) -> None:
    how = Augmentation(mirror=False, light=0, moved=moved, empty=0)
    rng = np.random.default_rng(seed)
    picture, points, _ = augment(how, SKELETON, scene(), POINTS, KNOWN, EMPTY, rng)
    assert picture.shape == EMPTY.shape
    assert picture.dtype == np.uint8
    follows(picture, points, (10, 245))


def test_a_mirror_swaps_left_and_right() -> None:
    how = Augmentation(rotation_deg=0, scale=(1, 1), light=0)
    pictures = set()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        picture, points, _ = augment(how, SKELETON, scene(), POINTS, KNOWN, None, rng)
        flipped = bool(points[0, 1] > points[1, 1])
        follows(picture, points, (10, 245) if not flipped else (245, 10))
        pictures.add(flipped)
    assert pictures == {False, True}


def test_what_has_no_other_side_stays_in_a_mirror() -> None:
    parts = ("snout", "left_ear", "right_ear", "lefteye")
    assert mirrored(Skeleton(parts)) == [0, 2, 1, 3]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        # of SLEAP's flies
        (("thorax", "forelegL4", "forelegR4", "midlegL4", "midlegR4"), [0, 2, 1, 4, 3]),
        (("paw_l_front", "paw_r_front", "paw_l_hind", "paw_r_hind"), [1, 0, 3, 2]),
        (("pawLFront", "pawRFront", "ear-l-tip", "ear-r-tip"), [1, 0, 3, 2]),
        (("LF", "RF", "LR", "RR"), [1, 0, 3, 2]),
        (("FL", "FR", "RL", "RR"), [1, 0, 3, 2]),
        (("Leg", "Reg_x", "snoutLip", "snoutRip"), [0, 1, 2, 3]),
        (("l_l", "r_l", "r_r"), [0, 2, 1]),  # one counterpart each, and in return
    ],
)
def test_the_other_side_is_found_in_names(
    parts: tuple[str, ...], expected: list[int]
) -> None:
    assert mirrored(Skeleton(parts)) == expected


def test_an_empty_scene_has_no_points() -> None:
    how = Augmentation(empty=1.0)
    rng = np.random.default_rng(0)
    _, points, _ = augment(how, SKELETON, scene(), POINTS, KNOWN, EMPTY, rng)
    assert np.isnan(points).all()


def test_the_same_seed_gives_the_same_picture() -> None:
    how = Augmentation()
    first, second = (
        augment(how, SKELETON, scene(), POINTS, KNOWN, EMPTY, np.random.default_rng(3))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
