"""Features of an actor and its target: known motions, known answers, in lengths of the body."""

import numpy as np
import pytest

from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.behaviour.pair_features import (
    pose_of_pair,
    scale_of_pair,
    usual_of_pair,
)
from deeplabstream.pose.behaviour.pose_features import (
    Feature,
    FeatureSet,
    FeatureWindow,
)

CHAIN = ("snout", "neck", "tail")
MICE = Skeleton(CHAIN, animals=("anna", "bob", "cara"))
BODY = np.array([[40.0, 0], [20, 0], [0, 0]])


def mice(time_s: float, size: float = 1.0) -> Pose:
    """Return anna, who walks at 100 px/s to bob; bob, who looks up; cara far away."""
    up = np.array([[200.0, -40], [200, -20], [200, 0]])
    points = (
        np.stack([BODY + np.array([100 * time_s, 0]), up, BODY + np.array([0, 400])])
        * size
    )
    return Pose(MICE, points.astype(np.float32), np.ones((3, 3), np.float32))


def numbers(
    features: FeatureSet, actor: int, target: int, size: float = 1.0
) -> np.ndarray:
    window, found = FeatureWindow(features), None
    for n in range(51):
        pair = pose_of_pair(mice(n / 50, size), actor, target)
        assert pair is not None
        found = window.update(pair, n / 50)
    assert found is not None
    return found


def features(*of: Feature, scale: bool = True) -> FeatureSet:
    return FeatureSet(
        of, 0.5, 20, 0.2, of_pair=True, scale=scale_of_pair(CHAIN) if scale else ()
    )


def test_a_known_motion_has_known_numbers() -> None:
    of = features(
        Feature("max", "distance", ("actor_tail", "target_tail")),
        Feature("mean", "approach", ("actor_tail", "target_tail")),
        Feature("mean", "approach", ("target_tail", "actor_tail")),
        Feature(
            "mean",
            "direction",
            ("actor_neck", "actor_snout", "actor_snout", "target_tail"),
        ),
        Feature(
            "mean",
            "direction",
            ("target_tail", "target_snout", "actor_tail", "actor_snout"),
        ),
        Feature("mean", "speed", ("actor_snout",)),
        scale=False,
    )
    np.testing.assert_allclose(numbers(of, 0, 1), [150, 100, 0, 0, 90, 100], atol=1e-3)
    # the other way round: bob's target is anna
    np.testing.assert_allclose(numbers(of, 1, 0)[:3], [150, 0, 100], atol=1e-3)


def test_numbers_do_not_depend_on_the_size_of_the_image() -> None:
    usual = features(*usual_of_pair(CHAIN, CHAIN))
    near, far = (numbers(usual, 0, 1, size) for size in (1.0, 0.5))
    np.testing.assert_allclose(near, far, atol=1e-3)
    # a mouse has 40 px: 100 px/s are 2.5 lengths per second
    speed = usual.features.index(Feature("mean", "speed", ("actor_snout",)))
    assert near[speed] == pytest.approx(2.5, abs=1e-3)


def test_two_points_at_one_place_have_a_number() -> None:
    of = features(Feature("mean", "approach", ("actor_tail", "target_tail")))
    window, found = FeatureWindow(of), None
    points = np.stack([BODY, BODY]).astype(np.float32)
    pose = Pose(
        Skeleton(CHAIN, animals=("a", "b")), points, np.ones((2, 3), np.float32)
    )
    for n in range(51):
        pair = pose_of_pair(pose, 0, 1)
        assert pair is not None
        found = window.update(pair, n / 50)
    assert found is not None
    assert found.tolist() == [0]


@pytest.mark.parametrize("state", ["doubt1", "stray", "exchanged"])
def test_a_pair_with_an_animal_that_may_be_another_has_no_pose(state: str) -> None:
    seen = mice(0.0)
    doubtful = Pose(MICE, seen.points, seen.confidence, ("", state, ""))
    assert pose_of_pair(doubtful, 0, 1) is None
    assert pose_of_pair(doubtful, 1, 2) is None
    pair = pose_of_pair(doubtful, 0, 2)
    assert pair is not None
    assert pair.names[0] == "actor_snout"
    assert pair.names[3] == "target_snout"
    np.testing.assert_array_equal(pair.points, seen.points[[0, 2]])
