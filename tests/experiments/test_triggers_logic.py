from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.errors import SettingsError
from deeplabstream.plugins.trigger import TriggerCombination, TriggerContext, in_order
from deeplabstream.settings.loading import parse
from experiments.triggers.logic import AllOf, AnyOf, Not, Sequence
from experiments.triggers.region_triggers import InsideRegion
from tests.engine.small_rig import FOLDER, RIG

WORD = {"#": True, ".": False, "?": None}
LETTER = {word: letter for letter, word in WORD.items()}
ANSWERS = st.sampled_from([True, False, None])


def made(kind: Any, *names: str, **values: Any) -> TriggerCombination:
    combination: TriggerCombination = kind(triggers=names, **values)
    return combination


def worlds(answers: tuple[bool | None, ...]) -> list[tuple[bool, ...]]:
    """Return all that may be the case, given what is known."""
    return list(
        product(*[(True, False) if a is None else (a,) for a in answers]),
    )


@given(st.lists(ANSWERS, min_size=1, max_size=5).map(tuple))
def test_an_answer_is_known_if_it_is_the_same_whatever_the_unknown_is(
    answers: tuple[bool | None, ...],
) -> None:
    names = [str(n) for n in range(len(answers))]
    known = dict(zip(names, answers, strict=True))
    for kind, python in ((AllOf, all), (AnyOf, any)):
        possible = {python(world) for world in worlds(answers)}
        expected = possible.pop() if len(possible) == 1 else None
        assert made(kind, *names).answer(TriggerContext(known), 0) is expected
    opposite = Not(trigger="0").answer(TriggerContext(known), 0)  # type: ignore[arg-type]
    assert opposite is (None if answers[0] is None else not answers[0])


def course(first: str, second: str, within_s: float = 2) -> str:
    sequence = made(Sequence, "a", "b", within_s=within_s)
    given = [
        sequence.answer(TriggerContext({"a": WORD[a], "b": WORD[b]}), time_s)
        for time_s, (a, b) in enumerate(zip(first, second, strict=True))
    ]
    return "".join(LETTER[answer] for answer in given)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("#.....", "..##..", "..##.."),
        ("#.....", "...##.", "......"),
        ("###...", "....#.", "....#."),
        (".....#", "..##..", "......"),
        ("..####", ".#####", "......"),
        ("..####", ".##.#.", "....#."),
        ("#...#.", ".#...#", ".#...#"),
        ("#..?..", ".#??#.", ".#??#."),
        ("#?....", "..#...", ".?#..."),
    ],
)
def test_a_sequence_holds_when_one_begins_soon_after_the_other(
    first: str, second: str, expected: str
) -> None:
    assert course(first, second) == expected


def test_hygiene_counts_for_combinations_too() -> None:
    slow = made(AllOf, "a", min_dwell_s=2)
    given = [
        slow.answer(TriggerContext({"a": answer}), t)
        for t, answer in enumerate([True] * 4)
    ]
    assert given == [False, False, True, True]


def test_combinations_come_after_what_they_look_at() -> None:
    inside = InsideRegion(bodyparts=("snout",), region="circle 1 1 1")  # type: ignore
    triggers = {
        "both": made(AllOf, "x", "neither"),
        "x": inside,
        "neither": Not(trigger="either"),  # type: ignore[arg-type]
        "either": made(AnyOf, "x", "y"),
        "y": inside,
    }
    assert [*in_order(triggers)] == ["x", "y", "either", "neither", "both"]
    circle = {"one": made(AllOf, "two"), "x": inside, "two": made(AllOf, "one")}
    assert [*in_order(circle)] == ["x", "one", "two"]


def test_empty_keys_of_earlier_versions_are_ignored_and_others_are_not() -> None:
    old = "BODYPARTS =\nANIMAL =\nIN_DOUBT = asked\nUNIT = px\n"
    text = f"{RIG}[Trigger out]\nKIND = Not\nTRIGGER = corner\n"
    assert "out" in parse(text + old, FOLDER).triggers
    with pytest.raises(SettingsError, match=r"\[Trigger out\] ANIMAL = 2: unknown"):
        parse(text + "ANIMAL = 2\n", FOLDER)
