"""Background subtraction: animals are found without a network."""

from collections.abc import Sequence
from math import cos, pi, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.regions import Circle, Rectangle, Region
from deeplabstream.pose.background.background_detector import (
    BackgroundDetector,
    BackgroundSubtraction,
)
from deeplabstream.pose.background.background_model import Polarity
from deeplabstream.pose.model.model_opening import open_estimator
from tests.pose.fly_images import SHAPE, by_threshold, image_of

WELLS = Circle(50, 60, 45), Circle(150, 60, 45)


def wells(regions: Sequence[Region] = WELLS) -> dict[str, Region]:
    """The regions under names."""
    return {f"A{number}": region for number, region in enumerate(regions, start=1)}


def walk(frames: int) -> list[tuple[float, float, float]]:
    """Places and angles of a fly that walks on a circle in the left well."""
    turns = [frame / 25 for frame in range(frames)]
    return [(50 + 25 * cos(t), 60 + 25 * sin(t), t + pi / 2) for t in turns]


def found(detector: BackgroundDetector, image: Image) -> np.ndarray:
    (pose,) = detector.estimate([image], ["top"])
    seen = np.isfinite(pose.points[..., 0])
    assert (pose.confidence == seen).all()
    return pose.points


def test_positions_agree_with_an_independent_threshold_script() -> None:
    detector = BackgroundDetector(BackgroundSubtraction())
    empty = image_of((), noise=0)
    for frame, fly in enumerate(walk(60)):
        image = image_of([fly], frame)
        expected = by_threshold(image, empty, 30)
        (point,) = found(detector, image)[0]
        assert np.linalg.norm(point - expected) < 0.5
        assert np.linalg.norm(point - fly[:2]) < 0.3


@given(
    x=st.floats(20, 180), y=st.floats(20, 100), angle=st.floats(0, pi),
    depth=st.integers(40, 120),
)  # fmt: skip
def test_one_image_is_enough_for_centre_and_axis(
    x: float, y: float, angle: float, depth: int
) -> None:
    from deeplabstream.pose.background.objects import find_objects
    from deeplabstream.pose.background.pixel_areas import pixel_areas

    clean = image_of((), noise=0).astype(int)
    contrast = clean - image_of([(x, y, angle)], depth=depth, noise=0)
    contrast = np.clip(contrast, 0, 255).astype(np.uint8)
    differs = np.where(contrast > 5, 255, 0).astype(np.uint8)
    objects = find_objects(contrast, differs, pixel_areas(SHAPE, ()))
    assert len(objects) == 1
    assert objects.centre[0] == pytest.approx((x, y), abs=0.1)
    along = objects.half_axis[0] @ (cos(angle), sin(angle))
    assert abs(along) == pytest.approx(7.0, abs=0.6)
    across = objects.half_axis[0] @ (-sin(angle), cos(angle))
    assert across == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize("polarity", ["dark", "bright", "both"])
def test_an_animal_that_has_never_moved_is_found_and_leaves_nothing_behind(
    polarity: Polarity,
) -> None:
    detector = BackgroundDetector(BackgroundSubtraction(polarity=polarity))
    depth = -70 if polarity == "bright" else 110
    for frame in range(40):
        (point,) = found(detector, image_of([(40, 50, 0)], frame, depth=depth))[0]
        assert np.linalg.norm(point - (40, 50)) < 0.5

    # then it goes; of two spots, the old place must not stay
    last = np.empty(2)
    for frame in range(60):
        image = image_of([(40 + 2 * frame, 50, 0)], 100 + frame, depth=depth)
        (last,) = found(detector, image)[0]
    assert np.linalg.norm(last - (158, 50)) < 0.5


def test_a_resting_animal_stays_an_animal() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(adapt_frames=20))
    fly = 40, 50, 0.3
    for frame in range(400):
        (point,) = found(detector, image_of([fly], frame))[0]
    assert np.linalg.norm(point - fly[:2]) < 0.5


