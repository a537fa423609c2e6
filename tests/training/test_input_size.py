from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.training.data.input_size import SIZES, fitting_like

USUAL = SIZES["usual"]


def pictures(folder: Path, height: int, width: int, count: int = 3) -> list[Path]:
    files = [folder / f"{height}x{width}_{n}.png" for n in range(count)]
    for file in files:
        cv2.imwrite(str(file), np.zeros((height, width), np.uint8))
    return files


@pytest.mark.parametrize(
    ("height", "width", "multiple", "fitting"),
    [
        (480, 640, 16, USUAL),
        (240, 320, 16, USUAL),
        (406, 396, 16, Fitting(height=288, width=272)),
        (480, 640, 32, Fitting(height=256, width=320)),
        (20, 400, 32, Fitting(height=64, width=1248)),
    ],
)
def test_the_input_is_shaped_as_the_pictures(
    tmp_path: Path, height: int, width: int, multiple: int, fitting: Fitting
) -> None:
    files = pictures(tmp_path, height, width)
    assert fitting_like(files, USUAL, multiple) == fitting


def test_most_pictures_decide(tmp_path: Path) -> None:
    odd = pictures(tmp_path, 500, 500, 1)
    more = pictures(tmp_path, 480, 640, 4)
    assert fitting_like(odd + more, USUAL, 16) == USUAL


def test_without_pictures_it_is_the_usual(tmp_path: Path) -> None:
    assert fitting_like([tmp_path / "none.png"], USUAL, 16) == USUAL
