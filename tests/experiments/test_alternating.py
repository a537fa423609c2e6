"""The bench for outputs switches by the count of frames alone."""

import pytest

from deeplabstream.core.command import Command, OutputName, TriggerName, off, on
from deeplabstream.plugins.experiment import Observation, PlanRunner
from experiments.alternating import Alternating

LAMP = OutputName("lamp")


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("frames", [1, 5])
def test_it_switches_every_few_frames_whatever_the_trigger_answers(
    answer: bool, frames: int
) -> None:
    plan = Alternating(trigger=TriggerName("t"), output=LAMP, frames=frames).plan()
    stepper = PlanRunner(plan)
    course = [stepper.step(Observation(i / 30, {"t": answer})) for i in range(21)]
    switched: list[tuple[Command, ...]] = [(on(LAMP),), (off(LAMP),)]
    for index, commands in enumerate(course):
        turn, rest = divmod(index, frames)
        expected = switched[(turn - 1) % 2] if turn and not rest else ()
        assert commands == expected
    assert not stepper.finished


def test_frames_on_which_the_animal_is_lost_do_not_count() -> None:
    plan = Alternating(trigger=TriggerName("t"), output=LAMP, frames=2).plan()
    stepper = PlanRunner(plan)
    answers = [True, True, None, None, False, None, True, True]
    course = [
        stepper.step(Observation(i / 30, {"t": answer}))
        for i, answer in enumerate(answers)
    ]
    assert course == [(), (), (), (), (on(LAMP),), (), (), (off(LAMP),)]