def test_a_dark_spot_of_the_floor_is_not_the_animal_for_long() -> None:
    detector = BackgroundDetector(BackgroundSubtraction())
    spot = 90.0, 60.0, 1.0
    for frame, fly in enumerate(walk(200)):
        (point,) = found(detector, image_of([spot, fly], frame))[0]
        if frame > 60:
            assert np.linalg.norm(point - fly[:2]) < 0.5


def test_without_an_animal_nothing_is_found() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(), wells())
    for frame in range(20):
        assert np.isnan(found(detector, image_of((), frame))).all()


def test_noise_raises_the_threshold() -> None:
    rules, faint = BackgroundSubtraction(length_px=15), 25
    for noise, seen in ((0.5, True), (8.0, False)):
        detector = BackgroundDetector(rules)
        for frame in range(30):
            image = image_of([(60, 60, 0)], frame, depth=faint, noise=noise)
            points = found(detector, image)
        assert np.isfinite(points).all() == seen


def test_each_region_has_its_own_animal_in_the_order_of_the_regions() -> None:
    for regions in (WELLS, WELLS[::-1]):
        detector = BackgroundDetector(BackgroundSubtraction(), wells(regions))
        for frame, left in enumerate(walk(30)):
            right = 150 + 0.5 * frame, 40.0, 0.0
            points = found(detector, image_of([left, right], frame))
            expected = [left, right] if regions is WELLS else [right, left]
            assert points[:, 0] == pytest.approx(np.array(expected)[:, :2], abs=0.5)


def test_an_animal_outside_of_all_regions_is_not_found() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(), wells(WELLS[:1]))
    for frame in range(10):
        assert np.isnan(found(detector, image_of([(150, 60, 0)], frame))).all()


def test_animals_of_two_touching_regions_stay_apart() -> None:
    halves = Rectangle(0, 0, 99.5, 120), Rectangle(99.5, 0, 100, 120)
    detector = BackgroundDetector(BackgroundSubtraction(), wells(halves))
    for frame in range(20):
        image = image_of([(94, 60, 0), (105, 60, 0)], frame)
        left, right = found(detector, image)[:, 0]
        assert left[0] < 99.5 < right[0]


def test_a_switched_light_leaves_the_animal_unknown_for_some_frames_at_most() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(), wells())
    for frame in range(60):
        floor = 170 if frame < 20 or frame >= 40 else 120
        points = found(detector, image_of([walk(60)[frame]], frame, floor=floor))
        (point,) = points[0]
        late = frame % 20 >= 3
        if np.isfinite(point).all() or late:
            assert np.linalg.norm(point - walk(60)[frame][:2]) < 2
        assert np.isnan(points[1]).all()


def test_the_front_is_unknown_until_the_animal_moves_and_then_leads() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(points="axis"))
    start, *later = walk(80)
    for frame in range(5):
        front, centre, back = found(detector, image_of([start], frame))[0]
        assert np.isnan(front).all() and np.isnan(back).all()
        assert np.isfinite(centre).all()
    for frame, fly in enumerate(later):
        front, centre, back = found(detector, image_of([fly], frame))[0]
        if frame > 20:
            ahead = np.array([cos(fly[2]), sin(fly[2])])
            assert front - centre == pytest.approx(7 * ahead, abs=1.5)
            assert back - centre == pytest.approx(-7 * ahead, abs=1.5)


def test_the_front_changes_sides_when_the_animal_goes_on_backward() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(points="axis"))
    places = [*np.arange(40, 100, 1.5), *np.arange(100, 40, -1.5)]
    fronts = [
        found(detector, image_of([(x, 60, 0)], n))[0, 0] for n, x in enumerate(places)
    ]
    assert fronts[39][0] > places[39] + 4
    assert fronts[-1][0] < places[-1] - 4


