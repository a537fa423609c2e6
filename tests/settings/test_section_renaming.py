from pathlib import Path

import pytest

from deeplabstream.settings.loading import parse
from deeplabstream.settings.text_rewriting import with_name

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "settings.ini").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("title", "changes"),
    [
        ("Trigger left", ["[Trigger nest]", "REGIONS = nest, right"]),
        (
            "Output right stimulus",
            ["[Output nest]", "STIMULI = left stimulus, nest"],
        ),
        ("Camera arena", ["[Camera nest]"]),
    ],
)
def test_who_names_it_follows(title: str, changes: list[str]) -> None:
    text = with_name(SHIPPED, title, "nest")
    parse(text, ROOT)
    before = SHIPPED.splitlines()
    assert [line for line in text.splitlines() if line not in before] == changes


def test_a_camera_takes_its_tracking_and_classifiers_along() -> None:
    text = (
        "[Camera top]\nKIND = SimulatedCamera\n[Tracking top]\nHOLD_MS = 50\n"
        "[Classifier gait]\nFOLDER = gait\nCAMERA = top\n"
    )
    rig = parse(with_name(text, "Camera top", "side"), ROOT)
    assert rig.tracking.keys() == {"", "side"}
    assert rig.classifiers["gait"].camera == "side"


def test_an_experiment_that_runs_is_still_the_one_that_runs() -> None:
    text = SHIPPED.replace(
        "[Experiment ExampleExperiment]",
        "[Experiment mine]\nKIND = ExampleExperiment",
    ).replace("EXP_NAME = ExampleExperiment", "EXP_NAME = mine")
    text = with_name(text, "Experiment mine", "yours")
    assert parse(text, ROOT).experiment.exp_name == "yours"
