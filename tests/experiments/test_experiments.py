from typing import Any

import pytest

from deeplabstream.core.command import Command, Mark, OutputName, Train, off, on
from deeplabstream.plugins.experiment import Experiment, Observation, PlanRunner
from experiments.conditional import Conditional
from experiments.example import ExampleExperiment
from experiments.optogenetic import Optogenetic


def course(
    experiment: Experiment, trigger: str, answers: str
) -> list[tuple[float, Command]]:
    """Return (time, command), one frame a second; `#` holds, `.` fails, `?` unknown."""
    stepper = PlanRunner(experiment.plan())
    done = []
    for time_s, answer in enumerate(answers):
        seen = {trigger: {"#": True, ".": False, "?": None}[answer]}
        done += [
            (time_s, command) for command in stepper.step(Observation(time_s, seen))
        ]
        if stepper.finished:
            done.append((time_s, Mark("finished")))
            break
    return done


def lit(experiment: Experiment, answers: str) -> str:
    """Return the output's course in the same way: `#` on, `.` off; ends when it does."""
    level, out, commands = ".", "", course(experiment, "t", answers)
    for time_s in range(len(answers)):
        for command in [command for at, command in commands if at == time_s]:
            if command == Mark("finished"):
                return out + "!"
            level = {on("o"): "#", off("o"): "."}.get(command, level)  # type: ignore[arg-type]
        out += level
    return out


def conditional(**values: Any) -> Experiment:
    return Conditional(trigger="t", output="o", **values)


def light(**values: Any) -> Experiment:
    return Optogenetic(trigger="t", output="o", **values)


@pytest.mark.parametrize(
    ("experiment", "answers", "expected"),
    [
        (conditional(rest_s=0), "..##..##.....", "..##..##....."),
        (conditional(rest_s=3), "..##.##.##...", "..##....##..."),
        (conditional(max_on_s=2), "..#########..", "..##......#.."),
        (conditional(max_on_s=2, rest_s=1), "..########", "..##..##.."),
        (conditional(trials=1, rest_s=0), "..##..", "..##.!"),
        (conditional(max_total_s=3, rest_s=0), "..##..##.##..", "..##..#!"),
        (conditional(), "..#??#..", "..####.."),
        (conditional(), "..??????", "........"),
        (light(min_on_s=2, rest_s=0), "..#......", "..##....."),
        (light(min_on_s=1, max_on_s=3, rest_s=2), "..#########", "..###...###"),
        (light(min_on_s=1, max_total_s=4, rest_s=1), "..##..####..", "..##..##.!"),
    ],
)
def test_light_is_on_when_the_methods_section_says(
    experiment: Experiment, answers: str, expected: str
) -> None:
    assert lit(experiment, answers) == expected


def test_light_may_come_in_pulses_and_ends_as_steady_light_does() -> None:
    pulsed = light(min_on_s=1, max_on_s=3, rest_s=2, frequency=40, pulse_ms=5)
    train = Train(OutputName("o"), 40, 0.005, count=120)
    assert course(pulsed, "t", "..####.") == [(2, train), (5, off("o"))]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="PULSE_MS = 25: a pulse must end before"):
        light(frequency=40, pulse_ms=25)


def example(**values: Any) -> Experiment:
    return ExampleExperiment(regions=("t",), stimuli=("o",), **values)


def test_entries_are_counted_and_capped() -> None:
    done = course(example(max_entries=2), "t", "..##..?##..##")
    assert done == [
        (2, Mark("entry 1 into t")),
        (2, on("o")),  # type: ignore[arg-type]
        (4, off("o")),  # type: ignore[arg-type]
        (4, Mark("exit 1 from t")),
        (7, Mark("entry 2 into t")),
        (7, on("o")),  # type: ignore[arg-type]
        (9, off("o")),  # type: ignore[arg-type]
        (9, Mark("exit 2 from t")),
        (9, Mark("finished")),
    ]


@pytest.mark.parametrize(
    ("experiment", "answers", "expected"),
    [
        (example(max_on_s=2), "..#####..##..", "..##.....##.."),
        (example(time_limit_s=4), "..#####..##..", "..##..!"),
        (example(time_limit_s=4), "......#####..", "....!"),
    ],
)
def test_a_stimulus_and_the_experiment_end_in_time(
    experiment: Experiment, answers: str, expected: str
) -> None:
    assert lit(experiment, answers) == expected
