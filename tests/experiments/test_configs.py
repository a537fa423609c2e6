"""Every ready-made file in experiments/configs/ is right, and fits the shipped network."""

from dataclasses import replace
from pathlib import Path

import pytest

from deeplabstream.engine.network_loading import open_network
from deeplabstream.plugins.experiment import Observation, PlanRunner
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import find_model, open_estimator
from deeplabstream.pose.tracking.named_estimator import animals_of
from deeplabstream.settings.loading import check_against, load

FILES = sorted((Path(__file__).resolve().parents[2] / "experiments/configs").glob("*"))


def test_there_are_some() -> None:
    assert {file.suffix for file in FILES} == {".ini"}
    assert len(FILES) >= 10


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_loads_and_its_plan_begins(file: Path) -> None:
    rig = load(file)
    assert rig.new_experiment()
    if rig.arenas:
        known, animals = open_network(rig).skeleton, len(rig.arenas)
    elif rig.model.startswith("stand-in"):
        network = open_estimator(rig.model)
        known, animals = network.skeleton, animals_of(network)
    else:
        known = load_model_folder(find_model(rig.model)).skeleton
        animals = 1
    skeleton = replace(known, animals=rig.animals.of(known, animals))
    assert check_against(rig, skeleton) == []
    unknown = Observation(0.0, dict.fromkeys(rig.triggers))
    for experiment in rig.new_experiments().values():
        stepper = PlanRunner(experiment.plan())
        assert not any("output" in dir(command) for command in stepper.step(unknown))
    assert file.read_text(encoding="utf-8").startswith("# ")
