from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deeplabstream.core.geometry import angle_between
from deeplabstream.core.pose import Pose, Skeleton
from experiments.triggers.heading import HeadDirection, ScreenDirection

MOUSE = Skeleton(("left", "right", "nose"))
PX = st.floats(-500, 500, width=32)
POINT = st.tuples(PX, PX).map(np.array)


def pose(*points: Any) -> Pose:
    array = np.array([points], np.float32)
    return Pose(MOUSE, array, np.ones(array.shape[:2], np.float32))


def looks(point: Any, angle: float = 30) -> HeadDirection:
    values: Any = {"bodyparts": MOUSE.bodyparts, "point": tuple(point), "angle": angle}
    return HeadDirection(**values)


def test_a_head_between_two_ears_points_where_the_nose_is() -> None:
    right = pose((0, -5), (0, 5), (10, 0))
    assert looks((100, 0)).answer(right, 0) is True
    assert looks((100, 57)).answer(right, 0) is True
    assert looks((100, 58)).answer(right, 0) is False
    assert looks((-100, 0)).answer(right, 0) is False
    assert looks((-100, 0), angle=180).answer(right, 0) is True


def test_no_direction_is_no_answer() -> None:
    assert looks((100, 0)).answer(pose((0, -5), (0, 5), (0, 0)), 0) is None
    assert looks((0, 0)).answer(pose((0, -5), (0, 5), (9, 0)), 0) is None
    assert looks((0, 9)).answer(pose((0, -5), (0, np.nan), (9, 0)), 0) is None


@given(POINT, POINT, POINT, st.floats(1, 179), st.floats(0, 360), st.booleans())
def test_turning_head_and_target_together_changes_nothing(
    back: NDArray[Any],
    nose: NDArray[Any],
    target: NDArray[Any],
    angle: float,
    degrees: float,
    mirrored: bool,
) -> None:
    assume(min(np.hypot(*(nose - back)), np.hypot(*(target - back))) > 1)
    apart = angle_between(nose - back, target - back)
    assume(abs(apart - angle) > 0.05)
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    turn[0] *= -1 if mirrored else 1
    there = pose(turn @ back, turn @ back, turn @ nose)
    answer = looks(target, angle).answer(pose(back, back, nose), 0)
    assert answer is (apart < angle)
    assert looks(turn @ target, angle).answer(there, 0) is answer


@pytest.mark.parametrize(
    ("edge", "nose"),
    [
        ("left", (310, 240)),
        ("west", (310, 240)),
        ("right", (330, 240)),
        ("east", (330, 240)),
        ("top", (320, 230)),
        ("north", (320, 230)),
        ("bottom", (320, 250)),
        ("south", (320, 250)),
    ],
)
def test_from_the_middle_a_head_looks_at_one_edge(edge: Any, nose: Any) -> None:
    mid = (320, 240)
    noses = [(310, 240), (330, 240), (320, 230), (320, 250)]
    values: Any = {"bodyparts": MOUSE.bodyparts, "edge": edge, "picture": (640, 480)}
    screen = ScreenDirection(**values)
    assert [n for n in noses if screen.answer(pose(mid, mid, n), 0)] == [nose]
