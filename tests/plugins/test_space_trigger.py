"""Triggers in space: unknown points make them unknown."""

import numpy as np
import pytest
from pydantic import ValidationError

from deeplabstream.core.pose import Skeleton
from deeplabstream.core.space_pose import SpacePose
from deeplabstream.plugin import Answer, SpaceTrigger

SKELETON = Skeleton(("nose", "tail"))


class NoseUp(SpaceTrigger):
    def holds(self, pose: SpacePose, time_s: float) -> Answer:
        (_, _, height), *_ = pose.places(self.bodyparts)
        return height > 40


def pose_in_space(height_mm: float, error_mm: float = 0.5) -> SpacePose:
    points = np.array([[1, 2, height_mm], [np.nan] * 3], np.float32)
    errors = np.array([error_mm, np.nan], np.float32)
    views = np.full((2, 2), np.nan, np.float32)
    return SpacePose(
        SKELETON, ("left", "right"), 0, points, errors, errors, errors, views > 0, views
    )


def test_a_condition_gets_positions_in_mm() -> None:
    trigger = NoseUp(bodyparts=("nose",))
    assert trigger.answer(pose_in_space(41), 0.0) is True
    assert trigger.answer(pose_in_space(39), 0.1) is False


@pytest.mark.parametrize("bodyparts", [("tail",), ("nose", "tail")])
def test_an_unknown_point_makes_the_trigger_unknown(bodyparts: tuple[str, ...]) -> None:
    assert NoseUp(bodyparts=bodyparts).answer(pose_in_space(41), 0.0) is None


def test_no_pose_makes_the_trigger_unknown() -> None:
    assert NoseUp(bodyparts=("nose",)).answer(None, 0.0) is None


def test_a_point_with_a_large_error_is_unknown() -> None:
    trigger = NoseUp(bodyparts=("nose",), max_error_mm=2.0)
    assert trigger.answer(pose_in_space(41, error_mm=1.9), 0.0) is True
    assert trigger.answer(pose_in_space(41, error_mm=2.1), 0.1) is None


def test_the_answer_is_debounced() -> None:
    trigger = NoseUp(bodyparts=("nose",), min_dwell_s=0.2)
    answers = [trigger.answer(pose_in_space(41), time_s) for time_s in (0.0, 0.1, 0.2)]
    assert answers == [False, False, True]


def test_it_belongs_to_no_camera() -> None:
    with pytest.raises(ValidationError, match="camera"):
        NoseUp(bodyparts=("nose",), camera="top")
