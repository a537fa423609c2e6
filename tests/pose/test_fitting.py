import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from core.errors import ModelError
from pose.fitting import REST, Fitting


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_there_and_back_is_the_same_point(height: int, width: int) -> None:
    fitting = Fitting(240, 320)
    points = np.array([[0, 0], [width - 1, height - 1]], np.float32)
    there = fitting.to_input(points, (height, width))
    columns, rows = fitting.extent((height, width))
    assert (there >= -0.5).all()
    assert (there <= [columns - 0.5, rows - 0.5]).all()
    assert columns == 320 or rows == 240
    assert_allclose(fitting.to_image(there, (height, width)), points, atol=2e-3 * width)


@pytest.mark.parametrize("shape", [(480, 640), (1024, 1280), (100, 60), (240, 320)])
def test_a_dot_lands_where_to_input_says(shape: tuple[int, int]) -> None:
    fitting = Fitting(240, 320)
    y, x = np.mgrid[: shape[0], : shape[1]]
    at = np.array([0.7 * shape[1], 0.4 * shape[0]], np.float32)
    spread = 0.03 * shape[1]
    dot = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * spread**2))
    into = np.empty((240, 320, 3), np.uint8)
    fitting.place((250 * dot).astype(np.uint8), into)
    columns, rows = fitting.extent(shape)
    covered = into[:rows, :columns, 1].astype(float)
    y, x = np.mgrid[:rows, :columns]
    middle = [(covered * x).sum() / covered.sum(), (covered * y).sum() / covered.sum()]
    assert_allclose(middle, fitting.to_input(at, shape), atol=0.1)
    assert (into[rows:] == REST).all()
    assert (into[:rows, columns:] == REST).all()


def test_grey_and_colour_look_the_same() -> None:
    grey = np.random.default_rng(0).integers(0, 255, (480, 640), np.uint8)
    one, other = np.empty((2, 240, 320, 3), np.uint8)
    Fitting(240, 320).place(grey, one)
    Fitting(240, 320).place(np.stack([grey] * 3, axis=2), other)
    assert (one == other).all()


def test_sixteen_bits_are_refused() -> None:
    with pytest.raises(ModelError, match="8 bit, not of 16"):
        Fitting(32, 32).place(
            np.zeros((9, 9), np.uint16), np.empty((32, 32, 3), np.uint8)
        )
