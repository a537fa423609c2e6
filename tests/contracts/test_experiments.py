"""What every trigger and every experiment in experiments/ must keep to."""

import ast
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import experiments
from deeplabstream.core.command import Command, Mark, Pulse, Set
from deeplabstream.core.errors import ExperimentError
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.plugins.discovery import discover
from deeplabstream.plugins.experiment import Experiment, Observation, PlanRunner
from deeplabstream.plugins.trigger import BodyPartTrigger, Trigger
from deeplabstream.settings.fields import Maker, keys_of, missing_settings_decorator

MOUSE = Skeleton(("snout", "leftear", "rightear", "tailbase"))
TRIGGERS = discover(experiments, Trigger)
EXPERIMENTS = discover(experiments, Experiment)
KINDS = sorted(
    [*TRIGGERS.classes.items(), *EXPERIMENTS.classes.items()],
    key=lambda named: named[0],
)
FORBIDDEN = {
    *(
        "time",
        "datetime",
        "threading",
        "multiprocessing",
        "asyncio",
        "secrets",
        "socket",
    ),
    *("cv2", "torch", "onnxruntime", "serial", "PyQt5", "subprocess", "os"),
}
Sample: TypeAlias = Callable[[type], Maker[Any]]
ANSWERS = st.sampled_from([True, False, None])
COURSES = st.lists(st.tuples(st.floats(0.001, 20), ANSWERS, ANSWERS), max_size=60)


def commands_of(
    experiment: Experiment, course: list[tuple[float, bool | None, bool | None]]
) -> list[tuple[Command, ...]]:
    stepper, time_s, done = PlanRunner(experiment.plan()), 0.0, []
    for pause_s, first, second in course:
        time_s += pause_s
        triggers: Mapping[str, bool | None] = {"a": first, "b": second}
        try:
            done.append(stepper.step(Observation(time_s, triggers)))
        except ExperimentError:  # the plan ends with an alarm: outputs go off
            done.append(())
    return done


def raises(command: Command) -> bool:
    return isinstance(command, Pulse) or (
        isinstance(command, Set) and command.level > 0
    )


def test_every_file_could_be_read() -> None:
    assert TRIGGERS.problems == ()
    assert len(TRIGGERS.classes) >= 5
    assert len(EXPERIMENTS.classes) >= 3


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_it_is_described_by_its_fields(name: str, kind: type) -> None:
    assert missing_settings_decorator(kind) is None
    assert kind.__doc__
    for key, (_, info) in keys_of(kind).items():
        assert info.description, f"{name}: {key} has no description"


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_it_goes_to_another_process(sample: Sample, name: str, kind: type) -> None:
    made = sample(kind)()
    assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize(
    "file", sorted(Path(experiments.__path__[0]).rglob("*.py")), ids=lambda f: f.name
)
def test_it_reads_no_clock_and_opens_nothing(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print", "input")
    assert not imported & FORBIDDEN


@pytest.mark.parametrize("kind", EXPERIMENTS.classes.values())
@given(course=COURSES)
def test_same_observations_give_same_commands(
    sample: Sample, kind: type[Experiment], course: list[Any]
) -> None:
    maker = sample(kind)
    first = commands_of(maker(), course)
    assert commands_of(maker(), course) == first
    once = maker()
    assert commands_of(once, course) == commands_of(once, course) == first


@pytest.mark.parametrize("kind", EXPERIMENTS.classes.values())
@given(course=COURSES)
def test_a_lost_animal_switches_nothing_on(
    sample: Sample, kind: type[Experiment], course: list[Any]
) -> None:
    for commands, (_, *answers) in zip(
        commands_of(sample(kind)(), course), course, strict=True
    ):
        if answers == [None, None]:
            assert not any(map(raises, commands))


@pytest.mark.parametrize("kind", EXPERIMENTS.classes.values())
@given(course=COURSES)
def test_it_speaks_of_its_own_outputs_only(
    sample: Sample, kind: type[Experiment], course: list[Any]
) -> None:
    for commands in commands_of(sample(kind)(), course):
        for command in commands:
            assert isinstance(command, Mark) or command.output == "out"


COORDINATES = st.one_of(st.just(np.nan), st.floats(-10, 800, width=32))
POSES = st.lists(st.tuples(*[COORDINATES] * 8), min_size=1, max_size=30)


@pytest.mark.parametrize(
    "kind", [k for k in TRIGGERS.classes.values() if issubclass(k, BodyPartTrigger)]
)
@given(poses=POSES)
def test_a_trigger_knows_nothing_of_a_lost_animal(
    sample: Sample, kind: type[BodyPartTrigger], poses: list[tuple[float, ...]]
) -> None:
    maker = sample(kind)
    first, second = maker(), maker()
    for frame, numbers in enumerate(poses):
        points = np.reshape(numbers, (1, 4, 2)).astype(np.float32)
        pose = Pose(MOUSE, points, np.ones((1, 4), np.float32))
        before = points.copy()
        answer = first.answer(pose, frame / 10)
        assert answer in (True, False, None)
        assert isinstance(answer, bool | None)
        assert answer is second.answer(pose, frame / 10)
        if np.isnan(pose.select(first.bodyparts)).any():
            assert answer is None
        np.testing.assert_array_equal(points, before)
