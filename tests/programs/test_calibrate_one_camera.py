"""The lens of one camera, calibrated from rendered images of a board."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.calibration import Calibration
from deeplabstream.recording.calibrations.calibration_file import read_stored
from deeplabstream.settings.loading import parse
from deeplabstream.space.camera_group import CameraGroup
from tests.offline.camera_calibration.boards import render
from tests.space.cameras import four_cameras
from utils.CalibrateCameras import main

CAMERAS = four_cameras().select(["left", "right"])
LEFT = replace(CAMERAS.cameras[0], distortion=np.array([-0.25, 0.08, 0.0, 0.0]))
BOARD = ["--board", "7x5", "--square-mm", "30"]
FLOOR_MM = np.array(
    [(x, y, 0.0) for x in range(-90, 91, 30) for y in range(-90, 91, 30)]
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("caliscope", reason="it calibrates the lens")
    folder = tmp_path_factory.mktemp("board")
    render(CameraGroup((LEFT, CAMERAS.cameras[1])), folder, 60)
    return folder / "left"


def printed_settings(told: str) -> str:
    lines = told.splitlines()
    return "\n".join(line for line in lines if line.startswith(("LENS = ", "MARKS = ")))


def calibration_of(keys: str) -> Calibration:
    settings = parse(f"[Camera left]\nKIND = Webcam\n{keys}\n", Path.cwd())
    found = settings.calibrations["left"]
    assert found.lens is not None
    return found


def test_one_camera_measures_distances_on_the_floor_that_its_lens_bends(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "lens.toml"
    assert main([str(images), *BOARD, "--floor", "0", "--output", str(file)]) == 0
    told = capsys.readouterr().out
    straight = calibration_of(printed_settings(told))
    pixels = LEFT.project(FLOOR_MM)
    seen = np.isfinite(pixels).all(axis=1) & (
        np.abs(pixels - (320, 240)) < (320, 240)
    ).all(axis=1)
    assert seen.sum() > 20

    found, true = straight.to_mm(pixels[seen]), FLOOR_MM[seen, :2]
    away = lengths(found) - lengths(true)
    assert np.abs(away).max() < 1.0, "mm, of distances up to 255 mm"
    np.testing.assert_allclose(straight.to_px(found), pixels[seen], atol=1e-3)

    # The marks alone, without the lens, are further off.
    marks = next(line for line in told.splitlines() if line.startswith("MARKS"))
    bent = parse(f"[Camera left]\nKIND = Webcam\n{marks}\n", Path.cwd())
    without = bent.calibrations["left"].to_mm(pixels[seen])
    assert np.abs(lengths(without) - lengths(true)).max() > 3.0

    facts = json.loads(file.with_suffix(".json").read_text("utf-8"))
    assert facts["kept_back"]["corner_mm"]["p50"] < 0.3
    assert "moments are seen by the camera" in told
    stored = read_stored(file).camera("left")
    assert abs(stored.matrix[0, 0] / LEFT.matrix[0, 0] - 1) < 0.01
    np.testing.assert_allclose(stored.centre, LEFT.centre, atol=6)


def test_the_floor_of_one_camera_is_set_later(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "lens.toml"
    words = [str(images), *BOARD, "--output", str(file)]
    assert main(words) == 0
    assert "--floor gives MARKS" in capsys.readouterr().out
    assert main([*words, "--known", str(file), "--floor", "0", "--overwrite"]) == 0
    told = capsys.readouterr().out
    assert "MARKS = " in told
    assert "heights of the cameras above the floor in mm: left" in told


def test_known_lenses_are_refused_with_one_camera(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["a.mp4", *BOARD, "--output", str(tmp_path / "lens.toml")]
    assert main([*words, "--lenses", "known.toml"]) == 2
    assert "only the lens is calibrated" in capsys.readouterr().err


def lengths(places: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(places[:, None] - places, axis=-1))
