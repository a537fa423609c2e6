import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.training.data.augmentation import relight

PICTURE = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)


@given(st.integers(0, 2**31), st.floats(0, 1))
def test_other_light_keeps_shape_and_type(seed: int, strength: float) -> None:
    lit = relight(PICTURE, strength, np.random.default_rng(seed))
    assert lit.shape == PICTURE.shape
    assert lit.dtype == np.uint8


def test_no_light_is_no_change() -> None:
    lit = relight(PICTURE, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(lit, PICTURE)


def test_dark_stays_darker_than_bright() -> None:
    half = np.full((24, 32, 3), 40, np.uint8)
    half[:, 16:] = 200
    for seed in range(20):
        lit = relight(half, 0.5, np.random.default_rng(seed))
        assert lit[:, :16].mean() < lit[:, 16:].mean()
