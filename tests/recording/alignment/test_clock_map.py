"""Times on another clock are within the error that is stated, or are not given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.clock_alignment import measured, refused
from deeplabstream.core.errors import DeviceError
from deeplabstream.recording.alignment.clock_map import EXTRAPOLATE_S, map_clocks
from deeplabstream.recording.alignment.sync_signals import Edges, random_pulses
from tests.recording.alignment.recorder import Recorder


@pytest.mark.parametrize("pattern", ["barcodes", "random"])
def test_the_acceptance_on_two_hours(pattern: str) -> None:
    row = measured(pattern, 2.0, 2000, 1)
    assert (row["aligned"], row["within_1_ms"], row["segments"]) == (2000, 2000, 2)
    assert refused(pattern, 0.5, 3)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    ppm=st.floats(-100, 100),
    lost=st.floats(0, 0.1),
    restart_s=st.one_of(st.just(np.inf), st.floats(200, 1000)),
    gap_s=st.floats(0, 500),
)
def test_a_given_time_is_right(
    seed: int, ppm: float, lost: float, restart_s: float, gap_s: float
) -> None:
    line = random_pulses(seed, 1200)
    recorder = Recorder(ppm=ppm, restart_s=restart_s)
    edges, _ = recorder.record(line, seed, lost, 0.01, (400, 400 + gap_s))
    clocks = map_clocks(line, edges)
    times = np.linspace(0, 1200, 5000)
    found = clocks.align(times)
    assert len(clocks.segments) == 1 + np.isfinite(restart_s)
    known = found.segments >= 0
    off = np.abs(found.times_s - recorder.clock(times))[known]
    assert off.max() < 0.001
    assert known.mean() > 0.5
    assert np.isnan(found.times_s[~known]).all()


def test_a_jump_of_the_clock_begins_a_new_segment() -> None:
    line = random_pulses(5, 1800)
    edges, _ = Recorder(jitter_s=5e-5).record(line)
    jumped = Edges(edges.times_s + 0.0015 * (edges.times_s > 1400), edges.rising)
    clocks = map_clocks(line, jumped)
    assert len(clocks.segments) == 2
    at = clocks.align(np.array([500.0, 1300.0]))
    assert at.segments.tolist() == [0, 1]
    truth = Recorder().clock(np.array([500.0, 1300.0])) + np.array([0, 0.0015])
    assert np.abs(at.times_s - truth).max() < 2e-4


def test_times_outside_of_the_recording_are_not_given() -> None:
    line = random_pulses(6, 1200)
    edges, _ = Recorder().record(line)
    chosen = (edges.times_s > 700) & (edges.times_s < 1500)
    within = edges.at(chosen)
    span = (float(within.times_s[0]) - 1, float(within.times_s[-1]) + 1)
    times = np.linspace(0, 1200, 2401)
    there = Recorder().clock(times)
    inside = (there > span[0]) & (there < span[1])
    found = map_clocks(line, within, [span]).align(times)
    np.testing.assert_array_equal(found.segments >= 0, inside)
    free = map_clocks(line, within).align(times).segments >= 0
    first, last = times[free][[0, -1]]
    ends = line.times_s[[0, -1]]
    assert first >= max(ends[0], 199) - EXTRAPOLATE_S - 10
    assert last <= 1001 + EXTRAPOLATE_S + 10


def test_a_gap_that_is_too_long_is_not_bridged() -> None:
    """Temperature may change a quartz by so much in hours that 1 ms can't be promised."""
    line = random_pulses(7, 6 * 3600)
    edges, _ = Recorder(jitter_s=5e-4).record(line, gap_s=(3600, 5 * 3600))
    found = map_clocks(line, edges).align(np.array([1800.0, 3 * 3600.0, 20_000.0]))
    assert (found.segments >= 0).tolist() == [True, False, True]


def test_what_does_not_belong_together_is_refused_in_a_sentence() -> None:
    ours, theirs = random_pulses(1, 600), random_pulses(2, 600)
    with pytest.raises(DeviceError, match="are not those of the run"):
        map_clocks(ours, theirs)
    times = np.arange(0, 300, 0.5)
    regular = Edges(times, np.arange(len(times)) % 2 == 0)
    with pytest.raises(DeviceError, match="repeat so regularly"):
        map_clocks(regular, regular)
    with pytest.raises(DeviceError, match="are not those of the run"):
        map_clocks(ours, theirs.at(np.arange(2)))
