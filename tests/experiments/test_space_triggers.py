"""Triggers in space on scripted poses in mm."""

from collections.abc import Sequence
from math import cos, nan, radians, sin
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deeplabstream.core.pose import Skeleton
from deeplabstream.core.space_pose import SpacePose
from deeplabstream.plugin import SpaceTrigger
from experiments.triggers.space_triggers import (
    AboveHeight,
    InsideVolume,
    PlaneCrossing,
    SpaceAngle,
    SpaceDistance,
    SpaceSpeed,
)

PARTS = ("nose", "neck", "tail")
Point = tuple[float, float, float]


def pose(*points: Point) -> SpacePose:
    """Return a pose of the first body parts; the others are unknown."""
    places = np.full((len(PARTS), 3), np.nan, np.float32)
    for place, point in enumerate(points):
        places[place] = point
    errors = np.where(np.isfinite(places[:, 0]), 0.5, np.nan).astype(np.float32)
    views = np.zeros((2, len(PARTS)), np.float32)
    return SpacePose(
        Skeleton(PARTS), ("a", "b"), 0, places, errors, errors, errors, views > 0, views
    )


def answers(
    trigger: SpaceTrigger, course: Sequence[Point | None], step_s: float = 0.1
) -> list[bool | None]:
    """Return the answers for a course of the nose; None: it is not known."""
    return [
        trigger.answer(pose(*([at] if at else [])), number * step_s)
        for number, at in enumerate(course)
    ]


def test_rearing_is_above_a_height_with_margins() -> None:
    rears = AboveHeight(
        bodyparts=("nose",), height_mm=40, enter_margin=2, exit_margin=5
    )
    heights = [39, 41, 42, 38, 35, 34, 41]
    course = [(0.0, 0.0, float(height)) for height in heights]
    assert answers(rears, course) == [False, False, True, True, True, False, False]


@pytest.mark.parametrize(("which", "holds"), [("all", False), ("any", True)])
def test_all_body_parts_must_be_above_or_any(which: Any, holds: bool) -> None:
    trigger = AboveHeight(bodyparts=("nose", "neck"), height_mm=40, which=which)
    assert trigger.answer(pose((0, 0, 50), (0, 0, 30)), 0.0) is holds


@pytest.mark.parametrize(("inside", "holds"), [("all", False), ("any", True)])
def test_body_parts_are_inside_a_volume(inside: Any, holds: bool) -> None:
    trigger = InsideVolume(
        bodyparts=("nose", "neck"), volume="circle 0 0 50 z 20 80", inside=inside
    )
    assert trigger.answer(pose((0, 0, 50), (0, 0, 10)), 0.0) is holds
    assert trigger.answer(pose((0, 0, 50), (30, 0, 20)), 0.1) is True


def test_a_climb_is_fast_though_seen_from_above_nothing_moves() -> None:
    trigger = SpaceSpeed(bodyparts=("nose",), speed_mm_s=100, window_s=0.2)
    course = [(5.0, 5.0, 15.0 * number) for number in range(5)]
    assert answers(trigger, course) == [None, None, True, True, True]


def test_speed_begins_anew_after_the_animal_was_lost() -> None:
    trigger = SpaceSpeed(
        bodyparts=("nose",), speed_mm_s=100, window_s=0.09, when="below"
    )
    course = [(0, 0, 0), (1, 0, 0), None, (500, 0, 0), (501, 0, 0)]
    assert answers(trigger, course) == [None, True, None, None, True]


def test_a_distance_is_measured_in_space() -> None:
    trigger = SpaceDistance(bodyparts=("nose", "neck"), distance_mm=10)
    assert trigger.answer(pose((0, 0, 0), (0, 6, 9)), 0.0) is False
    assert trigger.answer(pose((0, 0, 0), (0, 6, 7)), 0.1) is True


@given(st.floats(1, 179), st.floats(0, 360))
def test_the_angle_of_a_joint(angle: float, turn: float) -> None:
    """Whatever its plane is: here one that is turned around the first arm."""
    aside = sin(radians(angle))
    third = (
        cos(radians(angle)),
        aside * cos(radians(turn)),
        aside * sin(radians(turn)),
    )
    bent = pose((1, 0, 0), (0, 0, 0), third)
    for limit, above in ((angle - 0.1, True), (angle + 0.1, False)):
        trigger = SpaceAngle(bodyparts=PARTS, angle=limit)
        assert trigger.answer(bent, 0.0) is above


@given(st.floats(-89, 89), st.floats(0, 360))
def test_the_pitch_is_the_elevation_of_the_body(pitch: float, turn: float) -> None:
    flat = 60 * cos(radians(pitch))
    nose = (
        flat * cos(radians(turn)),
        flat * sin(radians(turn)),
        60 * sin(radians(pitch)),
    )
    for limit, above in ((pitch - 0.1, True), (pitch + 0.1, False)):
        trigger = SpaceAngle(bodyparts=("nose", "neck"), angle=limit)
        assert trigger.answer(pose(nose, (0, 0, 0)), 0.0) is above


def test_the_angle_of_two_equal_points_is_unknown() -> None:
    trigger = SpaceAngle(bodyparts=("nose", "neck"), angle=10)
    assert trigger.answer(pose((1, 1, 1), (1, 1, 1)), 0.0) is None


def test_a_plane_is_crossed_at_one_moment_to_one_side() -> None:
    trigger = PlaneCrossing(
        bodyparts=("nose",), point=(0, 0, 40), normal=(0, 0, 2), to="front"
    )
    course = [(0.0, 0.0, float(z)) for z in (30, 40, 45, 50, 39, 41)]
    assert answers(trigger, course) == [False, False, True, False, False, True]


def test_a_crossing_while_lost_is_not_seen() -> None:
    trigger = PlaneCrossing(bodyparts=("nose",), point=(0, 0, 40), normal=(0, 0, 1))
    assert answers(trigger, [(0, 0, 30), None, (0, 0, 50), (0, 0, 30)]) == [
        *(False, None, False),
        True,
    ]


@pytest.mark.parametrize("coordinate", [nan])
@pytest.mark.parametrize(
    "trigger",
    [
        AboveHeight(bodyparts=("nose",), height_mm=1),
        InsideVolume(bodyparts=("nose",), volume="circle 0 0 50 z 20 80"),
        SpaceSpeed(bodyparts=("nose",), speed_mm_s=1),
        PlaneCrossing(bodyparts=("nose",), point=(0, 0, 0), normal=(0, 0, 1)),
    ],
    ids=lambda made: type(made).__name__,
)
def test_an_unknown_point_makes_it_unknown(
    trigger: SpaceTrigger, coordinate: float
) -> None:
    assert trigger.answer(pose((coordinate, coordinate, coordinate)), 0.0) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpaceDistance(bodyparts=("nose",), distance_mm=1), "two body parts"),
        (lambda: SpaceAngle(bodyparts=("nose",), angle=1), "three body parts"),
        (
            lambda: PlaneCrossing(
                bodyparts=("nose",), point=(0, 0, 0), normal=(0, 0, 0)
            ),
            "NORMAL",
        ),
        (lambda: InsideVolume(bodyparts=("nose",), volume="circle 0 0 5"), "heights"),
    ],
)
def test_a_wrong_setting_is_a_sentence(make: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make()
