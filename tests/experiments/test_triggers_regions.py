from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.core.regions import Circle, Polygon, parse_region
from experiments.triggers.region_triggers import InsideRegion, OutsideRegion

MOUSE = Skeleton(("snout", "tail"))
PX = st.floats(-500, 500, width=32)
POINTS = st.tuples(PX, PX, PX, PX).map(lambda four: np.reshape(four, (2, 2)))
HOW = st.sampled_from(["all", "any"])
TURNS = st.floats(0, 360)


def pose(points: Any) -> Pose:
    array = np.array([points], np.float32)
    return Pose(MOUSE, array, np.ones(array.shape[:2], np.float32))


def turned(points: NDArray[Any], degrees: float, mirrored: bool) -> NDArray[Any]:
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return points @ turn.T * (-1 if mirrored else 1, 1)


def both(region: object, how: str) -> tuple[InsideRegion, OutsideRegion]:
    values: Any = {"bodyparts": ["snout", "tail"], "region": region, "inside": how}
    return InsideRegion(**values), OutsideRegion(**values)


@given(POINTS, HOW)
def test_inside_and_outside_never_agree(points: NDArray[Any], how: str) -> None:
    inside, outside = both("polygon -90 -90 100 -90 100 120 0 30", how)
    assert inside.answer(pose(points), 0) is (not outside.answer(pose(points), 0))


@given(POINTS, HOW, st.integers(0, 3))
def test_a_lost_animal_is_neither(points: NDArray[Any], how: str, gone: int) -> None:
    points.flat[gone] = np.nan
    for trigger in both("circle 0 0 400", how):
        assert trigger.answer(pose(points), 0) is None


def test_no_animal_is_neither() -> None:
    none = Pose(MOUSE, np.empty((0, 2, 2), np.float32), np.empty((0, 2), np.float32))
    for trigger in both("circle 0 0 400", "any"):
        assert trigger.answer(none, 0) is None


@given(POINTS, HOW, st.tuples(PX, PX, st.floats(1, 400)), TURNS, st.booleans())
def test_turning_pose_and_circle_together_changes_nothing(
    points: NDArray[Any], how: str, circle: Any, degrees: float, mirrored: bool
) -> None:
    x, y, r = circle
    assume((np.abs(np.hypot(*(points - (x, y)).T) - r) > 0.01).all())
    there = turned(np.array([[x, y]]), degrees, mirrored)[0]
    first, _ = both(Circle(x, y, r), how)
    second, _ = both(Circle(*there, r), how)
    moved = turned(points, degrees, mirrored)
    assert first.answer(pose(points), 0) is second.answer(pose(moved), 0)


@given(
    POINTS,
    HOW,
    st.lists(st.tuples(PX, PX), min_size=3, max_size=6),
    TURNS,
    st.booleans(),
)
def test_turning_pose_and_polygon_together_changes_nothing(
    points: NDArray[Any],
    how: str,
    corners: list[tuple[float, float]],
    degrees: float,
    mirrored: bool,
) -> None:
    assume(min(border_distance(point, corners) for point in points) > 0.01)
    moved = turned(np.array(corners), degrees, mirrored)
    first, _ = both(Polygon(tuple(corners)), how)
    second, _ = both(Polygon(tuple((x, y) for x, y in moved.tolist())), how)
    there = turned(points, degrees, mirrored)
    assert first.answer(pose(points), 0) is second.answer(pose(there), 0)


def border_distance(point: Any, corners: Any) -> float:
    starts = np.array(corners, float)
    along = np.roll(starts, -1, axis=0) - starts
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    share = np.clip(((point - starts) * along).sum(axis=1) / length, 0, 1)
    nearest = starts + share[:, None] * along
    return float(np.hypot(*(nearest - point).T).min())


def test_a_walk_along_a_line_enters_and_leaves_where_geometry_says() -> None:
    inside, _ = both("rectangle 100 0 50 10", "all")
    some, _ = both("rectangle 100 0 50 10", "any")
    walk = [pose([(x, 5), (x - 20, 5)]) for x in range(80, 200)]
    whole = [x for x, here in enumerate(walk, 80) if inside.answer(here, 0)]
    parts = [x for x, here in enumerate(walk, 80) if some.answer(here, 0)]
    assert (whole[0], whole[-1]) == (120, 150)
    assert (parts[0], parts[-1]) == (100, 170)


def test_between_its_margins_the_last_answer_stands() -> None:
    margins: Any = {"bodyparts": ["snout"], "region": "circle 0 0 50"}
    margins |= {"enter_margin": 5, "exit_margin": 10}
    walk = [62, 58, 52, 48, 46, 44, 48, 52, 58, 62, 58, 48]
    entered = ".....####..."
    left = "#####....###"
    for kind, holds in ((InsideRegion, entered), (OutsideRegion, left)):
        trigger = kind(**margins)
        answers = [trigger.answer(pose([(x, 0), (x, 0)]), 0) for x in walk]
        assert "".join("#" if answer else "." for answer in answers) == holds
    assert InsideRegion(**margins).answer(pose([(46, 0), (0, 0)]), 0) is False
    assert OutsideRegion(**margins).answer(pose([(59, 0), (0, 0)]), 0) is False


@given(st.floats(0, 30), st.floats(0, 30), st.lists(st.tuples(PX, PX), max_size=40))
def test_inside_and_outside_never_both_hold(
    enter_margin: float, exit_margin: float, walk: list[Any]
) -> None:
    margins: Any = {"bodyparts": ["snout"], "region": "rectangle -90 -90 200 200"}
    margins |= {"enter_margin": enter_margin, "exit_margin": exit_margin}
    inside, outside = InsideRegion(**margins), OutsideRegion(**margins)
    for place in walk:
        here = pose([place, place])
        assert not (inside.answer(here, 0) and outside.answer(here, 0))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("", "expected circle"),
        ("square 1 2 3", "expected circle"),
        ("circle 1 2", "expected circle X Y R"),
        ("circle 1 2 x", "expected numbers"),
        ("circle 1 2 -3", "above 0"),
        ("circle 1 2 nan", "finite"),
        ("polygon 1 2 3 4", "three corners"),
    ],
)
def test_a_wrong_region_is_explained(words: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_region(words)
