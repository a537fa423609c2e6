"""Made clocks with known drift, jitter, jumps and wrap-around."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplabstream.numerics.clock_sync import ClockSync, CounterUnwrapper

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


def test_a_single_wrong_stamp_is_not_accepted_and_changes_nothing() -> None:
    sync = ClockSync()
    for index in range(500):
        sync.moment(index * 10 * MS, index * 10 * MS + MS)
    moment = sync.moment(10**15, 5000 * MS + MS)
    assert moment == 5000 * MS + MS
    assert sync.jump_ns == 0
    after = sync.moment(5010 * MS, 5011 * MS)
    assert after == pytest.approx(5011 * MS, abs=MS // 10)
    assert sync.jump_ns == 0


@pytest.mark.parametrize("jump_s", [-100, 100])
def test_a_clock_that_is_set_is_followed_after_three_frames(jump_s: int) -> None:
    sync, jumps = ClockSync(), []
    for index in range(500):
        sync.moment(index * 10 * MS, index * 10 * MS + MS)
    for index in range(500, 1000):
        true_ns = index * 10 * MS
        moment = sync.moment(true_ns + jump_s * 10**9, true_ns + MS)
        assert true_ns <= moment <= true_ns + MS
        jumps += [(index, sync.jump_ns)] if sync.jump_ns else []
    assert jumps == [(502, pytest.approx(jump_s * 10**9, abs=MS))]


@dataclass
class Stream:
    """A camera with a clock of its own, a queue, and a computer that takes frames out."""

    rate: float = 30.0
    drift_ppm: float = 0.0
    tick_ns: int = 1
    """Resolution of the stamps."""
    jitter_ns: float = 0.0
    sync: ClockSync = field(default_factory=ClockSync)

    def __post_init__(self) -> None:
        self.exposed_ns, self.arrived_ns = 10**12, 0
        self.offset_ns = 7 * 10**9
        self.random = np.random.default_rng(0)
        self.jumps: list[int] = []
        self.ages: list[tuple[float, float]] = []
        """True age of each frame at its arrival, and by its stamp, in ms."""

    def frame(self, waits_ns: float = 0.0, taking_ns: float = 0.0) -> None:
        """Expose a frame, which waits, and is taken out after the one before it."""
        self.exposed_ns += round(1e9 / self.rate)
        passed_ns = self.exposed_ns - 10**12
        device_ns = round(passed_ns * (1 - self.drift_ppm * 1e-6)) + self.offset_ns
        jitter_ns = self.random.exponential(self.jitter_ns)
        ready_ns = self.exposed_ns + round(waits_ns + jitter_ns)
        self.arrived_ns = max(ready_ns, self.arrived_ns + round(taking_ns) + 1)
        stamp_ns = device_ns // self.tick_ns * self.tick_ns
        moment_ns = self.sync.moment(stamp_ns, self.arrived_ns)
        if self.sync.jump_ns:
            self.jumps.append(self.sync.jump_ns)
        true_ns = self.arrived_ns - self.exposed_ns
        self.ages.append((true_ns / MS, (self.arrived_ns - moment_ns) / MS))

    def frames(self, seconds: float, **how: float) -> None:
        for _ in range(round(seconds * self.rate)):
            self.frame(**how)

    def errors(self, after: int = 0) -> np.ndarray:
        """Return age by the stamp less the true age, in ms, from that frame on."""
        true, stamped = np.array(self.ages[after:]).T
        return stamped - true


PPM = st.floats(-150, 150)
TICKS = st.sampled_from([1, 1000, 11_111, MS, 10 * MS])


@settings(max_examples=10, deadline=None)
@given(PPM, TICKS, st.sampled_from([5.0, 30.0, 100.0]))
def test_a_clock_that_drifts_gives_the_true_age(
    drift_ppm: float, tick_ns: int, rate: float
) -> None:
    stream = Stream(rate, drift_ppm, tick_ns, jitter_ns=2 * MS)
    stream.frames(20 + 200 / rate)
    errors = stream.errors(after=round(20 * rate))
    assert np.abs(errors).max() < 3 + tick_ns / MS
    assert stream.jumps == []


@settings(max_examples=20, deadline=None)
@given(
    PPM, TICKS, st.floats(1.01, 2.0), st.sampled_from([0, 3, 15]), st.floats(0.3, 3.0)
)
def test_a_backlog_that_grows_or_stays_is_age(
    drift_ppm: float, tick_ns: int, slower: float, before_s: int, most_s: float
) -> None:
    stream = Stream(30.0, drift_ppm, tick_ns, jitter_ns=MS)
    stream.frames(1 + before_s)
    for _ in range(1000):
        if stream.ages[-1][0] < 1e3 * most_s:
            stream.frame(taking_ns=1e9 / 30 * slower)
    stream.frames(30, taking_ns=1e9 / 30)  # the queue is full, and stays full
    seconds = np.arange(len(stream.ages)) / 30
    drift_ms = 0.5 * seconds  # what a clock of 500 ppm might explain
    assert np.all(stream.errors() > -5 - tick_ns / MS - drift_ms)
    assert stream.jumps == []


def test_a_full_queue_is_age_for_half_an_hour() -> None:
    stream = Stream(30.0, 100.0, jitter_ns=MS)
    stream.frames(60)
    stream.arrived_ns += 700 * MS
    before = len(stream.ages)
    stream.frames(1800, taking_ns=1e9 / 30)
    assert np.abs(stream.errors(before)).max() < 25


def test_the_backlog_of_a_computer_that_takes_29_of_30_frames_is_age() -> None:
    stream = Stream()
    stream.frames(120, waits_ns=5 * MS, taking_ns=1e9 / 29)
    assert stream.ages[-1][0] > 3500
    assert np.abs(stream.errors()).max() < 60


@settings(max_examples=25, deadline=None)
@given(PPM, TICKS, st.floats(0.05, 30.0), st.floats(0.0, 15 * MS))
def test_frames_after_a_stall_have_their_true_age(
    drift_ppm: float, tick_ns: int, stall_s: float, taking_ns: float
) -> None:
    stream = Stream(30.0, drift_ppm, tick_ns)
    stream.frames(10)
    stream.arrived_ns += round(stall_s * 1e9)
    before = len(stream.ages)
    while stream.ages[-1][0] > 1 or len(stream.ages) < before + 30:
        stream.frame(taking_ns=taking_ns)
    assert np.abs(stream.errors(before)).max() < 3 + 2 * tick_ns / MS
    assert stream.jumps == []


@settings(max_examples=25, deadline=None)
@given(
    PPM,
    TICKS,
    st.floats(0.25, 1e6),
    st.sampled_from([-1, 1]),
    st.sampled_from([0, 0, 800, 3000]),
)
def test_a_jump_keeps_the_age_of_a_backlog_and_is_reported_once(
    drift_ppm: float, tick_ns: int, jump_s: float, sign: int, backlog_ms: int
) -> None:
    stream = Stream(30.0, drift_ppm, tick_ns)
    stream.frames(10)
    if sign > 0:
        jump_s += 1.2 * backlog_ms / 1e3
    stream.arrived_ns += backlog_ms * MS
    taking_ns = 1e9 / 30 if backlog_ms else 0.0
    stream.frames(5, taking_ns=taking_ns)
    before = len(stream.ages)
    stream.offset_ns += round(sign * jump_s * 1e9)
    stream.frames(5, taking_ns=taking_ns)
    assert np.abs(stream.errors(before)).max() < 3 + 2 * tick_ns / MS
    (jump_ns,) = stream.jumps
    assert jump_ns == pytest.approx(sign * jump_s * 1e9, abs=3 * MS + 2 * tick_ns)


def test_old_frames_at_the_opening_are_no_jump() -> None:
    stream = Stream()
    stream.frame(waits_ns=3000 * MS)
    stream.frames(3, taking_ns=MS)
    stream.frames(10)
    stream.frame(waits_ns=700 * MS)
    assert stream.jumps == []
    assert abs(stream.errors()[-1]) < 1


def test_a_clock_off_by_half_a_per_cent_is_followed_where_it_is_allowed() -> None:
    stream = Stream(10.0, 5000.0, sync=ClockSync(max_drift_ppm=10_000))
    stream.frames(120)
    assert np.abs(stream.errors(after=200)).max() < 3


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
