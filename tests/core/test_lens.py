"""The lens of one camera: straight pixels, and millimetres that it does not bend."""

import numpy as np
import pytest

from deeplabstream.core.calibration import from_marks, from_scale, parse_mark
from deeplabstream.core.lens import Lens, parse_lens
from deeplabstream.core.lens_distortion import undistorted_point

TEXT = "640 480 500 505 322 238 -0.3 0.1 0.001 -0.002 0"
GRID = np.stack(np.meshgrid(range(20, 640, 60), range(20, 480, 55)), axis=-1).astype(
    float
)


def lens() -> Lens:
    found = parse_lens(TEXT)
    assert found is not None
    return found


def test_a_lens_is_written_as_it_is_read() -> None:
    assert parse_lens(str(lens())) == lens()
    assert str(lens()) == TEXT
    assert parse_lens("") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("640 480 500", "expected the numbers WIDTH HEIGHT"),
        ("640 480 500 500 x 240", "expected the numbers"),
        ("640 480 nan 500 320 240", "expected the numbers"),
        ("640 480 0 500 320 240", "focal lengths above 0"),
        ("0 480 500 500 320 240", "focal lengths above 0"),
        ("640 480 500 500 320 240" + 13 * " 0", "at most 12 coefficients"),
    ],
)
def test_what_is_no_lens_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_lens(text)


def test_bending_reverses_straightening_and_single_points_are_the_same() -> None:
    straight = lens().straight(GRID)
    assert np.abs(straight - GRID).max() > 20
    np.testing.assert_allclose(lens().bent(straight), GRID, atol=1e-5)
    for (x, y), expected in zip(
        GRID.reshape(-1, 2).tolist(), straight.reshape(-1, 2), strict=True
    ):
        assert lens().straight_place(x, y) == pytest.approx(tuple(expected), abs=1e-6)


def test_a_place_that_the_lens_does_not_show_is_unknown() -> None:
    far = (1e5, 1e5)
    assert np.isnan(lens().straight(far)).all()
    assert np.isnan(lens().straight_place(*far)).all()
    assert np.isnan(from_scale(1, lens()).place_mm(*far)).all()


def test_a_scale_measures_straight_pixels() -> None:
    straight = lens().straight(GRID)
    np.testing.assert_allclose(
        from_scale(0.5, lens()).to_mm(GRID), straight / 2, atol=1e-6
    )


def test_marks_with_a_lens_give_straight_millimetres() -> None:
    corners = [(60.0, 60.0), (580.0, 60.0), (580.0, 420.0), (60.0, 420.0)]
    pixels = lens().bent(corners)
    marks = [
        parse_mark(f"{x} {y} {x_mm} {y_mm}")
        for (x, y), (x_mm, y_mm) in zip(pixels.tolist(), corners, strict=True)
    ]
    found = from_marks(marks, lens())
    middle = np.array([(320.0, 60.0), (320.0, 240.0), (60.0, 240.0)])
    np.testing.assert_allclose(found.to_mm(lens().bent(middle)), middle, atol=1e-4)
    np.testing.assert_allclose(found.to_px(middle), lens().bent(middle), atol=1e-4)
    assert np.abs(from_marks(marks).to_mm(lens().bent(middle)) - middle).max() > 5


def test_a_straight_edge_on_the_floor_is_curved_in_the_image() -> None:
    found = from_scale(1.0, lens())
    edge = np.array([(60.0, 40.0), (580.0, 40.0)])
    shown = found.outline_px(edge)
    assert len(shown) > 2
    ends = found.to_px(edge)
    np.testing.assert_allclose(shown[[0, -1]], ends, atol=1e-6)
    assert np.abs(shown[:, 1] - ends[0, 1]).max() > 3
    np.testing.assert_allclose(found.to_mm(shown)[:, 1], 40, atol=1e-3)
    assert len(from_scale(1.0).outline_px(edge)) == 2


def test_a_point_whose_check_overflows_is_unknown() -> None:
    # the point is its own image, and the square of the denominator is too large
    same = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    assert undistorted_point(3.0, 2.0, same) == pytest.approx((3.0, 2.0))
    assert np.isnan(undistorted_point(1e80, 0.0, same)).all()
