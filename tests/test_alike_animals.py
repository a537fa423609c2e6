"""A simulated rig of four animals that look alike says so before its experiment begins."""

import csv
from pathlib import Path

import pytest

from DeepLabStream import main

pytestmark = pytest.mark.usefixtures("fork_server")

RIG = """
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = stand-in:0:4
[Animals]
NAMES = anna, bob, carl, dora
[Camera arena]
KIND = SimulatedCamera
ANIMALS = 4
ALIKE = yes
SHELTER = no
SEED = 5
RATE = 15
WIDTH = 320
HEIGHT = 240
[Trigger bob left]
KIND = InsideRegion
ANIMAL = bob
BODYPARTS = tailbase
REGION = rectangle 0 0 160 240
[Output light]
KIND = SimulatedOutput
[Experiment]
EXP_NAME = bob
[Experiment bob]
KIND = ExampleExperiment
REGIONS = bob left
STIMULI = light
MAX_ENTRIES = 1000
"""


def test_that_they_look_alike_is_recorded_before_the_first_decision(
    tmp_path: Path,
) -> None:
    rig = tmp_path / "rig.ini"
    rig.write_text(RIG, "utf-8")
    asked = ["--headless", "--experiment", "--recording-enabled", "--frames", "45"]
    assert main(["--settings", str(rig), *asked]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    with (run / "events.csv").open(encoding="utf-8", newline="") as file:
        notes = [row for row in csv.DictReader(file) if row["kind"] == "note"]

    def time_s(of: str, begin: str) -> float:
        """Return the time of the only note on something that begins so."""
        (found,) = [
            float(row["time_s"])
            for row in notes
            if row["name"] == of and row["text"].startswith(begin)
        ]
        return found

    alike = "warning: [Camera arena] anna, bob, carl and dora look alike (told apart"
    waits_s = time_s("experiment", "waits 30 s at most: ")
    assert waits_s < time_s("preflight", alike) < time_s("experiment", "started")
