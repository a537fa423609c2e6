from math import isnan

import numpy as np
import pytest

from deeplabstream.numerics.duration_histogram import DurationHistogram


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 0.99])
def test_a_quantile_is_that_of_numpy_within_a_thousandth(share: float) -> None:
    durations = np.random.default_rng(1).lognormal(np.log(5e6), 1.0, 20_000).astype(int)
    histogram = DurationHistogram()
    for duration in durations:
        histogram.add(int(duration))
    exact = np.quantile(durations, share, method="inverted_cdf")
    assert histogram.quantile_ns(share) == pytest.approx(exact, rel=0.001)
    assert len(histogram) == len(durations)


def test_durations_outside_its_limits_are_counted_at_them() -> None:
    histogram = DurationHistogram()
    for duration in (-5, 0, 10**15):
        histogram.add(duration)
    assert histogram.quantile_ns(0.5) == pytest.approx(1e3, rel=0.001)
    assert histogram.quantile_ns(1.0) == pytest.approx(1e12, rel=0.003)


def test_without_durations_a_quantile_is_not_known() -> None:
    assert isnan(DurationHistogram().quantile_ns(0.5))
