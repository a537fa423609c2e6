"""Pixels to millimetres: known cameras, known floors."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deeplabstream.core.calibration import (
    Calibration,
    CalibrationMark,
    from_marks,
    from_scale,
    parse_mark,
)

FLOOR = np.array([(0, 0), (400, 0), (400, 300), (0, 300), (200, 150), (50, 250)])
TILTED = np.array([[1.2, 0.1, 80], [0.05, 1.1, 60], [2e-4, 5e-4, 1]])
"""From mm to px: a camera that does not look straight down."""


def seen(floor: np.ndarray, shift: float = 0.0) -> list[CalibrationMark]:
    there = np.column_stack([floor, np.ones(len(floor))]) @ TILTED.T
    pixels = there[:, :2] / there[:, 2:] + shift * np.array([[1, -1]] * len(floor))
    return [
        CalibrationMark(*p, *f)
        for p, f in zip(pixels.tolist(), floor.tolist(), strict=True)
    ]


def test_four_marks_give_the_camera_back() -> None:
    calibration = from_marks(seen(FLOOR[:4]))
    others = seen(FLOOR[4:])
    pixels = [(mark.x, mark.y) for mark in others]
    np.testing.assert_allclose(calibration.to_mm(pixels), FLOOR[4:], atol=1e-6)
    np.testing.assert_allclose(calibration.to_px(FLOOR[4:]), pixels, atol=1e-6)
    assert "a fifth" in str(calibration)


def test_a_mark_that_was_misread_is_told() -> None:
    marks = seen(FLOOR)
    calibration = from_marks(marks)
    assert calibration.residuals_mm.max() < 1e-6
    wrong = [
        *marks[:4],
        CalibrationMark(marks[4].x + 10, marks[4].y, 200, 150),
        marks[5],
    ]
    assert from_marks(wrong).residuals_mm.argmax() == 4
    assert str(wrong[4]) in str(from_marks(wrong))


def test_a_pixel_of_a_tilted_camera_is_larger_where_the_floor_is_far() -> None:
    calibration = from_marks(seen(FLOOR))
    near, far = seen(np.array([(0, 0), (400, 300)]))
    assert calibration.mm_per_pixel(far.x, far.y) > 1.3 * calibration.mm_per_pixel(
        near.x, near.y
    )


@given(st.floats(0.01, 10), st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_there_and_back_is_the_same_place(scale: float, x: float, y: float) -> None:
    calibration = from_scale(scale)
    assert calibration.to_px(calibration.to_mm((x, y))) == pytest.approx((x, y))
    assert calibration.mm_per_pixel(x, y) == pytest.approx(scale)


@given(st.lists(st.tuples(st.floats(50, 350), st.floats(50, 250)), max_size=5))
def test_a_plane_seen_from_the_side_is_still_a_plane(
    more: list[tuple[float, float]],
) -> None:
    floor = np.vstack([FLOOR[:4], np.array(more).reshape(-1, 2)])
    assume(len(np.unique(floor.round(3), axis=0)) == len(floor))
    assert from_marks(seen(floor)).residuals_mm.max() < 1e-5


def test_above_the_horizon_there_is_no_floor() -> None:
    calibration = from_marks(seen(FLOOR))
    horizon = np.array(calibration.matrix)[2]
    below = np.array([300.0, 200.0])
    assert np.isfinite(calibration.to_mm(below)).all()
    away = (horizon @ [*below, 1]) / (horizon[:2] @ horizon[:2])
    assert np.isnan(calibration.to_mm(below - 2 * away * horizon[:2])).all()


def test_what_is_lost_stays_lost() -> None:
    assert np.isnan(from_scale(0.5).to_mm((np.nan, 3.0))[0])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("0 0 0 0, 9 0 9 0, 9 9 9 9", "four marks"),
        ("0 0 0 0, 9 0 9 0, 18 0 18 0, 27 0 27 0", "one line"),
        ("0 0 0 0, 9 0 9 0, 18 0 18 0, 0 9 0 9", "three of the four"),
        ("0 0 0 9, 9 0 9 9, 9 9 9 0, 0 9 0 0", "mirrored"),
        ("0 0 0 0, 9 0 9 0, 9 9 0 9, 0 9 9 9", "order"),
    ],
)
def test_marks_that_can_not_be_are_a_sentence(words: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        from_marks([parse_mark(mark) for mark in words.split(",")])


@pytest.mark.parametrize("words", ["1 2 3", "1 2 3 x", "", "1 2 3 inf", "1 2 3 4 5"])
def test_a_mark_is_four_numbers(words: str) -> None:
    with pytest.raises(ValueError, match="X Y X_MM Y_MM"):
        parse_mark(words)


def test_a_mark_written_and_read_again_is_the_same() -> None:
    mark = CalibrationMark(102.5, 88, 0, -3)
    assert parse_mark(str(mark)) == mark
    assert isinstance(from_scale(1), Calibration)
