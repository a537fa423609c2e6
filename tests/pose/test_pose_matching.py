import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.pose.tracking.pose_matching import distances, match_animals


@given(
    order=st.permutations(range(4)), absent=st.integers(0, 4), seed=st.integers(0, 99)
)
def test_the_same_animals_in_another_order_are_found(
    order: list[int], absent: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    points = np.full((4, 3, 2), np.nan, np.float32)
    points[absent:] = rng.uniform(0, 500, (4 - absent, 3, 2))
    others = points[order] + rng.normal(0, 0.1, (4, 3, 2)).astype(np.float32)
    found = match_animals(points, others)
    assert sorted(found) == [0, 1, 2, 3]
    assert [order[place] for place in found][absent:] == list(range(4))[absent:]


def test_animals_without_a_common_part_are_no_distance_apart() -> None:
    points = np.full((2, 2, 2), np.nan, np.float32)
    points[0, 0], points[1] = 10, 20
    others = np.full((1, 2, 2), np.nan, np.float32)
    others[0, 1] = 23, 24
    away = distances(points, others)
    assert np.isnan(away[0, 0])
    assert away[1, 0] == 5
