"""A trigger that asks what the animal does."""

import pytest

from deeplabstream.plugins.trigger import TriggerContext
from experiments.triggers.behaviour import Behaviour


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
