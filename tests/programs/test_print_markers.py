"""Markers of a plate printed by the command, found by the detector of the arenas."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.offline.camera_calibration.printed_page import DPI
from deeplabstream.pose.plate_markers import find_markers, markers_in_order
from utils.PrintMarkers import main

pytest.importorskip("matplotlib", reason="it draws the page")
MM = 25.4 / DPI


def test_the_printed_markers_are_found_where_they_belong_and_have_their_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "markers.png"
    words = ["--markers", "7, 3, 12, 5", "--side-mm", "12", "--output", str(file)]
    assert main(words) == 0
    assert "7, 3, 12, 5 of 4X4_50, side 12 mm" in capsys.readouterr().out
    image = np.asarray(cv2.imread(str(file)), np.uint8)
    assert image.shape[:2] == pytest.approx((297 / MM, 210 / MM), abs=1)
    found = find_markers(image, "4X4_50")
    assert markers_in_order(found) == (7, 3, 12, 5)
    for corners in found.values():
        sides = np.hypot(*(corners - np.roll(corners, 1, axis=0)).T) * MM
        assert sides == pytest.approx([12.0] * 4, abs=0.1)

    assert main(words) == 2
    assert "markers.png already exists" in capsys.readouterr().err


def test_a_cut_out_marker_is_found_on_a_black_plate(tmp_path: Path) -> None:
    file = tmp_path / "markers.png"
    assert main(["--side-mm", "12", "--output", str(file)]) == 0
    page = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    assert page is not None
    card, border = round(18 / MM), round(10 / MM)
    plate = np.zeros((400, 400), np.uint8)
    plate[50 : 50 + card, 60 : 60 + card] = page[
        border : border + card, border : border + card
    ]
    assert [*find_markers(plate, "4X4_50")] == [0]


def test_impossible_markers_are_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: str) -> str:
        assert main([*words, "--output", str(tmp_path / "markers.pdf")]) == 2
        return capsys.readouterr().err

    assert "expected numbers with commas" in refused("--markers", "a,b")
    assert "expected 4 different numbers" in refused("--markers", "1,2,3,3")
    assert "4X4_50 has 0 to 49" in refused("--markers", "1,2,3,50")
    assert "4 to 60.7 mm are possible on A4" in refused("--side-mm", "61")
