"""What OpenCV gives is checked; a video stands in for the camera."""

from pathlib import Path

import numpy as np
import pytest

from cameras.webcam import Webcam
from core.errors import DeviceError
from tests.cameras.videos import picture, write_video


def test_pictures_come_in_order_until_there_are_no_more(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.avi", frames=4)
    with Webcam(source=str(path), backend="ffmpeg").opened() as film:
        image = np.zeros(film.format.shape, film.format.dtype)
        times = []
        for index in range(3):  # the first one told the format
            shot = film.read(image)
            assert shot is not None
            assert shot.index == index
            times.append(shot.exposed_ns)
            assert np.array_equal(image, picture(index + 1))
        assert times == sorted(times)
        assert not film.knows_losses
        with pytest.raises(DeviceError, match="no more pictures"):
            film.read(image)


def test_a_slot_of_another_shape_is_refused_not_ignored(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.avi")
    with (
        Webcam(source=str(path), backend="ffmpeg").opened() as film,
        pytest.raises(DeviceError, match="changed its picture from 20×10 to 64×48"),
    ):
        film.read(np.zeros((10, 20, 3), np.uint8))


def test_a_camera_that_gives_nothing_is_named(tmp_path: Path) -> None:
    camera = Webcam(source=str(tmp_path / "nothing.avi"), backend="ffmpeg")
    with pytest.raises(DeviceError, match="gives no pictures"), camera.opened():
        pass


def test_a_number_in_words_is_a_number() -> None:
    assert Webcam(source="1").source == 1
    assert Webcam(source="/dev/video0").source == "/dev/video0"
