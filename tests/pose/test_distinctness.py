"""Which animals look alike is said with its certainty; too few views tell nothing."""

from itertools import count

import numpy as np
import pytest

from deeplabstream.core.pose import Skeleton
from deeplabstream.numerics.share_interval import wilson_interval
from deeplabstream.pose.tracking.appearance_model import AppearanceModel
from deeplabstream.pose.tracking.appearance_samples import (
    APART_S,
    KNOWN,
    VIEWS,
    AppearanceSamples,
    Candidates,
    PairTrials,
)
from deeplabstream.pose.tracking.distinctness import (
    Distinctness,
    Pair,
    distinctness_of,
    nothing_learned,
    verdict_of,
)
from deeplabstream.pose.tracking.identity_tracker import DISTINCT, IdentityTracker
from deeplabstream.simulation.arena import Arena
from tests.pose.crowd import THRESHOLD, Crowd, skeleton

NAMES = "anna", "bob", "carl"
LENGTH = 100.0
PLACE_LIGHT = 15.0
"""Standard deviation of the light between places, in grey levels."""


def found(samples: int, seed: int, *greys: float, moving: bool = True) -> Distinctness:
    """Return what is said of animals with these grey levels after so many samples."""
    random = np.random.default_rng(seed)
    model = AppearanceModel(len(greys))
    kept = AppearanceSamples(len(greys), DISTINCT / 2)
    light = random.normal(0, PLACE_LIGHT, len(greys))
    for step in range(samples):
        for animal, grey in enumerate(greys):
            if moving:
                light[animal] = random.normal(0, PLACE_LIGHT)
            x = LENGTH * step if moving else 0.0
            for view in range(VIEWS):
                features = np.full(3, grey + light[animal]) + random.normal(0, 4, 3)
                time_s = 2 * APART_S * step + view / 30
                kept.add(animal, features, (x, 0.0), LENGTH, time_s)
                model.learn(animal, features)
    return distinctness_of(model, kept, DISTINCT)


def pairs_of(known: Distinctness) -> tuple[list[Pair], list[Pair], list[int]]:
    return [*known.alike], [*known.undecided], [*known.unlearned]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("samples", "greys", "alike", "undecided"),
    [
        (30, (20, 220), [], []),
        (30, (120, 124), [(0, 1)], []),
        (30, (20, 22, 220), [(0, 1)], []),
        (5, (20, 220), [], [(0, 1)]),
    ],
)
def test_alike_and_different_need_enough_samples_and_do_not_depend_on_the_seed(
    seed: int,
    samples: int,
    greys: tuple[float, ...],
    alike: list[Pair],
    undecided: list[Pair],
) -> None:
    assert pairs_of(found(samples, seed, *greys)) == (alike, undecided, [])


@pytest.mark.parametrize("seed", range(5))
def test_the_light_of_one_place_makes_no_animals_different(seed: int) -> None:
    assert pairs_of(found(60, seed, 120, 120, moving=False))[1] == [(0, 1)]


def test_near_the_limit_it_is_not_known() -> None:
    verdicts = [pairs_of(found(15, seed, 100, 155)) for seed in range(20)]
    assert ([], [(0, 1)], []) in verdicts
    for alike, undecided, _ in verdicts:
        assert not alike or not undecided


def test_an_animal_with_few_views_is_not_learned() -> None:
    model = AppearanceModel(3)
    known = distinctness_of(model, AppearanceSamples(3, 4.0), DISTINCT)
    assert known == nothing_learned(3)
    tracker = IdentityTracker(Skeleton(("snout",), animals=NAMES), 0.5)
    assert tracker.distinctness == nothing_learned(3)


def ambiguous(
    *greys: float, rivals: tuple[int, ...] = (1,), is_named: bool = False
) -> AppearanceSamples:
    """Return samples of animal 0, which has these grey levels, and may be one of the rivals.

    Animals 0, 1 and 2 are known to have 100, 104 and 200 in the mean.
    """
    kept = AppearanceSamples(3, least=4.0)
    learned = {n: np.full(3, grey) for n, grey in enumerate((100.0, 104.0, 200.0))}
    for step, grey in enumerate(greys):
        for view in range(VIEWS):
            place, time_s = (LENGTH * step, 0.0), 2 * APART_S * step + view / 30
            candidates = Candidates(rivals, is_named, learned)
            kept.add(0, np.full(3, grey), place, LENGTH, time_s, candidates)
    return kept


def test_ambiguous_animals_that_fit_both_are_not_told_apart() -> None:
    kept = ambiguous(100, 102, 104, 110)
    assert kept.trials(0, 1) == PairTrials(0, 4)
    kept.reset([1])
    assert kept.trials(0, 1) == PairTrials()


