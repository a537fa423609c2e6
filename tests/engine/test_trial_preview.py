"""What is told of an experiment before is what it does in a run with the same seed."""

from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.command import Command, Mark, Pulse, on
from deeplabstream.core.errors import ExperimentError
from deeplabstream.engine.trial_preview import MOST_ROWS, Row, preview_trials
from deeplabstream.plugins.experiment import (
    Experiment,
    Observation,
    ObservationRequest,
    Plan,
    PlanRunner,
    during,
    until,
)
from experiments.classical_conditioning import ClassicalConditioning
from experiments.optogenetic import Optogenetic
from experiments.trial_based import TrialBased
from experiments.triggered import Triggered


def rows(experiment: Experiment, limit_s: float = 0.0) -> list[Row]:
    return [row for row in preview_trials(experiment, 20.0, limit_s) if row is not None]


def lived(experiment: Experiment, seed: int) -> Iterator[Command]:
    """Yield what it commands before an animal that comes and goes as it likes."""
    random, stepper, frame = Random(seed), PlanRunner(experiment.plan()), 0
    while not stepper.finished:
        answer = random.choice((True, True, False, None))
        yield from stepper.step(Observation(frame / 20, {"here": answer}))
        frame += 1


@pytest.mark.parametrize("seed", range(3))
def test_trials_come_in_the_order_of_a_run_with_that_seed(seed: int) -> None:
    experiment = ClassicalConditioning(
        trigger="here", paired="red", neutral="blue", outcome="puff", seed=seed
    )
    told = rows(experiment)
    done = [c.text for c in lived(experiment, 7) if isinstance(c, Mark)]
    assert [row.text for row in told] == [*done, "it ends"]
    for row in told[:-1]:
        after = ", puff 1 s" if "red" in row.text else ""
        assert row.outputs_text == f"{row.text.split()[-1]} 10 s{after}"
    pauses = [b.time_s - a.time_s for a, b in pairwise(told)]
    assert min(pauses[:-1]) >= 20, "a cue of 10 s and an interval of 10 s at least"
    assert len({round(pause) for pause in pauses}) > 5


def test_another_seed_is_another_order() -> None:
    def order(seed: int) -> list[str]:
        experiment = TrialBased(
            start="here", answer="here", stimuli=("a", "b"), trials=12, seed=seed
        )
        return [row.text for row in rows(experiment)]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert "trial 12: right" in order(1)


def test_an_animal_stays_for_a_while_and_leaves() -> None:
    told = rows(Triggered(trigger="here", output="light", pulses=3, rest_s=0))
    assert [row.text for row in told] == ["pulse 1", "pulse 2", "pulse 3", "it ends"]
    assert told[0].outputs_text == "light 0.5 s"
    dose = rows(Optogenetic(trigger="here", output="light", max_total_s=30))
    assert dose[0].outputs_text == "light 3 s", (
        "1 s at the least, and then it stays for 2"
    )


@settings
class Endless(Experiment):
    """Looks at what only an animal has, or never ends."""

    poses: bool = False

    def plan(self) -> Plan[None]:
        while True:
            seen = yield ObservationRequest.NEXT
            yield Mark("again" if not self.poses else str(seen.poses["top"]))
            yield Pulse("light", seconds=0.1)
            yield Pulse("light", seconds=0.1)


def test_what_never_ends_is_cut_and_a_time_limit_is_told() -> None:
    told = rows(Endless())
    assert len(told) == MOST_ROWS + 1
    assert told[-1].text == "and so on"
    assert told[0].outputs_text == "2 × (light 0.1 s)"
    assert rows(Endless(), limit_s=2.0)[-1].text == "EXP_TIME_S ends it"


@settings
class LeavesItOn(Experiment):
    """Switches on and never off."""

    def plan(self) -> Plan[None]:
        yield from until("here")
        yield on("light")
        yield from during("here", at_most_s=1.0)


def test_an_output_that_is_left_on_goes_off_with_the_end() -> None:
    assert rows(LeavesItOn())[0].outputs_text == "light 1 s"


def test_what_hangs_on_where_the_animal_is_can_not_be_told() -> None:
    with pytest.raises(ExperimentError, match="no preview without an animal"):
        rows(Endless(poses=True))
