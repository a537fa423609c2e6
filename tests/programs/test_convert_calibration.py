from pathlib import Path

import pytest

from deeplabstream.recording.calibrations.calibration_file import (
    WRITERS,
    read_calibration,
)
from tests.space.cameras import four_cameras
from utils import ConvertCalibration


def test_a_calibration_is_shown_and_written_for_another_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "calibration.toml", tmp_path / "jarvis"
    WRITERS["aniposelib"](four_cameras(), file)
    words = [str(file), "--to", "jarvis", "--output", str(folder)]
    assert ConvertCalibration.main(words) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[1].split() == [
        *("left", "640", "×", "480", "800", "px", "44°"),
        *("-500.0", "50.0", "600.0"),
    ]
    assert told[-2] == "distances of two cameras: 687 to 1103 mm"
    assert told[-1] == f"folder written: {folder}"
    written = read_calibration(folder)
    assert written.camera("back").centre == pytest.approx([-20, 540, 640])


def test_existing_files_are_replaced_only_with_overwrite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "calibration.toml", tmp_path / "opencv"
    WRITERS["aniposelib"](four_cameras(), file)
    folder.mkdir()
    theirs = folder / "right.yaml"
    theirs.write_text("theirs")
    words = [str(file), "--to", "opencv", "--output", str(folder)]
    assert ConvertCalibration.main(words) == 2
    assert "right.yaml already exists" in capsys.readouterr().err
    assert [*folder.iterdir()] == [theirs]
    assert theirs.read_text() == "theirs"
    assert ConvertCalibration.main([*words, "--overwrite"]) == 0
    assert len([*folder.iterdir()]) == 4


def test_a_format_needs_a_place_and_a_bad_file_ends_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "calibration.toml"
    file.write_text("[cam_0]\nmatrix = 3\n")
    with pytest.raises(SystemExit):
        ConvertCalibration.main([str(file), "--to", "opencv"])
    assert "give both --to and --output" in capsys.readouterr().err
    assert ConvertCalibration.main([str(file)]) == 2
    assert "camera cam_0: rotation is missing" in capsys.readouterr().err
