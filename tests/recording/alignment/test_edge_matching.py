"""Edges of two clocks are paired rightly or not at all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplabstream.core.errors import DeviceError
from deeplabstream.recording.alignment.clock_map import map_clocks
from deeplabstream.recording.alignment.edge_matching import match_edges
from deeplabstream.recording.alignment.sync_signals import (
    Edges,
    barcodes,
    code_edges_s,
    random_pulses,
    read_codes,
)
from tests.recording.alignment.recorder import Recorder

LENGTH_S = 600.0
SEEDS = st.integers(0, 2**31)


def line_of(pattern: str, seed: int, seconds: float = LENGTH_S) -> Edges:
    return (
        barcodes(seed, seconds)
        if pattern == "barcodes"
        else random_pulses(seed, seconds)
    )


@settings(max_examples=20, deadline=None)
@given(
    pattern=st.sampled_from(["barcodes", "random"]),
    seed=SEEDS,
    offset_s=st.floats(-1e5, 1e5),
    ppm=st.floats(-150, 150),
    lost=st.floats(0, 0.08),
    extra=st.floats(0, 0.05),
    restart_s=st.one_of(st.just(np.inf), st.floats(200, 400)),
    gap_s=st.floats(0, 150),
    inverted=st.booleans(),
)
def test_pairs_are_right_and_nearly_all_are_found(
    pattern: str,
    seed: int,
    offset_s: float,
    ppm: float,
    lost: float,
    extra: float,
    restart_s: float,
    gap_s: float,
    inverted: bool,
) -> None:
    line = line_of(pattern, seed)
    recorder = Recorder(offset_s, ppm, restart_s)
    edges, truth = recorder.record(line, seed, lost, extra, (300, 300 + gap_s))
    seen = edges.inverted() if inverted else edges
    found = match_edges(line, seen)
    run = np.concatenate([match.run for match in found.matches])
    recording = np.concatenate([match.recording for match in found.matches])
    right = truth[recording] == run
    # an edge that chance puts within the tolerance of one that was lost can't be told apart
    apart = np.abs(recorder.clock(line.times_s[run]) - edges.times_s[recording])
    assert np.all(right | (apart < 0.005))
    assert right.sum() >= 0.9 * (truth >= 0).sum()
    assert found.inverted == inverted
    assert len(found.matches) <= 2


@settings(max_examples=10, deadline=None)
@given(
    pattern=st.sampled_from(["barcodes", "random"]), seed=SEEDS, ppm=st.floats(-99, 99)
)
def test_a_recording_of_another_session_has_no_pairs(
    pattern: str, seed: int, ppm: float
) -> None:
    ours, theirs = (line_of(pattern, seed + n * 7919) for n in (0, 1))
    edges, _ = Recorder(ppm=ppm).record(theirs, seed)
    assert match_edges(ours, edges).matches == ()


@pytest.mark.parametrize("period_s", [0.05, 1.0, 5.0])
def test_a_regular_train_is_refused(period_s: float) -> None:
    times = np.arange(0, 300, period_s / 2)
    line = Edges(times, np.arange(len(times)) % 2 == 0)
    edges, _ = Recorder().record(line, lost=0.01)
    found = match_edges(line, edges)
    assert found.matches == ()
    assert found.distinctive < 0.5 or found.ambiguous_s


def bursts(seed: int, pulses: int, rate: float, gap_s: tuple[float, float]) -> Edges:
    """Return 60 trains of pulses of a stimulus, at random intervals."""
    starts = np.cumsum(np.random.default_rng(seed).uniform(*gap_s, 60))
    pulse = np.array([0.0, 0.2 / rate])
    train = (np.arange(pulses)[:, None] / rate + pulse).ravel()
    times = (starts[:, None] + train).ravel()
    return Edges(times, np.arange(len(times)) % 2 == 0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("pulses", "rate", "gap_s"),
    [(10, 40.0, (20, 40)), (3, 10.0, (10, 30)), (2, 10.0, (10, 30))],
)
def test_trains_of_pulses_are_refused_when_they_fit_with_a_shift(
    pulses: int, rate: float, gap_s: tuple[float, float], seed: int
) -> None:
    line = bursts(seed, pulses, rate, gap_s)
    place = np.arange(len(line)) % (2 * pulses)
    without_last = line.at(np.flatnonzero(place < 2 * pulses - 2))
    some = Recorder(ppm=40).record(line, seed, lost=0.3)[0]
    other = Recorder(ppm=40).record(bursts(seed + 99, pulses, rate, gap_s), seed)[0]
    last_lost = Recorder(ppm=40).record(without_last, seed)[0]
    assert match_edges(line, other).matches == ()
    assert match_edges(line, last_lost).matches == ()
    assert match_edges(without_last, Recorder(ppm=40).record(line)[0]).matches == ()
    with pytest.raises(DeviceError, match=r"several places|Trains of equal pulses"):
        map_clocks(line, last_lost)
    found = match_edges(line, some)
    recorder = Recorder(ppm=40)
    for match in found.matches:
        there = recorder.clock(line.times_s[match.run])
        assert np.abs(there - some.times_s[match.recording]).max() < 0.005


@pytest.mark.parametrize("lost", [0.0, 0.3, 0.5])
def test_single_pulses_at_random_times_are_found(lost: float) -> None:
    """A stimulus of one pulse per trial."""
    line = bursts(5, 1, 1.0, (8, 40))
    recorder = Recorder(ppm=40)
    edges, truth = recorder.record(line, 5, lost)
    (match,) = match_edges(line, edges).matches
    assert (truth[match.recording] == match.run).all() and len(match) > 20


def test_the_line_of_barcodes_without_readable_codes_is_refused() -> None:
    """Bars of 30 ms fit by chance with many shifts."""
    line, other = barcodes(12345, LENGTH_S), barcodes(99999, LENGTH_S)
    edges, _ = Recorder().record(other, lost=0.3)
    assert match_edges(line, edges).matches == ()


def test_only_the_repeated_end_of_a_recording_is_ambiguous() -> None:
    """The recorder started again while the line was repeated: only that is refused."""
    first = random_pulses(1, 600)
    once = random_pulses(2, 120)
    times = [first.times_s, once.times_s + 600, once.times_s + 720, once.times_s + 840]
    line = Edges(
        np.concatenate(times), np.concatenate([first.rising, *[once.rising] * 3])
    )
    own = (line.times_s < 600) | ((line.times_s > 720) & (line.times_s < 840))
    there = Recorder(restart_s=700).clock(line.times_s[own])
    part = (line.times_s[own] > 700).astype(np.int64)
    found = match_edges(line, Edges(there, line.rising[own], part))
    assert len(found.matches) == 1
    assert line.times_s[found.matches[0].run[-1]] < 600
    assert len(found.ambiguous_s) == 3
    assert all(600 < start < end < 961 for start, end in found.ambiguous_s)


def test_one_side_of_equal_pulses_is_refused_when_the_polarity_is_not_known() -> None:
    """Rising edges of an inverted line are as equal to those of the line, a pulse later."""
    line = random_pulses(3, LENGTH_S)
    edges, _ = Recorder().record(line)
    one_side = edges.at(edges.rising)
    assert len(match_edges(line, one_side).matches) == 1
    few = np.flatnonzero(~edges.rising)[:2]
    odd = edges.at(np.sort(np.concatenate([np.flatnonzero(edges.rising), few])))
    found = match_edges(line, odd)
    assert found.matches == () and found.ambiguous_s


@given(st.integers(0, 2**32 - 1))
def test_a_code_reads_as_its_number(value: int) -> None:
    times = np.array(code_edges_s(value)) + 3.0
    line = Edges(times, np.arange(len(times)) % 2 == 0)
    assert read_codes(line).values.tolist() == [value]


@given(st.integers(1, 2**32 - 1), st.data())
def test_a_code_that_lost_an_edge_is_left_out(value: int, data: st.DataObject) -> None:
    times = np.array(code_edges_s(value))
    lost = data.draw(st.integers(0, len(times) - 1))
    line = Edges(times, np.arange(len(times)) % 2 == 0)
    assert read_codes(line.at(np.delete(np.arange(len(times)), lost))).values.size == 0


@pytest.mark.parametrize("rate", [130.0, 1000.0, 30_000.0])
def test_codes_are_read_from_samples(rate: float) -> None:
    line = barcodes(0xDEADBEEF, 60)
    seen = Edges(np.ceil(line.times_s * rate) / rate, line.rising)
    codes = read_codes(seen, 1 / rate)
    assert len(codes.values) >= 11
    assert set(codes.values.tolist()) <= {*range(0xDEADBEEF, 0xDEADBEEF + 12)}
