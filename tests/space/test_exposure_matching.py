import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.space.exposure_matching import match_numbers, match_times

PERIOD_NS = 33_333_333


@given(
    lost=st.lists(st.sets(st.integers(0, 29), max_size=12), min_size=2, max_size=4),
    seed=st.integers(0, 99),
)
def test_frames_of_one_exposure_are_matched_whatever_is_lost(
    lost: list[set[int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    kept = [np.array([n for n in range(30) if n not in own]) for own in lost]
    times = [
        own * PERIOD_NS + rng.integers(0, PERIOD_NS // 5, len(own)) for own in kept
    ]
    for matched in (match_times(times), match_numbers(kept)):
        assert len(matched) == len(np.unique(np.concatenate(kept)))
        for moment in matched:
            numbers = {
                int(own[frame])
                for own, frame in zip(kept, moment, strict=True)
                if frame >= 0
            }
            assert len(numbers) == 1
        for camera, own in enumerate(kept):
            used = matched[:, camera]
            assert used[used >= 0].tolist() == list(range(len(own)))


def test_a_camera_without_frames_is_in_no_moment() -> None:
    none = np.array([], np.int64)
    assert match_times([np.array([0, 10]), none]).tolist() == [[0, -1], [1, -1]]
    assert match_numbers([none, none]).shape == (0, 2)
    assert match_times([none, none]).shape == (0, 2)


def test_frames_without_a_number_are_not_matched() -> None:
    matched = match_numbers([np.array([-1, 4]), np.array([4, -1])])
    assert matched.tolist() == [[1, 0]]
