"""Pulses and frames: losses are found and numbered; what is not certain is refused."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.exposure_pulses import CASES, Case, draw, rate
from deeplabstream.recording.alignment.pulse_matching import (
    AMBIGUOUS,
    NO_PULSE,
    REFUSED,
    TOO_FEW,
    TOO_LATE,
    PulseTrain,
    match_pulses,
)

RATE = 100.0
NUMBERS = np.arange(2000)


def dithered(seed: int = 0) -> np.ndarray:
    return (NUMBERS + 0.01 * np.random.default_rng(seed).random(len(NUMBERS))) / RATE


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_frame_gets_a_wrong_pulse_and_no_loss_is_invented(
    case: Case, seed: int
) -> None:
    score = rate(case, 1.0, 100 + seed)
    assert (score.wrong, score.invented) == (0, 0)
    if case.is_ambiguous:
        assert score.refused == score.frames
    elif not case.arrival:  # a minute is short for times that vary so much
        assert score.right >= 0.95 * score.frames
        assert score.proven >= 0.9 * score.lost


def test_a_frame_that_is_lost_without_a_gap_in_the_count_is_numbered() -> None:
    times = dithered()
    kept = np.delete(NUMBERS, [500, 900, 901, 902])
    found = match_pulses(
        PulseTrain(NUMBERS, times, True), np.arange(len(kept)), times[kept] + 0.023, 0.1
    )
    assert found.lost.tolist() == [500, 900, 901, 902]
    assert found.pulses.tolist() == kept.tolist()


def test_an_exposure_whose_pulse_was_missed_has_none() -> None:
    times = NUMBERS / RATE
    train = PulseTrain(np.arange(1999), np.delete(times, 700))
    found = match_pulses(train, NUMBERS, times + 0.004, 0.009)
    assert found.pulses[[699, 700, 701]].tolist() == [699, NO_PULSE, 700]
    assert (found.pulses >= 0).sum() == 1999 and not len(found.lost)


def test_frames_that_are_held_up_keep_their_pulses() -> None:
    times = dithered()
    frames = times + 0.004
    frames[800:812] = frames[812]  # twelve at once
    found = match_pulses(PulseTrain(NUMBERS, times, True), NUMBERS, frames, 0.1)
    assert found.pulses.tolist() == NUMBERS.tolist()


def test_a_loss_among_frames_that_are_held_up_is_not_placed() -> None:
    times = dithered()
    frames = times + 0.004
    frames[800:812] = frames[812]
    kept = np.delete(NUMBERS, 805)
    found = match_pulses(
        PulseTrain(NUMBERS, times, True), np.arange(len(kept)), frames[kept], 0.1
    )
    sure = found.pulses != REFUSED
    assert (found.pulses[sure] == kept[sure]).all()
    assert set(np.flatnonzero(~sure)) <= set(range(799, 813)) and (~sure).any()
    assert 805 not in found.lost


def test_a_loss_where_frames_are_late_at_times_is_counted_and_not_placed() -> None:
    """A frame that is late by a whole period before a loss looks as one behind it."""
    times = dithered()
    frames = times + 0.004
    frames[100:1900:90] += 0.0147
    frames[1500] += 0.01
    kept = np.delete(NUMBERS, [700, 1501])
    found = match_pulses(
        PulseTrain(NUMBERS, times, True), np.arange(len(kept)), frames[kept], 0.1
    )
    sure = found.pulses != REFUSED
    assert (found.pulses[sure] == kept[sure]).all() and sure.sum() >= 1990
    assert (len(found.lost), found.unplaced) == (0, 2)


def test_a_late_frame_behind_an_estimated_gap_does_not_confirm_it() -> None:
    """A camera that was opened again counts a frame too many; a stall follows."""
    times = NUMBERS / RATE
    frames = times + 0.004
    frames[825:827] = frames[826] + 0.0002
    kept = np.delete(NUMBERS, np.arange(800, 820))
    counts = kept + (kept >= 820)
    found = match_pulses(PulseTrain(NUMBERS, times, True), counts, frames[kept], 0.009)
    sure = found.pulses != REFUSED
    assert (found.pulses[sure] == kept[sure]).all() and sure.sum() >= len(kept) - 24
    assert set(found.lost) <= set(range(800, 820))


def test_pulses_whose_times_were_not_reported_still_have_frames() -> None:
    times = dithered()
    reported = np.delete(NUMBERS, [30, 31, 600])
    train = PulseTrain(reported, times[reported], True)
    found = match_pulses(train, NUMBERS, times + 0.012, 0.1)
    assert found.pulses.tolist() == NUMBERS.tolist()


def test_the_first_pulse_of_a_generator_bounds_the_shift() -> None:
    times = NUMBERS / RATE
    train = PulseTrain(NUMBERS, times, generated=True)
    found = match_pulses(train, NUMBERS, times + 0.0085, 0.019)
    assert (found.stretches[0].how, found.stretches[0].shifts) == ("first pulse", 1)
    assert found.pulses.tolist() == NUMBERS.tolist()
    late = match_pulses(train, NUMBERS[500:], times[500:] + 0.0085, 0.019)
    assert late.stretches[0].why == AMBIGUOUS


@pytest.mark.parametrize(
    ("dither", "delay_s", "most_s", "why"),
    [
        (False, 0.012, 0.1, AMBIGUOUS),
        (True, 0.055, 0.04, TOO_LATE),
        (False, 0.0085, 0.005, TOO_LATE),
    ],
)
def test_what_is_not_certain_is_refused(
    dither: bool, delay_s: float, most_s: float, why: str
) -> None:
    times = dithered() if dither else NUMBERS / RATE
    found = match_pulses(PulseTrain(NUMBERS, times), NUMBERS, times + delay_s, most_s)
    assert (found.pulses == REFUSED).all() and not len(found.lost)
    assert [each.why for each in found.stretches] == [why]


def test_too_few_frames_or_pulses_are_refused() -> None:
    few = PulseTrain(NUMBERS[:10], NUMBERS[:10] / RATE, True)
    found = match_pulses(few, NUMBERS[:10], NUMBERS[:10] / RATE, 0.005)
    assert (found.pulses == REFUSED).all() and found.stretches[0].why == TOO_FEW
    assert not len(match_pulses(few, NUMBERS[:0], NUMBERS[:0] / RATE, 0.005).pulses)


def test_frames_of_another_clock_are_refused() -> None:
    """Their rate differs by a permille: nothing stays in step."""
    times = NUMBERS / RATE
    found = match_pulses(
        PulseTrain(NUMBERS, times), NUMBERS, times * 1.001 + 0.004, 0.009
    )
    assert (found.pulses[found.pulses >= 0] == np.flatnonzero(found.pulses >= 0)).all()


def test_a_draw_is_the_same_again() -> None:
    case = replace(CASES[0], rate=30)
    assert (draw(case, 0.5, 1).times_s == draw(case, 0.5, 1).times_s).all()
