"""Triggers that look at inputs."""

from math import nan

import pytest
from pydantic import ValidationError

from deeplabstream.core.command import InputName
from deeplabstream.plugins.trigger import TriggerContext
from deeplabstream.settings.fields import keys_of
from experiments.triggers.digital_input import InputCount, InputIs, InputTrigger

LICK = InputName("lick")


def ask(
    trigger: InputTrigger, *course: tuple[float, float], step_s: float = 0.1
) -> list[bool | None]:
    """Return the answers on frames that show these levels and counts."""
    frames = enumerate({"lick": level, "lick.count": count} for level, count in course)
    return [
        trigger.answer(TriggerContext(inputs=seen), n * step_s) for n, seen in frames
    ]


def test_an_input_is_active_or_was_since_the_frame_before() -> None:
    course = [(0, 3), (1, 4), (1, 4), (0, 4), (0, 6), (0, 6)]
    answers = ask(InputIs(input=LICK), *course)
    assert answers == [False, True, True, False, True, False]


def test_an_input_that_is_unknown_is_not_inactive() -> None:
    course = [(0, 0), (nan, nan), (0, 5), (1, 6)]
    assert ask(InputIs(input=LICK), *course) == [False, None, False, True]
    assert InputIs(input=LICK).answer(TriggerContext(), 0.0) is None
    other = InputIs(input=InputName("lever"))
    assert ask(other, (1, 1)) == [None]


def test_enough_licks_lately() -> None:
    trigger = InputCount(input=LICK, times=3, within_s=0.25)
    counts = [5, 6, 7, 8, 8, 8, 8, 11, 11, 11, 11]
    answers = ask(trigger, *((0.0, count) for count in counts))
    yes = [n for n, answer in enumerate(answers) if answer]
    assert yes == [3, 7, 8, 9]


def test_licks_before_the_first_frame_do_not_count() -> None:
    trigger = InputCount(input=LICK, times=1, within_s=10)
    assert ask(trigger, (0, 100), (0, 100), (1, 101)) == [False, False, True]


def test_hygiene_is_that_of_all_triggers() -> None:
    trigger = InputIs(input=LICK, refractory_s=0.25)
    course = [(1, 1), (0, 1), (1, 2), (0, 2), (1, 3)]
    assert ask(trigger, *course) == [True, False, False, False, True]


def test_it_has_no_body_parts_and_needs_an_input() -> None:
    assert not {"BODYPARTS", "ANIMAL", "IN_DOUBT", "UNIT"} & keys_of(InputIs).keys()
    with pytest.raises(ValidationError):
        InputIs()  # type: ignore[call-arg]
