"""Smoothing and prediction between the network's points and the triggers."""

import numpy as np
import pytest

from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.engine.pose_filtering import PoseFilter
from deeplabstream.settings.tracking import Tracking

SKELETON = Skeleton(("snout",))


def pose(x: float, sure: float = 1.0) -> Pose:
    points = np.array([[[x, 5]]], np.float32)
    return Pose(SKELETON, points, np.array([[sure]], np.float32))


def test_triggers_see_where_the_animal_will_be_when_the_output_acts() -> None:
    seeing = PoseFilter(Thresholds(0.5), {"": Tracking(predict=True, acts_after_ms=30)})
    for n in range(80):
        raw = pose(100 + 4 * n)
        sight = seeing.filter("top", raw, n / 100, age_s=0.02)
    assert sight.pose.points[0, 0, 0] == pytest.approx(100 + 4 * (79 + 5), abs=0.5)
    assert sight.flags == {"every point": "predicted"}
    assert sight.changed
    assert raw.points[0, 0, 0] == 416  # the record keeps what came
    gone = seeing.filter("top", pose(424, sure=0.1), 0.81, age_s=0.02)
    assert np.isnan(gone.pose.points).all()


def test_smoothing_is_marked_and_forgotten_with_the_run() -> None:
    seeing = PoseFilter(
        Thresholds(0.5), {"": Tracking(smooth_hz=1, smooth_beta=0, predict=True)}
    )
    seeing.filter("top", pose(100), 0.0)
    sight = seeing.filter("top", pose(110), 0.01)
    assert 100 < sight.pose.points[0, 0, 0] < 105
    assert sight.flags == {"every point": "smoothed+predicted"}
    assert seeing.filter("side", pose(300), 0.02).pose.points[0, 0, 0] == 300
    seeing.reset()
    assert seeing.filter("top", pose(200), 0.03).pose.points[0, 0, 0] == 200


def test_both_are_off_unless_asked_for() -> None:
    seeing = PoseFilter(Thresholds(0.5), {"": Tracking()})
    seeing.filter("top", pose(100), 0.0)
    sight = seeing.filter("top", pose(110), 0.01, age_s=0.1)
    assert sight.pose.points[0, 0, 0] == 110
    assert not sight.changed