def test_equal_frames_give_equal_poses_of_each_camera() -> None:
    images = [image_of([fly], n) for n, fly in enumerate(walk(30))]
    alone = BackgroundDetector(BackgroundSubtraction(points="axis"))
    expected = [alone.estimate([image], ["a"])[0].points for image in images]
    both = BackgroundDetector(BackgroundSubtraction(points="axis"))
    empty = image_of(())
    for image, points in zip(images, expected, strict=True):
        _, pose = both.estimate([empty, image], ["b", "a"])
        assert np.array_equal(pose.points, points, equal_nan=True)


def test_images_without_a_camera_are_searched_alone() -> None:
    detector = BackgroundDetector(BackgroundSubtraction())
    bright = np.full(SHAPE, 250, np.uint8)
    image = image_of([(60, 60, 0)])
    before = detector.estimate([image])[0].points
    after = detector.estimate([bright, image])[1].points
    assert np.array_equal(before, after)
    assert before[0, 0] == pytest.approx((60, 60), abs=0.5)


def test_colour_and_more_than_8_bits_are_the_same_to_it() -> None:
    image = image_of([(60, 60, 0)])
    expected = BackgroundDetector(BackgroundSubtraction()).estimate([image])[0].points
    deep = image.astype(np.uint16) * 16
    for other in (np.dstack([image] * 3), deep):
        pose = BackgroundDetector(BackgroundSubtraction()).estimate([other])[0]
        assert pose.points == pytest.approx(expected, abs=0.05)


def test_several_animals_without_regions_are_those_of_the_most_contrast() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(), animals=3)
    points = found(detector, image_of([(60, 60, 0), (140, 60, 0)]))
    assert points.shape == (3, 1, 2)
    assert sorted(points[:2, 0, 0]) == pytest.approx([60, 140], abs=0.5)
    assert np.isnan(points[2]).all()


def test_arenas_beside_the_image_of_a_camera_are_named() -> None:
    arenas = {"A1": WELLS[0], "A2": Circle(400, 60, 20), "A3": Circle(50, 500, 20)}
    detector = BackgroundDetector(BackgroundSubtraction(), arenas)
    with pytest.raises(ModelError, match=r"A2, A3: outside of .*top.*, 200×120 px"):
        detector.estimate([image_of(())], ["top"])
    # programs measure the time for a grey image of any size
    (pose,) = detector.estimate([image_of([(50, 60, 0)])])
    assert np.isfinite(pose.points[:, 0, 0]).tolist() == [True, False, False]


def test_programs_without_settings_say_where_background_subtraction_works() -> None:
    with pytest.raises(ModelError, match="VideoAnalyzer"):
        open_estimator("background")


PLATE = [Circle(28 + 48 * n, 60, 22) for n in range(4)]


def plate(
    flies: Sequence[float],
    marks: Sequence[float] = (),
    seed: int = 0,
    *,
    floor: float = 170,
) -> Image:
    """Four bright wells in a dark plate: flies (darker) and marks (faint) at x, y = 60."""
    half = 5, 2.5
    image = image_of([(x, 60, 0) for x in flies], seed, floor=floor, half=half)
    faint = image_of(
        [(x, 68, 0) for x in marks], seed, floor=floor, depth=30, half=half
    )
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    is_wall = np.min([np.hypot(x - it.x, y - it.y) - it.r for it in PLATE], axis=0) > -2
    return np.where(is_wall, 25, np.minimum(image, faint)).astype(np.uint8)


def test_a_mark_of_an_empty_well_is_no_animal_and_a_resting_fly_is_one() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(length_px=15), wells(PLATE))
    for frame in range(60):
        walking = 20 + frame / 4, 70 + frame / 4
        image = plate([*walking, 170], marks=[124], seed=frame)
        places = found(detector, image)[:, 0, 0]
        assert np.isnan(places[2])
        assert places[[0, 1, 3]] == pytest.approx([*walking, 170], abs=0.5)


