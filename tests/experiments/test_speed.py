from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.pose import Pose, Skeleton
from experiments.triggers.locomotion import Speed

MOUSE = Skeleton(("body",))


def pose(x: float, y: float = 0) -> Pose:
    return Pose(MOUSE, np.array([[[x, y]]], np.float32), np.ones((1, 1), np.float32))


def speed(**values: Any) -> Speed:
    return Speed(bodyparts=("body",), **values)


@given(
    st.lists(st.integers(1, 9), min_size=30, max_size=40),
    st.floats(20, 200),
    st.floats(0, 6.28),
)
def test_skipped_frames_change_nothing(
    gaps: list[int], px_per_s: float, way: float
) -> None:
    slower, faster = speed(speed=px_per_s * 0.95), speed(speed=px_per_s * 1.05)
    times = np.cumsum(gaps) / 100
    for time_s in times:
        x, y = time_s * px_per_s * np.cos(way), time_s * px_per_s * np.sin(way)
        known = time_s - times[0] >= 0.2
        assert slower.answer(pose(x, y), time_s) is (True if known else None)
        assert faster.answer(pose(x, y), time_s) is (False if known else None)


def test_below_is_the_other_way_round() -> None:
    still = speed(speed=10, when="below", window_s=1)
    assert [still.answer(pose(0), t) for t in (0, 0.5, 1.0, 1.5)] == [
        None,
        None,
        True,
        True,
    ]
    assert still.answer(pose(100), 2.0) is False


def test_a_lost_animal_starts_afresh() -> None:
    run = speed(speed=10, window_s=0.1)
    assert run.answer(pose(0), 0.0) is None
    assert run.answer(pose(5), 0.125) is True
    assert run.answer(pose(np.nan), 0.25) is None
    assert run.answer(pose(500), 0.375) is None
    assert run.answer(pose(500), 0.5) is False
