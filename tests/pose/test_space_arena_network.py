"""The shipped network of the arena in space: rears are found in images of three cameras."""

import numpy as np

from benchmarks.space import Views, measured
from deeplabstream.pose.model.model_opening import open_estimator
from deeplabstream.recording.calibrations.calibration_file import read_calibration
from deeplabstream.simulation.space_arena import BODY, simulated_cameras
from tests.documented import ROOT

MODEL = ROOT / "models/space_arena"


def test_it_finds_the_body_parts_of_the_simulation() -> None:
    assert open_estimator(str(MODEL)).skeleton == BODY


def test_rears_are_found_in_images() -> None:
    found = measured(Views(1.0, with_network=True), seconds=8.0)
    assert found["p50_mm"] < 5
    assert found["f1"] > 0.95


def test_its_calibration_is_that_of_the_simulated_cameras() -> None:
    stored, simulated = (
        read_calibration(MODEL / "calibration.toml"),
        simulated_cameras(),
    )
    assert stored.names == simulated.names
    points = np.array([[0.0, 0.0, 0.0], [60.0, -50.0, 70.0]])
    np.testing.assert_allclose(
        stored.project(points), simulated.project(points), atol=1e-6
    )
