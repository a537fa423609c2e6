"""Which animals look alike is said with its certainty; too few views tell nothing."""

from itertools import count

import numpy as np
import pytest

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.tracking.appearance_model import AppearanceModel
from deeplabstream.pose.tracking.appearance_samples import (
    APART_S,
    VIEWS,
    AppearanceSamples,
    PairTrials,
)
from deeplabstream.pose.tracking.distinctness import (
    Distinctness,
    Pair,
    distinctness_of,
    nothing_learned,
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


def test_ambiguous_animals_that_fit_both_are_not_told_apart() -> None:
    kept = AppearanceSamples(2, least=4.0)
    for step, differs in zip(range(6), (0.0, 3.0, -3.0, 50.0, -50.0, 1.0), strict=True):
        for view in range(VIEWS):
            place, time_s = (LENGTH * step, 0.0), 2 * APART_S * step + view / 30
            kept.add(0, np.zeros(3), place, LENGTH, time_s, {1: differs})
    # what says that it is one of the two can't be verified
    assert kept.trials(0, 1) == PairTrials(0, 4)
    kept.reset([1])
    assert kept.trials(0, 1) == PairTrials()


def test_a_sample_ends_where_the_identity_becomes_ambiguous() -> None:
    kept, times = AppearanceSamples(2, least=4.0), count()
    for ambiguous in (False, True):
        rivals = {1: 0.0} if ambiguous else {}
        for _ in range(VIEWS - 1):
            kept.add(0, np.zeros(3), (0.0, 0.0), LENGTH, next(times) / 30, rivals)
    assert kept.trials(0, 1) == PairTrials()


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
