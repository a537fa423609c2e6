"""The ready-made rig of two animals, run as a user would run it, against the truth."""

import json
from pathlib import Path

import pytest

from cameras.simulated import SimulatedCamera
from DeepLabStream import main
from deeplabstream.engine.replay.rerun import compare
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.loading import load

pytestmark = pytest.mark.usefixtures("fork_server")

CONFIG = Path(__file__).parents[1] / "experiments/configs/two_animals.ini"
ANNA, BOB = 0, 1
"""As they are drawn: black and white."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("rig")
    words = CONFIG.read_text("utf-8").replace("../../output", "runs")
    words = words.replace("stand-in:5:2", "stand-in:0:2")
    words = words.replace(
        "ALIKE = no", "ALIKE = no\nSEED = 6\nRATE = 15\nWIDTH = 320\nHEIGHT = 240"
    )
    words = words.replace("0 0 320 480", "0 0 160 240")
    rig = folder / "rig.ini"
    rig.write_text(words, "utf-8")
    asked = ["--headless", "--experiment", "--recording-enabled", "--frames", "150"]
    assert main(["--settings", str(rig), *asked]) == 0
    return RunFolder(next((folder / "runs").iterdir()))


def test_the_trigger_fires_where_bob_is_and_not_where_anna_is(run: RunFolder) -> None:
    camera = load(run.path / "settings.ini").cameras["arena"]
    assert isinstance(camera, SimulatedCamera)
    answers = {True: 0, False: 0}
    anna_there = 0
    for step in run.steps("arena"):
        answer = step.triggers["bob left"]
        if answer is None:
            continue
        assert not step.pose.is_ambiguous(BOB)
        truth = camera.where(step.index).mean(axis=1)
        if abs(truth[BOB, 0] - 160) > 40:  # the blob's tail base is near its middle
            assert answer is bool(truth[BOB, 0] < 160), step.index
            answers[answer] += 1
            anna_there += bool(truth[ANNA, 0] < 160) is not answer
    assert sum(answers.values()) > 30
    assert anna_there > 10


def test_names_doubts_and_totals_are_in_the_record(run: RunFolder) -> None:
    facts = run.facts
    assert facts["skeleton"]["animals"] == ["anna", "bob"]
    doubted = [
        s for s in run.steps("arena") if any(map(s.pose.is_ambiguous, (ANNA, BOB)))
    ]
    words = {word for step in doubted for word in step.pose.identity}
    assert "doubt1" in words  # until they have their names, at the latest
    assert facts["identity"]["arena"]["ambiguities"] >= 1
    assert json.loads((run.path / "run.json").read_text("utf-8")) == facts
    settings = load(run.path / "settings.ini")
    assert compare(settings, run).same
