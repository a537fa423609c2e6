from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.camera_calibration.board_views import (
    find_board,
    open_image_folder,
)
from deeplabstream.offline.camera_calibration.charuco_board import (
    CharucoBoard,
    fitting_board,
)
from tests.offline.camera_calibration.boards import BOARD, render, views_of
from tests.space.cameras import four_cameras, without_distortion


def test_corners_are_found_where_the_board_was_rendered(tmp_path: Path) -> None:
    cameras = without_distortion(four_cameras()).select(["left", "right"])
    render(cameras, tmp_path, 8)
    folders = [open_image_folder(tmp_path / name) for name in cameras.names]
    found = find_board(folders, cameras.names, BOARD, 100)
    expected = views_of(cameras, 8)
    assert found.board == BOARD
    assert found.sizes == ((480, 640), (480, 640))
    away = np.linalg.norm(found.pixels - expected.pixels, axis=-1)
    assert np.isfinite(away).sum() > 0.7 * np.isfinite(expected.pixels[..., 0]).sum()
    assert np.nanmedian(away) < 0.2
    assert np.nanpercentile(away, 95) < 0.6


@pytest.mark.parametrize(("legacy", "inverted"), [(True, False), (False, True)])
def test_the_pattern_of_a_board_is_determined(
    tmp_path: Path, legacy: bool, inverted: bool
) -> None:
    board = CharucoBoard(6, 4, 30.0, legacy=legacy, inverted=inverted)
    cameras = without_distortion(four_cameras()).select(["left", "right"])
    render(cameras, tmp_path, 3, board)
    images = [cv2.imread(str(file)) for file in sorted(tmp_path.glob("left/*.png"))]
    assert fitting_board(CharucoBoard(6, 4, 30.0), images) == board


def test_images_of_a_folder_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("cam-10.png", "cam-9.png", "cam-1.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    files = open_image_folder(tmp_path).files
    assert [file.stem for file in files] == ["cam-1", "cam-9", "cam-10"]


def test_a_camera_that_never_sees_the_board_is_named(tmp_path: Path) -> None:
    cameras = without_distortion(four_cameras()).select(["left", "right"])
    render(cameras, tmp_path, 3)
    folders = [open_image_folder(tmp_path / name) for name in cameras.names]
    other = replace(BOARD, dictionary="6X6_250")
    with pytest.raises(DeepLabStreamError, match="left: the board was found in none"):
        find_board(folders, cameras.names, other, 100)


def test_impossible_boards_are_refused() -> None:
    with pytest.raises(DeepLabStreamError, match="2×5 squares: 3 to 50 are possible"):
        CharucoBoard(2, 5, 30.0)
    with pytest.raises(
        DeepLabStreamError, match="needs 200 markers, and 4X4_50 has 50"
    ):
        CharucoBoard(20, 20, 30.0)
