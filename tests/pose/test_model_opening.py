import time
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_opening import find_model, open_estimator
from deeplabstream.pose.placeholder_network import PlaceholderNetwork


def test_a_stand_in_takes_its_time_and_finds_the_dark_animal() -> None:
    estimator = open_estimator("stand-in:20")
    image = np.full((480, 640), 200, np.uint8)
    image[230:270, 380:420] = 20
    start = time.perf_counter()
    (pose,) = estimator.estimate([image])
    assert time.perf_counter() - start >= 0.02
    assert np.abs(pose.points[0] - [400, 250]).max() <= 36
    assert pose.confidence.min() == 1


def test_without_a_time_a_stand_in_takes_none() -> None:
    assert open_estimator("stand-in") == PlaceholderNetwork(0)


@pytest.mark.parametrize("name", ["stand-in:fast", "stand-in:-1", "stand-in:nan"])
def test_an_odd_time_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="expected milliseconds"):
        open_estimator(name)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"MODEL is empty: .*ImportModel.py.*arena"):
        find_model("")
    with pytest.raises(ModelError, match=r"there is no model 'unicorn'; .*arena"):
        open_estimator("unicorn")


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"is not a model folder: .*utils/ImportModel\.py"
    ):
        open_estimator(tmp_path)


def test_a_name_that_is_too_long_for_a_file_is_an_unknown_one() -> None:
    with pytest.raises(ModelError, match="there is no model"):
        open_estimator("m" * 300)


def test_a_file_of_another_program_is_refused_with_the_way_out(tmp_path: Path) -> None:
    file = tmp_path / "yolo11n-pose.pt"
    file.touch()
    with pytest.raises(
        ModelError, match=r"ImportModel\.py .*pose\.pt --output models/"
    ):
        find_model(file)
