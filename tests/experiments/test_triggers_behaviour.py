"""Triggers that ask what an animal does, or what one does to another."""

from itertools import permutations
from math import nan

import numpy as np
import pytest

from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.plugins.trigger import TriggerContext
from experiments.triggers.behaviour import Behaviour, PairBehaviour


@pytest.mark.parametrize(
    ("share", "when", "answer"),
    [
        (0.7, "above", True),
        (0.69, "above", False),
        (0.69, "below", True),
        (0.71, "below", False),
        (float("nan"), "above", None),
        (float("nan"), "below", None),
        (None, "above", None),
    ],
)
def test_it_holds_from_its_threshold_on(
    share: float | None, when: str, answer: bool | None
) -> None:
    trigger = Behaviour(behaviour="walk", threshold=0.7, when=when)
    known = TriggerContext(behaviours={} if share is None else {"walk": share})
    assert trigger.answer(known, 1.0) is answer


def test_margins_keep_it_from_flickering() -> None:
    trigger = Behaviour(
        behaviour="walk", threshold=0.5, enter_margin=0.2, exit_margin=0.1
    )
    shares = (0.6, 0.75, 0.6, 0.45, 0.35, 0.6, 0.75, float("nan"), 0.6)
    answers = [
        trigger.answer(TriggerContext(behaviours={"walk": share}), n)
        for n, share in enumerate(shares)
    ]
    assert answers == [False, True, True, True, False, False, True, None, False]


def test_it_is_calmed_as_every_trigger() -> None:
    trigger = Behaviour(behaviour="walk", min_dwell_s=0.5)
    known = TriggerContext(behaviours={"walk": 0.9})
    answers = [trigger.answer(known, n / 4) for n in range(4)]
    assert answers == [False, False, True, True]


MICE = Skeleton(("snout",), animals=("anna", "bob", "cara"))


def mice(*identity: str) -> Pose:
    return Pose(
        MICE, np.zeros((3, 1, 2), np.float32), np.ones((3, 1), np.float32), identity
    )


def chases(pose: Pose, **shares: float) -> TriggerContext:
    """Return probabilities of chasing, such as anna_bob=0.9; 0 for all other pairs."""
    pairs = [f"{one}>{other}" for one, other in permutations(MICE.animals, 2)]
    known = {f"{pair}_chase": 0.0 for pair in pairs}
    known |= {f"{pair.replace('_', '>')}_chase": it for pair, it in shares.items()}
    return TriggerContext(behaviours=known, pose=pose)


@pytest.mark.parametrize(
    ("actor", "target", "shares", "answer"),
    [
        ("anna", "bob", {"anna_bob": 0.9}, True),
        ("anna", "bob", {"bob_anna": 0.9}, False),
        ("1", "any", {"anna_cara": 0.9}, True),
        ("any", "bob", {"anna_cara": 0.9}, False),
        ("any", "any", {"cara_bob": 0.9, "anna_bob": nan}, True),
        ("any", "any", {"anna_bob": nan}, None),
        ("all", "bob", {"cara_bob": 0.9, "anna_bob": 0.9}, True),
        ("all", "bob", {"cara_bob": 0.9, "anna_bob": nan}, None),
        ("all", "bob", {"cara_bob": 0.9}, False),
    ],
)
def test_actor_and_target_choose_the_pairs_of_a_behaviour(
    actor: str, target: str, shares: dict[str, float], answer: bool | None
) -> None:
    trigger = PairBehaviour(
        behaviour="chase", actor=actor, target=target, threshold=0.7
    )
    assert trigger.answer(chases(mice(), **shares), 0.0) is answer
    if answer and actor != "all":
        assert len(trigger.fulfilled_by) == 1


def test_a_behaviour_of_an_ambiguous_animal_is_unknown() -> None:
    trigger = PairBehaviour(behaviour="chase", actor="anna", target="cara")
    known = chases(mice("doubt1", "doubt1", ""), anna_cara=nan, bob_cara=nan)
    assert trigger.answer(known, 0.0) is None
    assert (
        trigger.answer(TriggerContext(behaviours={"anna>cara_chase": 1.0}), 0.1) is None
    )


def test_the_exit_margin_counts_for_each_pair() -> None:
    trigger = PairBehaviour(behaviour="chase", threshold=0.7, exit_margin=0.2)
    shares = [
        {"anna_bob": 0.8},
        {"anna_bob": 0.6},
        {"anna_bob": 0.4, "cara_bob": 0.6},
        {"anna_bob": 0.6},
    ]
    answers = [
        trigger.answer(chases(mice(), **each), n) for n, each in enumerate(shares)
    ]
    assert answers == [True, True, False, False]
