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
    number_limits,
    share_of,
    share_of_both,
)

TOLERANCE = 1e-9
"""Largest error of a sum of floats here."""


def sampled(size: int, held: int, judged: int) -> tuple[int, list[float]]:
    """Return a stratum of which `held` of the judged decisions held."""
    return size, [1.0] * held + [0.0] * (judged - held)


def chances(size: int, held: int, judged: int) -> list[float]:
    """Return the probabilities that 0, 1, ... of the judged decisions held."""
    return [
        comb(held, k) * comb(size - held, judged - k) / comb(size, judged)
        for k in range(judged + 1)
    ]


def p_value(size: int, held: int, judged: int, found: int) -> float:
    """Return Blaker's P value with mid-P tails, from its definition."""
    of = chances(size, held, judged)
    tails = [min(sum(of[: k + 1]), sum(of[k:])) - of[k] / 2 for k in range(judged + 1)]
    return sum(
        chance * (0.5 if tail == pytest.approx(tails[found], abs=1e-12) else 1)
        for chance, tail in zip(of, tails, strict=True)
        if tail < tails[found] + 1e-12
    )


@pytest.mark.parametrize(
    ("size", "judged", "found"),
    [(40, 5, 0), (40, 5, 2), (60, 9, 1), (60, 9, 9), (25, 24, 12)],
)
def test_limits_are_the_outermost_numbers_that_the_test_does_not_reject(
    size: int, judged: int, found: int
) -> None:
    kept = [k for k in range(size + 1) if p_value(size, k, judged, found) > 0.05]
    assert number_limits(size, judged, found) == (kept[0], kept[-1])


def test_limits_of_many_decisions_are_those_of_the_same_share_of_fewer() -> None:
    many, fewer = (number_limits(size, 20, 3) for size in (200_000, 4000))
    assert np.array(many) / 200_000 == pytest.approx(np.array(fewer) / 4000, abs=2e-3)


def test_limits_between_whole_numbers_are_interpolated() -> None:
    ends = np.array([number_limits(300, 20, k) for k in (4, 4.5, 5)])
    assert ends[1] == pytest.approx((ends[0] + ends[2]) / 2)


def test_a_stratum_contains_the_truth_in_95_of_100_samples_on_average() -> None:
    size, judged = 200, 20
    ends = [share_of(number_held([sampled(size, k, judged)]), size) for k in range(21)]
    contained = [
        sum(
            chance
            for chance, end in zip(chances(size, right, judged), ends, strict=True)
            if end.low <= right / size <= end.high
        )
        for right in range(size + 1)
    ]
    assert np.mean(contained) == pytest.approx(0.95, abs=0.005)
    assert min(contained) > 0.89, (
        "the number of errors is whole: it can't be met always"
    )


def test_figures_of_random_runs_contain_the_truth_in_93_to_97_of_100_samples() -> None:
    """Runs of 2 to 5 strata, with errors in the first strata and in half of the others."""
    random = np.random.default_rng(20)
    contained: list[tuple[bool, bool]] = []
    for _ in range(100):
        sizes = random.integers(30, 600, (2, int(random.integers(1, 4))))
        rates = random.choice([0.0, 1.0], sizes.shape) * random.beta(
            0.6, 4, sizes.shape
        )
        # Without an error, the share is 1, and lies in each interval.
        rates[:, 0] = random.uniform(0.02, 0.4, 2)
        rates[0] = 1 - rates[0]
        held = random.binomial(sizes, rates)
        judged = np.minimum(random.integers(8, 40, sizes.shape), sizes)
        truths = held[0].sum() / sizes[0].sum(), held[0].sum() / held.sum()
        for _ in range(20):
            drawn = random.hypergeometric(held, sizes - held, judged)
            right, missed = (
                number_held(
                    sampled(int(size), int(k), int(n))
                    for size, k, n in zip(*strata, strict=True)
                )
                for strata in zip(sizes, drawn, judged, strict=True)
            )
            recall = share_of_both(right, missed)
            assert recall is not None
            found = share_of(right, int(sizes[0].sum())), recall
            contained.append(tuple(
                it.low - TOLERANCE <= truth <= it.high + TOLERANCE
                for it, truth in zip(found, truths, strict=True)
            ))  # fmt: skip
    precision, recall_contained = np.mean(contained, axis=0)
    assert 0.93 <= precision <= 0.97, f"precision {precision:.3f}"
    assert 0.93 <= recall_contained <= 0.97, f"recall {recall_contained:.3f}"


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
    assert np.mean(contained) >= 0.93


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
