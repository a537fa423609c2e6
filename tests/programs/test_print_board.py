"""A board printed by the command, found by the detector of the calibration."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.offline.camera_calibration.charuco_board import CharucoBoard
from utils.PrintBoard import main

pytest.importorskip("matplotlib", reason="it draws the page")


def test_the_command_writes_a_board_that_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "board.png"
    words = ["--board", "8x6", "--page", "Letter", "--output", str(file)]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "8×6 squares of 28 mm on Letter" in told
    found = CharucoBoard(8, 6, 28.0).find(np.asarray(cv2.imread(str(file)), np.uint8))
    assert np.isfinite(found).all()

    assert main(words) == 2
    assert "board.png already exists" in capsys.readouterr().err


def test_impossible_boards_are_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: str) -> str:
        assert main([*words, "--output", str(tmp_path / "board.pdf")]) == 2
        return capsys.readouterr().err

    assert "expected the numbers of squares" in refused("--board", "five")
    assert "do not fit on A4" in refused("--square-mm", "50")
    assert "needs 200 markers" in refused("--board", "20x20")
