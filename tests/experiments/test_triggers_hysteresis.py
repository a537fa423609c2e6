"""Limits with margins: what lies on a limit does not flicker."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.plugins.trigger import Trigger
from experiments.triggers.heading import EgoHeadDirection, HeadDirection
from experiments.triggers.locomotion import MovingTowards, Speed
from experiments.triggers.social import Distance

MOUSE = Skeleton(("snout", "neck", "tailbase"))


def pose(*points: tuple[float, float]) -> Pose:
    there = np.array([points], np.float32)
    return Pose(MOUSE, there, np.ones((1, len(points)), np.float32))


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=40),
    st.floats(0, 20),
    st.floats(0, 20),
    st.sampled_from(["nearer", "farther"]),
)
def test_it_begins_and_ends_at_its_margins(
    ways: list[float], enter: float, leave: float, when: Any
) -> None:
    trigger = Distance(
        bodyparts=("snout", "tailbase"),
        animals=(1, 1),
        distance=50,
        when=when,
        enter_margin=enter,
        exit_margin=leave,
    )
    held = False
    for n, way in enumerate(np.float32(ways).tolist()):
        past = 50 - way if when == "nearer" else way - 50
        held = past >= (-leave if held else enter)
        assert trigger.answer(pose((0, 0), (9, 9), (way, 0)), n) is held


def turned(degrees: float) -> Pose:
    turn = np.radians(degrees)
    return pose((30 * np.cos(turn), 30 * np.sin(turn)), (0, 0), (-30, 0))


@pytest.mark.parametrize(
    "trigger",
    [
        HeadDirection(
            bodyparts=("neck", "snout"), point=(100, 0), angle=30, exit_margin=10
        ),
        EgoHeadDirection(
            bodyparts=("tailbase", "neck", "snout"),
            side="both",
            angle=30,
            enter_margin=10,
        ),
    ],
)
def test_angles_have_margins(trigger: Trigger) -> None:
    answers = [trigger.answer(turned(d), d) for d in (20, 35, 39, 41, 35, 45, 35, 29)]
    if isinstance(trigger, HeadDirection):
        assert answers == [True, True, True, False, False, False, False, True]
    else:
        assert answers == [False, False, False, True, True, True, True, False]


def test_speeds_and_directions_have_margins() -> None:
    speed = Speed(bodyparts=("snout",), speed=100, window_s=1, exit_margin=20)
    toward = MovingTowards(
        bodyparts=("snout",), point=(1000, 0), angle=30, window_s=1, exit_margin=15
    )
    way, answers = np.zeros(2), []
    for n, (px_s, degrees) in enumerate([(0, 0), (110, 20), (90, 35), (70, 50)]):
        turn = np.radians(degrees)
        way = way + px_s * np.array([np.cos(turn), np.sin(turn)])
        here = pose((way[0], way[1]), (0, 0), (0, 0))
        answers.append((speed.answer(here, n), toward.answer(here, n)))
    assert answers == [(None, None), (True, True), (True, True), (False, False)]
    assert speed.answer(pose((np.nan, 0), (0, 0), (0, 0)), 5) is None
    assert speed.answer(pose((0, 0), (0, 0), (0, 0)), 6) is None
    assert speed.answer(pose((90, 0), (0, 0), (0, 0)), 7) is False, "it starts afresh"
