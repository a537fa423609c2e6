"""Made clocks with known drift, jitter, jumps and wrap-around."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.clock_sync import ClockSync, CounterUnwrapper

MS = 1_000_000


def run(
    drift_ppm: float, seconds: int = 60, rate: int = 100, seed: int = 0, offset: int = 7
) -> tuple[ClockSync, np.ndarray, np.ndarray]:
    """Return the synchroniser, the true moments and its own, both in ns."""
    random = np.random.default_rng(seed)
    truth = np.arange(seconds * rate) * round(1e9 / rate) + 10**12
    device = (truth - 10**12) * (1 - drift_ppm * 1e-6) + offset * 10**9
    delay = 0.3 * MS + random.exponential(2 * MS, len(truth))
    sync = ClockSync()
    arrived = np.maximum.accumulate((truth + delay).astype(np.int64))
    moments = [
        sync.moment(int(d), int(a)) for d, a in zip(device, arrived, strict=True)
    ]
    return sync, truth, np.array(moments)


@pytest.mark.parametrize("drift_ppm", [-200.0, -20.0, 0.0, 50.0, 300.0])
def test_drift_is_found_and_the_jitter_of_arrival_is_gone(drift_ppm: float) -> None:
    sync, truth, moments = run(drift_ppm)
    error = (moments - truth)[1000:] / MS
    assert np.median(np.abs(error)) < 0.6  # the shortest delay of 0.3 ms can't be seen
    assert np.abs(error).max() < 1.0
    assert sync.drift_ppm == pytest.approx(drift_ppm, abs=8)
    assert sync.residual_ns < 0.2 * MS
    assert (sync.jumps, sync.outliers) == (0, 0)


def test_a_single_mad_stamp_is_not_believed_and_changes_nothing() -> None:
    sync = ClockSync()
    for index in range(500):
        sync.moment(index * 10 * MS, index * 10 * MS + MS)
    moment = sync.moment(10**15, 5000 * MS + MS)
    assert moment == 5000 * MS + MS
    after = sync.moment(5010 * MS, 5011 * MS)
    assert after == pytest.approx(5011 * MS, abs=MS // 10)
    assert (sync.jumps, sync.outliers) == (0, 1)


@pytest.mark.parametrize("jump_s", [-100, 100])
def test_a_clock_that_is_set_is_followed_after_three_frames(jump_s: int) -> None:
    sync = ClockSync()
    for index in range(500):
        sync.moment(index * 10 * MS, index * 10 * MS + MS)
    for index in range(500, 1000):
        true_ns = index * 10 * MS
        moment = sync.moment(true_ns + jump_s * 10**9, true_ns + MS)
        assert true_ns <= moment <= true_ns + MS
    assert sync.jumps == 1
    assert sync.outliers == 0


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(1, 10**9)), max_size=60))
def test_moments_grow_and_are_never_later_than_the_arrival(
    stamps: list[tuple[int, int]],
) -> None:
    sync, arrived_ns, last_ns = ClockSync(), 0, -1
    for device_ns, later_ns in stamps:
        arrived_ns += later_ns
        moment = sync.moment(device_ns, arrived_ns)
        assert last_ns < moment <= arrived_ns
        last_ns = moment


@given(
    st.integers(0, 70_000),
    st.lists(st.integers(1, 30_000), max_size=40),
    st.sampled_from([(16, 0), (16, 1)]),
)
def test_a_count_of_16_bits_goes_on_for_ever(
    start: int, steps: list[int], kind: tuple[int, int]
) -> None:
    bits, first = kind
    size, unwrap = 2**bits - first, CounterUnwrapper(bits, first)
    true = start
    assert unwrap.number(true % size + first) == 0
    for step in steps:
        true += step
        assert unwrap.number(true % size + first) == true - start