def test_on_an_empty_plate_marks_are_no_animals() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(length_px=15), wells(PLATE))
    for frame in range(30):
        image = plate([], marks=[124], seed=frame)
        assert np.isnan(found(detector, image)).all()


def test_a_wall_between_two_wells_is_no_animal() -> None:
    # narrower than the length of an animal, as an animal is
    detector = BackgroundDetector(BackgroundSubtraction(length_px=25), wells(PLATE))
    for frame in range(30):
        assert np.isnan(found(detector, plate([], seed=frame))).all()


def test_a_plate_that_vibrates_makes_no_animal() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(length_px=15), wells(PLATE))
    for frame in range(60):
        walking = 20 + frame / 4, 70 + frame / 4
        image = plate(walking, seed=frame).astype(float)
        if frame % 20 == 10:
            beside = np.roll(image, 1, axis=1)
            image += 0.3 * (beside - image)
        places = found(detector, image.round().astype(np.uint8))
        assert np.isfinite(places[:2]).all() and np.isnan(places[2:]).all()


def test_the_first_animal_of_a_plate_is_known_once_it_has_moved() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(length_px=15), wells(PLATE))
    for frame in range(100):
        x = 20 + max(0, frame - 50) / 3
        places = found(detector, plate([x], seed=frame))[:, 0, 0]
        assert np.isnan(places[0]) or places[0] == pytest.approx(x, abs=0.5)
        assert np.isnan(places[0]) == (x < 20 + 7.5 - 1) or 26.5 < x < 29
        assert np.isnan(places[1:]).all()


def test_resting_animals_of_a_sparse_plate_are_known_where_subjects_are() -> None:
    rules = BackgroundSubtraction(length_px=15)
    for occupied, is_known in ((["A2"], True), ([], False)):
        detector = BackgroundDetector(rules, wells(PLATE), occupied=occupied)
        for frame in range(20):
            places = found(detector, plate([76], marks=[124], seed=frame))[:, 0, 0]
            assert np.isfinite(places).tolist() == [False, is_known, False, False]


def test_a_dark_object_that_rests_in_a_well_without_a_subject_is_no_animal() -> None:
    rules = BackgroundSubtraction(length_px=15)
    detector = BackgroundDetector(rules, wells(PLATE), occupied=["A1", "A2"])
    for frame in range(60):
        moving = 20 + frame / 4
        places = found(detector, plate([moving, 76, 124], seed=frame))[:, 0, 0]
        assert np.isfinite(places).tolist() == [True, True, False, False]
    # an animal that was put into the wrong well is found once it has moved
    for frame in range(60):
        places = found(detector, plate([35, 76, 124 + frame / 4], seed=frame))
    assert places[2, 0, 0] == pytest.approx(124 + 59 / 4, abs=0.5)


def test_after_a_change_of_light_a_mark_is_no_animal_where_one_had_moved() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(length_px=15), wells(PLATE))
    for frame in range(80):
        moving = [at + 8 + frame % 40 / 4 for at in (12, 60, 108)]
        # while the light is off, the third fly is taken out
        flies, floor = (moving, 170) if frame < 40 else (moving[:2], 120)
        image = plate(flies, marks=[124], seed=frame, floor=floor)
        places = found(detector, image)[:, 0, 0]
        if frame in (39, 79):
            is_found = np.isfinite(places).tolist()
            assert is_found == [True, True, frame == 39, False]


def test_an_animal_that_jumps_in_each_frame_has_moved_after_some_jumps() -> None:
    detector = BackgroundDetector(BackgroundSubtraction(length_px=15), wells(PLATE))
    for frame in range(20):
        x = 66 if frame % 2 else 90
        places = found(detector, plate([x], marks=[124], seed=frame))[:, 0, 0]
        if frame >= 6:
            assert places[1] == pytest.approx(x, abs=0.5)
        assert np.isnan(places[[0, 2, 3]]).all()
