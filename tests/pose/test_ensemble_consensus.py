import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.pose.decoders.decoder import DecodedPoses
from deeplabstream.pose.ensemble import aligned, median

ANNA = np.array([[10, 10], [60, 10]], np.float32)
BOB = np.array([[10, 90], [60, 90]], np.float32)


def told(*animals: np.ndarray, sure: float = 0.9, most: int = 3) -> DecodedPoses:
    points = np.full((most, 2, 2), np.nan, np.float32)
    for place, animal in enumerate(animals):
        points[place] = animal
    there = np.isfinite(points).all(axis=2)
    return points, np.where(there, np.float32(sure), np.float32(0))


def test_animals_are_the_same_whatever_order_they_are_told_in() -> None:
    points, sure = aligned([told(ANNA, BOB), told(BOB + 2, ANNA + 1), told(BOB + 4)])
    assert points.shape == (3, 3, 2, 2)
    rows = median(points)
    np.testing.assert_allclose(rows[0], BOB + 2)
    np.testing.assert_allclose(rows[1], ANNA + 0.5)
    assert np.isnan(rows[2]).all()
    np.testing.assert_allclose(sure.mean(axis=0)[:, 0], [0.9, 0.6, 0], atol=1e-6)


def test_who_only_one_network_sees_is_left_out_first() -> None:
    ghost = ANNA + 300
    one, other = told(ghost, ANNA, most=2), told(ANNA, BOB, most=2)
    points, _ = aligned([one, other, told(BOB, ANNA, most=2)])
    np.testing.assert_allclose(median(points), [ANNA, BOB])


def test_half_an_animal_is_the_animal() -> None:
    half = ANNA.copy()
    half[1] = np.nan
    points, sure = aligned([told(half), told(ANNA + 3), told(ANNA + 4)])
    np.testing.assert_allclose(median(points)[0], [ANNA[0] + 3, ANNA[1] + 3.5])
    assert sure.mean(axis=0)[0] == pytest.approx([0.9, 0.6])


def test_networks_that_see_nothing_say_nothing() -> None:
    points, sure = aligned([told(), told()])
    assert np.isnan(points).all()
    assert not sure.any()


def test_of_one_animal_nothing_is_matched() -> None:
    points, _ = aligned([told(ANNA, most=1), told(BOB, most=1)])
    np.testing.assert_allclose(median(points)[0], (ANNA + BOB) / 2)


@given(st.lists(st.lists(st.sampled_from([0.0, 1, 5, np.nan]), min_size=3, max_size=3),
                min_size=1, max_size=5))  # fmt: skip
def test_the_median_is_of_those_that_tell(rows: list[list[float]]) -> None:
    values = np.array(rows, np.float32)
    expected = [
        np.median(own[np.isfinite(own)]) if np.isfinite(own).any() else np.nan
        for own in values.T
    ]
    np.testing.assert_array_equal(median(values), np.array(expected, np.float32))
