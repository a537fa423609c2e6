"""Intervals of a stratified sample: their limits, and how often they contain the truth."""

from itertools import pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.audit.intervals import (
    Number,
    number_held,
    share_limits,
    share_of,
    share_of_both,
)

TOLERANCE = 1e-9
"""Largest error of a sum of floats here."""


def sampled(size: int, held: int, judged: int) -> tuple[int, list[float]]:
    """Return a stratum of which `held` of the judged decisions held."""
    return size, [1.0] * held + [0.0] * (judged - held)


@pytest.mark.parametrize(
    ("held", "clips", "low", "high"),
    [
        (0, 5, 0.0, 0.3793771),
        (1, 9, 0.0122641, 0.4144693),
        (3, 17, 0.0523477, 0.4001226),
        (25, 25, 0.9053172, 1.0),
        (0.5, 10.3, 0.0024550, 0.3010273),
        (40, 99, 0.3112830, 0.5023176),
    ],
)
def test_limits_are_quantiles_of_the_beta_distribution(
    held: float, clips: float, low: float, high: float
) -> None:
    """Computed by scipy.stats.beta.ppf."""
    assert share_limits(held, clips) == pytest.approx((low, high), abs=1e-6)


def test_a_stratum_contains_the_truth_in_95_of_100_samples_on_average() -> None:
    size, judged = 200, 20
    ends = [share_of(number_held([sampled(size, k, judged)]), size) for k in range(21)]
    contained = [
        sum(
            comb(right, k) * comb(size - right, judged - k) / comb(size, judged)
            for k, end in enumerate(ends)
            if end.low <= right / size <= end.high
        )
        for right in range(size + 1)
    ]
    assert np.mean(contained) == pytest.approx(0.95, abs=0.005)
    assert min(contained) > 0.89, (
        "the number of errors is whole: it can't be met always"
    )


def test_recall_contains_the_truth_where_most_strata_have_no_error() -> None:
    """Of 22,318 steady false answers, none was wrong: a prior would expect some."""
    sizes = {"true": (1964, 1454, 21), "near": (4728, 35, 19), "steady": (22318, 0, 36)}
    random = np.random.default_rng(7)
    truth = 1454 / (1454 + 35)
    contained = []
    for _ in range(600):
        strata = {
            name: sampled(size, int(random.hypergeometric(held, size - held, n)), n)
            for name, (size, held, n) in sizes.items()
        }
        found = share_of_both(
            number_held([strata["true"]]),
            number_held([strata["near"], strata["steady"]]),
        )
        assert found is not None
        contained.append(found.low <= truth <= found.high)
    assert 0.93 <= np.mean(contained) <= 0.98


def test_a_stratum_without_an_error_widens_the_interval_at_one_end() -> None:
    alone = number_held([sampled(1000, 10, 20)])
    with_other = alone + number_held([sampled(5000, 0, 30)])
    assert with_other.value == alone.value
    assert with_other.low == alone.low
    assert with_other.high > alone.high


def test_a_stratum_without_a_clip_has_the_share_of_the_others_and_no_limits() -> None:
    found = number_held([sampled(100, 5, 10), sampled(300, 10, 10), (400, [])])
    assert found.value == pytest.approx(50 + 300 + 400 * 350 / 400)
    assert found.low < 350 < 750 < found.high + TOLERANCE
    assert number_held([(10, [])]) == Number(5, 5, 5)


def test_what_was_seen_to_hold_limits_the_interval() -> None:
    found = number_held([sampled(10, 4, 9)])
    assert found.low >= 4
    assert found.high <= 5


def test_divided_raters_leave_doubt_after_a_census() -> None:
    divided = number_held([(40, [0.5] * 10 + [1.0] * 30)])
    assert divided.value == 35
    assert 2 < divided.below == divided.above < 4, "1.96 times the root of 10 / 4"


def test_nothing_held_leaves_the_share_open() -> None:
    assert share_of_both(Number(), Number(0.0, 0.0, 3.0)) is None


counts = st.integers(1, 30).flatmap(
    lambda judged: st.tuples(
        st.integers(judged, 3000), st.integers(0, judged), st.just(judged)
    )
)


@given(
    st.lists(counts, min_size=1, max_size=4), st.lists(counts, min_size=1, max_size=4)
)
def test_a_share_lies_in_its_interval_and_the_rest_is_its_mirror_image(
    one: list[tuple[int, int, int]], other: list[tuple[int, int, int]]
) -> None:
    part, rest = (
        number_held([sampled(*stratum) for stratum in strata])
        for strata in (one, other)
    )
    found, mirrored = share_of_both(part, rest), share_of_both(rest, part)
    if found is None or mirrored is None:
        assert part.value == rest.value == 0
        return
    ends = (0, found.low, found.value, found.high, 1)
    assert all(less <= more + TOLERANCE for less, more in pairwise(ends))
    assert found.low == pytest.approx(1 - mirrored.high, abs=TOLERANCE)
    assert found.high == pytest.approx(1 - mirrored.low, abs=TOLERANCE)
