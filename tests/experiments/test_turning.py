from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deeplabstream.core.pose import Pose, Skeleton
from experiments.triggers.heading import EgoHeadDirection, HeadDirectionRegion
from experiments.triggers.social import AnyAnimalInside, Distance

MOUSE = Skeleton(("tail", "neck", "nose"))
PX = st.integers(-300, 300)


def pose(*animals: Any) -> Pose:
    array = np.array(animals, np.float32)
    return Pose(MOUSE, array, np.ones(array.shape[:2], np.float32))


def ego(side: str, angle: float = 30) -> EgoHeadDirection:
    values: Any = {"bodyparts": MOUSE.bodyparts, "side": side, "angle": angle}
    return EgoHeadDirection(**values)


@pytest.mark.parametrize(
    ("nose", "sides"),
    [
        ((20, 0), []),
        ((20, 5), []),
        ((20, 10), ["right", "both"]),
        ((10, 10), ["right", "both"]),
        ((20, -10), ["left", "both"]),
    ],
)
def test_left_and_right_are_the_animal_s(nose: Any, sides: list[str]) -> None:
    seen = pose([(0, 0), (10, 0), nose])
    assert [s for s in ("left", "right", "both") if ego(s).answer(seen, 0)] == sides


@given(PX, PX, PX, PX, st.integers(0, 359))
def test_the_room_does_not_matter_to_it(
    x: float, y: float, u: float, v: float, degrees: float
) -> None:
    assume(np.hypot(x, y) > 1 and np.hypot(u, v) > 1)
    turned = np.degrees(np.arctan2(x * v - y * u, x * u + y * v))
    assume(abs(abs(turned) - 30) > 0.1 and abs(turned) < 179.9)
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    points = np.array([(0, 0), (x, y), (x + u, y + v)], float)
    for side in ("left", "right", "both"):
        answer = ego(side).answer(pose(points), 0)
        assert ego(side).answer(pose(points @ turn.T + (33, 44)), 0) is answer


def test_no_direction_is_no_answer() -> None:
    assert ego("both").answer(pose([(0, 0), (10, 0), (10, 0)]), 0) is None
    assert ego("both").answer(pose([(9, 0), (9, 0), (10, 0)]), 0) is None


def test_a_head_is_turned_and_in_its_place() -> None:
    values: Any = {"bodyparts": ("neck", "nose"), "point": (100, 0)}
    values["region"] = "circle 0 0 30"
    inside = HeadDirectionRegion(**values, head="inside")
    outside = HeadDirectionRegion(**values)
    near, far = [(0, 0), (0, 0), (9, 0)], [(0, 0), (50, 0), (59, 0)]
    away, none = [(0, 0), (0, 0), (-9, 0)], [(0, 0), (9, 0), (9, 0)]
    seen = [pose(points) for points in (near, far, away, none)]
    assert [inside.answer(it, 0) for it in seen] == [True, False, False, None]
    assert [outside.answer(it, 0) for it in seen] == [False, True, False, False]


def near(**values: Any) -> Distance:
    return Distance(**({"bodyparts": ("nose", "tail"), "distance": 10} | values))


def test_one_s_nose_at_the_other_s_tail() -> None:
    one = [(0, 0), (10, 0), (20, 0)]
    two = [(26, 8), (30, 8), (40, 8)]
    assert near().answer(pose(one, two), 0) is True
    assert near(distance=9).answer(pose(one, two), 0) is False
    assert near(distance=9, when="farther").answer(pose(one, two), 0) is True
    assert near(animals=(2, 1)).answer(pose(one, two), 0) is False
    assert near(animals=(1, 1), distance=20).answer(pose(one, two), 0) is True


def test_who_is_not_seen_is_neither_near_nor_far() -> None:
    one, lost = [(0, 0), (10, 0), (20, 0)], [(np.nan, 8), (30, 8), (40, 8)]
    for when in ("nearer", "farther"):
        assert near(when=when).answer(pose(one), 0) is None
        assert near(when=when).answer(pose(one, lost), 0) is None
        assert near(when=when, animals=(1, 1)).answer(pose(one, lost), 0) is not None


def test_one_animal_inside_is_enough() -> None:
    values: Any = {"bodyparts": ("nose",), "region": "circle 0 0 30"}
    inside = AnyAnimalInside(**values)
    here, away = [(0, 0), (0, 0), (9, 0)], [(0, 0), (0, 0), (90, 0)]
    lost = [(0, 0), (0, 0), (np.nan, 0)]
    assert inside.answer(pose(away, here), 0) is True
    assert inside.answer(pose(away, away), 0) is False
    assert inside.answer(pose(lost, here), 0) is True
    assert inside.answer(pose(lost, away), 0) is None
    assert inside.answer(pose(lost, lost), 0) is None
