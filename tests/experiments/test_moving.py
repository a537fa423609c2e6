from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.pose import Pose, Skeleton
from experiments.triggers.line_crossing import LineCrossing
from experiments.triggers.locomotion import Freezing, MovingTowards

MOUSE = Skeleton(("body", "tail"))
PX = st.integers(-100, 100).map(float)


def pose(x: float, y: float = 0, tail: tuple[float, float] = (0, 0)) -> Pose:
    points = np.array([[[x, y], tail]], np.float32)
    return Pose(MOUSE, points, np.ones((1, 2), np.float32))


def made(kind: Any, *bodyparts: str, **values: Any) -> Any:
    return kind(bodyparts=bodyparts or ("body",), **values)


def test_it_moves_towards_what_lies_before_it() -> None:
    for point, expected in (((900, 0), True), ((-900, 0), False), ((0, 900), False)):
        towards = made(MovingTowards, point=point)
        answers = [towards.answer(pose(100 * t), t) for t in (0.0, 0.125, 0.25, 0.375)]
        assert answers == [None, None, expected, expected]


def test_who_stands_moves_nowhere() -> None:
    towards = made(MovingTowards, point=(900, 0), min_speed=50)
    assert [towards.answer(pose(40 * t), t) for t in (0.0, 0.5, 1.0)] == [
        None,
        False,
        False,
    ]


@given(st.lists(st.integers(1, 9), min_size=20, max_size=30), st.floats(0, 6.28))
def test_skipped_frames_change_no_direction(gaps: list[int], way: float) -> None:
    x, y = np.cos(way) * 200, np.sin(way) * 200
    ahead, beside = (9 * x, 9 * y), (-9 * y, 9 * x)
    there, elsewhere = (made(MovingTowards, point=p) for p in (ahead, beside))
    times = np.cumsum(gaps) / 100
    for time_s in times.tolist():
        known = time_s - times[0] >= 0.2
        here = pose(x * time_s, y * time_s)
        assert there.answer(here, time_s) is (True if known else None)
        assert elsewhere.answer(here, time_s) is (False if known else None)


def test_freezing_is_that_nothing_moves_for_a_while() -> None:
    freezing = made(Freezing, "body", "tail", radius=3, window_s=2)
    course = [(0, 0), (2, 0), (1, 0), (2, 9), (2, 9), (2, 9), (9, 9)]
    answers = [
        freezing.answer(pose(x, tail=(0, y)), t) for t, (x, y) in enumerate(course)
    ]
    assert answers == [None, None, True, False, False, True, False]
    assert freezing.answer(pose(np.nan), 7) is None
    assert freezing.answer(pose(9, tail=(0, 9)), 8) is None


def crossings(walk: list[tuple[float, float]], **values: Any) -> list[int]:
    line = made(LineCrossing, line=(0, -10, 0, 10), **values)
    return [t for t, (x, y) in enumerate(walk) if line.answer(pose(x, y), t)]


def test_a_crossing_is_seen_once_on_the_side_it_leads_to() -> None:
    walk = [(-5, 0), (-1, 0), (1, 0), (5, 0), (0, 0), (-3, 0), (-3, 0), (3, 50)]
    walk = [(float(x), float(y)) for x, y in walk]
    # the line points down, so its right is where x is smaller
    assert crossings(walk) == [2, 5]
    assert crossings(walk, to="left") == [2]
    assert crossings(walk, to="right") == [5]


def test_what_it_did_while_it_was_lost_is_no_crossing() -> None:
    walk = [(-5.0, 0.0), (np.nan, 0.0), (5.0, 0.0), (-5.0, 0.0)]
    assert crossings(walk) == [3]


@given(st.lists(st.tuples(PX.filter(bool), PX.map(lambda y: y / 11)), min_size=2))
def test_who_crosses_to_and_fro_ends_where_it_ends(
    walk: list[tuple[float, float]],
) -> None:
    changes = sum(a[0] * b[0] < 0 for a, b in pairwise(walk))
    assert len(crossings(walk)) == changes
    toward = len(crossings(walk, to="left")) - len(crossings(walk, to="right"))
    assert toward == (np.sign(walk[-1][0]) - np.sign(walk[0][0])) / 2
