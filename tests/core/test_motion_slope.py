"""The velocity of a point is the slope of a line through its last positions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.motion_slope import MotionSlope

steps = st.lists(st.floats(0.005, 0.06), min_size=2, max_size=30)
speeds = st.floats(-500, 500)


@given(steps, speeds, speeds, st.floats(0.01, 0.2))
def test_a_constant_velocity_is_found_at_any_frame_times(
    between_s: list[float], x: float, y: float, window_s: float
) -> None:
    slope, start_s = MotionSlope(), 1000.0
    for passed_s in np.cumsum([0.0, *between_s]):
        place = 300 + x * passed_s, 200 + y * passed_s
        found = slope.add(start_s + passed_s, *place, window_s)
        if found is None:
            assert passed_s < window_s
        else:
            assert found == pytest.approx((x, y), abs=1e-3)


@given(steps, st.lists(st.tuples(speeds, speeds), min_size=30, max_size=30))
def test_it_is_the_weighted_least_squares_fit(
    between_s: list[float], places: list[tuple[float, float]]
) -> None:
    times, window_s, slope = np.cumsum(between_s), 0.1, MotionSlope()
    found = None
    for time_s, place in zip(times, places, strict=False):
        found = slope.add(float(time_s), *place, window_s)
    old = np.flatnonzero(times[-1] - times >= window_s * 0.95)
    if not len(old):
        assert found is None
        return
    kept = slice(old[-1], len(times))
    # polyfit squares its weights
    weights = np.sqrt(np.arange(1, len(times) - old[-1] + 1))
    x, y = np.transpose(places[kept])
    ago = times[kept] - times[-1]
    expected = [np.polyfit(ago, axis, 1, w=weights)[0] for axis in (x, y)]
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_it_lags_less_behind_an_acceleration_than_the_displacement() -> None:
    slope, rate, window_s = MotionSlope(), 100.0, 0.1
    found = None
    for n in range(21):
        found = slope.add(n / rate, 0.5 * 1000 * (n / rate) ** 2, 0.0, window_s)
    assert found is not None
    true, displaced = 1000 * 0.2, 1000 * 0.15
    assert displaced + 5 < found[0] < true


def test_jitter_of_the_frame_times_does_not_change_the_number_of_positions() -> None:
    """At 30 frames per second, 0.1 s are 4 positions, early or late."""
    for jitter_s in (-0.002, 0.0, 0.002):
        slope = MotionSlope()
        found = [slope.add(n / 30, n, 0.0, 0.1) for n in range(3)]
        assert found == [None] * 3
        assert slope.add(3 / 30 + jitter_s, 3.0, 0.0, 0.1) is not None


def test_after_clear_it_is_unknown_for_the_window() -> None:
    slope = MotionSlope()
    for n in range(5):
        slope.add(n / 30, n, n, 0.1)
    slope.clear()
    found = [slope.add(n / 30, n, n, 0.1) is None for n in range(5, 10)]
    assert found == [True] * 3 + [False] * 2
