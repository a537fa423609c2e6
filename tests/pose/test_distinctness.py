"""Which animals look alike is said, and what is not known yet is not called different."""

import numpy as np
import pytest

from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.tracking.appearance_model import ENOUGH, AppearanceModel
from deeplabstream.pose.tracking.distinctness import (
    Distinctness,
    Pair,
    distinctness_of,
    nothing_learned,
)
from deeplabstream.pose.tracking.identity_tracker import DISTINCT, IdentityTracker

NAMES = "anna", "bob", "carl"


def model(*greys: float) -> AppearanceModel:
    """Return the model of animals with these grey levels; NaN: seen once too few."""
    made = AppearanceModel(len(greys))
    for animal, grey in enumerate(greys):
        missing = np.isnan(grey)
        made.learn(animal, np.full(3, 99 if missing else grey), ENOUGH - int(missing))
    return made


@pytest.mark.parametrize(
    ("greys", "alike", "unlearned"),
    [
        ((20, 120, 220), [], []),
        ((20, 24, 220), [(0, 1)], []),
        ((20, 24, 28), [(0, 1), (0, 2), (1, 2)], []),
        ((20, np.nan, 24), [(0, 2)], [1]),
        ((np.nan, np.nan, 24), [], [0, 1]),
    ],
)
def test_only_animals_whose_appearance_is_known_are_alike(
    greys: tuple[float, ...], alike: list[Pair], unlearned: list[int]
) -> None:
    found = distinctness_of(model(*greys), DISTINCT)
    assert found == Distinctness(tuple(alike), tuple(unlearned))


def test_before_the_first_frame_nothing_is_known() -> None:
    tracker = IdentityTracker(Skeleton(("snout",), animals=NAMES), 0.5)
    assert tracker.distinctness == nothing_learned(3)


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
    assert Distinctness(alike, ()).sentences(NAMES) == (said, "")
