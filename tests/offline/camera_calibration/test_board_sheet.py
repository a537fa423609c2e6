import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.offline.camera_calibration.board_sheet import (
    BoardSheet,
    instructions,
    with_largest_square,
    write_board,
)
from deeplabstream.offline.camera_calibration.charuco_board import CharucoBoard
from deeplabstream.offline.camera_calibration.printed_page import DPI, PAGES

pytest.importorskip("matplotlib", reason="it draws the page")

BOARDS = {
    "A4": CharucoBoard(5, 7, 36.0),
    "A3": CharucoBoard(11, 8, 24.5, "5X5_100", 0.7),
    "Letter": CharucoBoard(4, 5, 40.0, legacy=True),
}


def check_corners(image: Image, sheet: BoardSheet) -> None:
    """All corners are found, and are where the board declares them, in true mm."""
    size_mm, (height, width) = sheet.size_mm, image.shape[:2]
    assert width / size_mm[0] == pytest.approx(DPI / 25.4, rel=0.001)
    assert height / size_mm[1] == pytest.approx(DPI / 25.4, rel=0.001)

    # The position of a pixel is that of its centre.
    found_mm = (sheet.board.find(image) + 0.5) * 25.4 / DPI - sheet.origin_mm
    assert np.isfinite(found_mm).all()
    away_mm = found_mm - sheet.board.corners_mm[:, :2]
    shift_mm = away_mm.mean(axis=0)
    np.testing.assert_allclose(shift_mm, 0, atol=0.15)
    np.testing.assert_allclose(away_mm - shift_mm, 0 * away_mm, atol=0.06)


@pytest.mark.parametrize("page", PAGES)
def test_all_corners_of_a_printed_board_are_where_the_board_has_them(
    page: str, tmp_path: Path
) -> None:
    sheet = BoardSheet(BOARDS[page], page)
    write_board(sheet, tmp_path / "board.png")
    check_corners(np.asarray(cv2.imread(str(tmp_path / "board.png")), np.uint8), sheet)


def test_an_inverted_board_is_printed_inverted(tmp_path: Path) -> None:
    sheet = BoardSheet(CharucoBoard(5, 4, 30.0, inverted=True))
    write_board(sheet, tmp_path / "board.png")
    check_corners(np.asarray(cv2.imread(str(tmp_path / "board.png")), np.uint8), sheet)


@pytest.mark.parametrize("page", PAGES)
def test_a_pdf_has_the_size_of_the_paper(page: str, tmp_path: Path) -> None:
    sheet = BoardSheet(BOARDS[page], page)
    write_board(sheet, tmp_path / "board.pdf")
    content = (tmp_path / "board.pdf").read_bytes()
    box = re.search(rb"/MediaBox \[ ?([\d. ]+)\]", content)
    assert box is not None
    points = [float(word) for word in box[1].split()]
    assert points[:2] == [0, 0]
    np.testing.assert_allclose(
        np.array(points[2:]) / 72 * 25.4, sheet.size_mm, atol=0.01
    )


@pytest.mark.skipif(shutil.which("gs") is None, reason="needs a renderer of PDF")
def test_a_rendered_pdf_has_the_board_in_true_millimetres(tmp_path: Path) -> None:
    sheet = BoardSheet(BOARDS["A3"], "A3")
    write_board(sheet, tmp_path / "board.pdf")
    words = ["-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=pnggray", f"-r{DPI}"]
    files = ["-sOutputFile=board.png", "board.pdf"]
    subprocess.run(["gs", *words, *files], cwd=tmp_path, check=True)
    check_corners(np.asarray(cv2.imread(str(tmp_path / "board.png")), np.uint8), sheet)


def test_a_board_that_does_not_fit_is_refused_with_the_largest_square() -> None:
    with pytest.raises(DeepLabStreamError, match=r"do not fit on A4: at most 36\.1 mm"):
        BoardSheet(CharucoBoard(5, 7, 40.0), "A4")
    with pytest.raises(DeepLabStreamError, match="expected one of A4, A3, Letter"):
        BoardSheet(CharucoBoard(5, 7, 10.0), "A5")


def test_the_page_is_turned_and_filled_with_squares_of_whole_millimetres() -> None:
    board = with_largest_square(CharucoBoard(11, 8, 1.0), "A3")
    assert board.square_mm == 31
    assert BoardSheet(board, "A3").size_mm == (420, 297)
    assert with_largest_square(CharucoBoard(5, 7, 1.0), "A4").square_mm == 36


def test_the_page_says_what_to_measure_and_how_the_board_is_named_then() -> None:
    text = "\n".join(instructions(BOARDS["A3"], "A3"))
    assert "the scale bar (100 mm), and the 11 squares of a row (269.5 mm)" in text
    assert "--board 11x8 --dictionary 5X5_100 --marker-share 0.7 --square-mm" in text
    assert "--dictionary" not in "".join(instructions(BOARDS["A4"], "A4"))


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeepLabStreamError, match=r"expected the ending \.pdf or \.png"):
        write_board(BoardSheet(BOARDS["A4"]), tmp_path / "board.svg")
