"""Numbers over the last moments: known motions, known answers, whatever was skipped."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.behaviour.pose_features import (
    Feature,
    FeatureSet,
    FeatureWindow,
    usual,
)

SKELETON = Skeleton(("snout", "neck", "tail"))
FEATURES = FeatureSet(
    (
        Feature("mean", "distance", ("snout", "tail")),
        Feature("std", "distance", ("snout", "tail")),
        Feature("mean", "angle", ("snout", "neck", "tail")),
        Feature("max", "speed", ("snout",)),
        Feature("min", "speed", ("tail",)),
    ),
    window_s=0.5,
    rate=20,
    max_gap_s=0.2,
)


def pose(*points: tuple[float, float]) -> Pose:
    there = np.array([points], np.float32)
    return Pose(SKELETON, there, np.ones((1, len(points)), np.float32))


def runner(time_s: float) -> Pose:
    """Return a bent animal that runs to the right at 100 px/s, its head at rest."""
    x = 100 * time_s
    return pose((500, 30), (x + 40, 30), (x, 30))


def looked(times: list[float]) -> np.ndarray | None:
    window, found = FeatureWindow(FEATURES), None
    for time_s in times:
        found = window.update(runner(time_s), time_s)
    return found


def test_a_known_motion_has_known_numbers() -> None:
    found = looked([n / 50 for n in range(51)])
    assert found is not None
    mean = 500 - 75.0  # of tails from 50 to 100
    grid = np.linspace(50, 100, 11)
    wanted = [mean, grid.std(), 180, 0, 100]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)


@given(st.sets(st.integers(1, 59), min_size=20))
def test_frames_that_are_skipped_change_nothing(kept: set[int]) -> None:
    every = looked([n / 60 for n in range(61)])
    some = [0, *sorted(kept), 60]
    found = looked([n / 60 for n in some])
    if max(np.diff(some[-31:])) > 12:
        return
    if found is not None:
        np.testing.assert_allclose(found, every, rtol=1e-3, atol=0.05)


def test_the_rate_of_the_camera_changes_nothing() -> None:
    slow, fast = (looked([n / r for n in range(r + 1)]) for r in (15, 400))
    assert slow is not None
    np.testing.assert_allclose(slow, fast, rtol=1e-3, atol=0.05)


def test_nothing_is_known_before_the_window_is_full() -> None:
    assert looked([n / 50 for n in range(25)]) is None
    assert looked([n / 50 for n in range(27)]) is not None


def test_a_gap_makes_it_unknown_until_it_is_past() -> None:
    times = [n / 50 for n in range(50)]
    assert looked([*times, 1.19, 1.2]) is None
    assert looked([*times, 1.1, 1.15, 1.2]) is not None


def test_a_body_part_that_is_lost_makes_it_unknown() -> None:
    window = FeatureWindow(FEATURES)
    for n in range(50):
        found = window.update(runner(n / 50), n / 50)
    assert found is not None
    assert window.update(pose((np.nan, 0), (0, 0), (1, 1)), 1.0) is None
    assert window.update(runner(1.02), 1.02) is not None, "a short loss is bridged"
    window.reset()
    assert window.update(runner(1.04), 1.04) is None


def test_a_long_run_keeps_to_its_memory() -> None:
    window = FeatureWindow(FEATURES)
    for n in range(5000):
        found = window.update(runner(n / 500), n / 500)
    np.testing.assert_allclose(found, [*found[:3], 0, 100], atol=0.5)
    assert len(window._times) < 2000


def test_body_parts_of_several_animals_may_be_named() -> None:
    features = FeatureSet(
        (Feature("mean", "distance", ("animal1_snout", "animal2_snout")),), 0.1, 20, 0.2
    )
    window = FeatureWindow(features)
    points = np.zeros((2, 3, 2), np.float32)
    points[1] = 30, 40
    for n in range(5):
        found = window.update(
            Pose(SKELETON, points, np.ones((2, 3), np.float32)), n / 20
        )
    assert found == pytest.approx([50])


def test_the_usual_features_are_of_all_body_parts() -> None:
    found = usual(("a", "b", "c"), ("a", "b", "c"))
    assert len(found) == len(set(found)) == 2 * (3 + 1 + 3)
    assert str(found[0]) == "mean distance a b"