def test_what_says_which_of_two_ambiguous_animals_it_is_may_be_right() -> None:
    trials = ambiguous(80, 80, 102).trials(0, 1)
    # which one can't be verified: that may add to the share, not to its lower limit
    assert trials == PairTrials(0, 1, unverified=2)
    assert trials.interval == (0.0, wilson_interval(2, 3)[1])


def test_an_animal_that_looks_like_another_one_does_not_say_that_both_are_alike() -> (
    None
):
    # as after an identity switch that was not noticed
    trials = ambiguous(200, 200, 200, rivals=(2,), is_named=True).trials(0, 2)
    assert trials == PairTrials(0, 3, contradicted=3)
    assert verdict_of(PairTrials(right=1, tried=7)) == "alike"
    assert verdict_of(PairTrials(right=1, tried=7, contradicted=6)) == "undecided"


def test_an_ambiguous_animal_that_looks_like_a_third_one_says_nothing_of_two() -> None:
    assert ambiguous(200, 200).trials(0, 1) == PairTrials()
    assert ambiguous(200, rivals=(1, 2)).trials(0, 2) == PairTrials(unverified=1)


def test_an_animal_of_uneven_light_does_not_hide_how_others_differ() -> None:
    kept, learned = ambiguous(), {0: np.full(3, 100.0), 1: np.full(3, 120.0)}
    random = np.random.default_rng(0)
    for step in range(8):
        for animal, grey in ((2, random.normal(200, 30)), (1, random.normal(120, 1))):
            for view in range(VIEWS):
                place, time_s = (LENGTH * step, 0.0), 2 * APART_S * step + view / 30
                kept.add(animal, np.full(3, grey), place, LENGTH, time_s)
    for view in range(VIEWS):
        candidates = Candidates((1,), learned=learned)
        kept.add(0, np.full(3, 100.0), (0.0, 0.0), LENGTH, view / 30, candidates)
    assert kept.trials(0, 1) == PairTrials(unverified=1)


def test_a_sample_ends_where_the_identity_becomes_ambiguous() -> None:
    kept, times = AppearanceSamples(2, least=4.0), count()
    learned = {0: np.zeros(3), 1: np.zeros(3)}
    for is_ambiguous in (False, True):
        candidates = Candidates((1,), learned=learned) if is_ambiguous else KNOWN
        for _ in range(VIEWS - 1):
            time_s = next(times) / 30
            kept.add(0, np.zeros(3), (0.0, 0.0), LENGTH, time_s, candidates)
    assert kept.trials(0, 1) == PairTrials()


def test_different_mice_are_not_said_to_be_alike_while_they_are_ambiguous() -> None:
    arena = Arena((240, 320, 3), seed=4, animals=4, alike=False)
    tracker = IdentityTracker(skeleton(4), THRESHOLD)
    for time_s, image, raw, _ in Crowd(arena, seed=4).frames(620):
        tracker.update(image, raw, time_s)
    assert not tracker.distinctness.alike


@pytest.mark.parametrize("seed", [1, 3])
@pytest.mark.parametrize("alike", [True, False])
def test_simulated_mice_are_alike_or_different_whatever_their_walks(
    seed: int, alike: bool
) -> None:
    arena = Arena((240, 320, 3), seed, shelter=False, animals=2, alike=alike)
    tracker = IdentityTracker(skeleton(2), THRESHOLD)
    for time_s, image, raw, _ in Crowd(arena, seed).frames(240):
        tracker.update(image, raw, time_s)
    known = tracker.distinctness
    assert pairs_of(known) == ([(0, 1)] if alike else [], [], [])
    low, high = known.trials[0].interval
    assert (high < 0.5) if alike else (low >= 0.8)


@pytest.mark.parametrize(
    ("alike", "said"),
    [
        (((0, 1), (0, 2), (1, 2)), "anna, bob and carl look alike"),
        (((0, 1), (1, 2)), "anna and bob, bob and carl look alike"),
        (((0, 2),), "anna and carl look alike"),
        ((), ""),
    ],
)
def test_pairs_are_named_and_a_group_only_if_each_looks_like_every_other(
    alike: tuple[Pair, ...], said: str
) -> None:
    assert Distinctness(alike, ()).sentences(NAMES) == (said, "", "")


def test_the_certainty_is_stated() -> None:
    trials = PairTrials(0, 12), PairTrials(5, 6), PairTrials(16, 16)
    known = Distinctness(((0, 1),), (), ((0, 2),), trials)
    alike, undecided, _ = known.sentences(NAMES)
    assert alike == (
        "anna and bob look alike (told apart in 0% to 24% of views: 95 % interval of 12; "
        "80% needed)"
    )
    assert undecided.startswith("anna and carl may look alike (")
    assert "44% to 97%" in undecided
    assert known.certainty.startswith(" (told apart in 81% to 100% of views")
