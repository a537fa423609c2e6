from itertools import groupby
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.errors import ExperimentError
from experiments.trial_order import Interval, drawn, in_blocks, parse_interval

SEEDS = st.integers(0, 10_000)


def longest(trials: list[str]) -> int:
    return max(len([*run]) for _, run in groupby(trials))


@given(SEEDS, st.integers(1, 5))
def test_drawn_trials_keep_to_their_runs(seed: int, most: int) -> None:
    trials = drawn("ab", (1, 5), 100, Random(seed), most)
    assert len(trials) == 100
    assert longest(trials) <= most
    assert trials == drawn("ab", (1, 5), 100, Random(seed), most)


def test_weights_are_shares() -> None:
    trials = drawn("abc", (1, 2, 1), 4000, Random(1))
    assert 1850 < trials.count("b") < 2150
    assert 880 < trials.count("a") < 1120
    assert drawn("a", (1,), 3, Random(1), 1) == ["a", "a", "a"]


@given(SEEDS, st.integers(1, 4), st.integers(0, 6))
def test_each_block_has_its_counts(seed: int, each: int, most: int) -> None:
    trials = in_blocks("ab", (each, each), 8, Random(seed), most)
    for start in range(0, len(trials), 2 * each):
        assert sorted(trials[start : start + 2 * each]) == ["a"] * each + ["b"] * each
    assert longest(trials) <= (most or 99)


def test_what_can_t_be_is_said() -> None:
    with pytest.raises(ExperimentError, match="no order has at most 2"):
        in_blocks("ab", (9, 1), 3, Random(1), 2)


@given(SEEDS)
def test_intervals_stay_within_their_limits(seed: int) -> None:
    random = Random(seed)
    assert parse_interval("40").draw(random) == 40
    assert parse_interval("choice 1, 2, 3").draw(random) in (1, 2, 3)
    assert 10 <= parse_interval("uniform 10 41").draw(random) <= 41
    assert 5 <= parse_interval("exponential 20 5 60").draw(random) <= 60


@given(
    st.one_of(
        st.lists(st.floats(0, 1e6), min_size=1, max_size=4).map(
            lambda them: "choice " + " ".join(f"{n:g}" for n in them)
        ),
        st.tuples(st.integers(0, 99), st.integers(0, 99)).map(
            lambda two: f"uniform {two[0]} {sum(two)}"
        ),
    )
)
def test_an_interval_written_and_read_again_is_the_same(words: str) -> None:
    interval = parse_interval(words)
    assert isinstance(interval, Interval)
    assert parse_interval(str(interval)) == interval


@pytest.mark.parametrize(
    "words",
    [
        *(
            "",
            "uniform",
            "uniform 5",
            "uniform 5 1",
            "choice",
            "choice -1",
            "inf",
            "nan",
        ),
        *("exponential 0 1 2", "exponential 5 2 1", "gauss 1 2", "10 x"),
    ],
)
def test_a_wrong_interval_is_explained(words: str) -> None:
    with pytest.raises(ValueError, match="expected seconds, choice"):
        parse_interval(words)
