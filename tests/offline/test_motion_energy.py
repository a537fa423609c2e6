from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.offline.ibl.motion_energy import (
    Box,
    energy,
    grey_of,
    motion_energies,
)
from deeplabstream.video.decoding import Converter
from deeplabstream.video.video_reader import open_video
from tests.offline.films import spoil, write_film
from utils.MotionEnergy import main

BOXES = {
    "inside": Box(13, 7, 31, 20),
    "odd": Box(1, 1, 1, 1),
    "over the border": Box(50, 30, 40, 40),
    "left": Box(-5, -3, 20, 20),
    "whole": Box(0, 0, 64, 48),
}


def noisy(row: int) -> Image:
    rng = np.random.default_rng(row)
    smooth = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (64, 48))
    return np.asarray(smooth, np.uint8)


def published(film: Path, box: Box) -> NDArray[np.float64]:
    """Transcribed from the published description, by OpenCV and numpy alone."""
    capture = cv2.VideoCapture(str(film))
    cut = np.s_[
        max(0, box.y) : max(0, box.y + box.height),
        max(0, box.x) : max(0, box.x + box.width),
    ]
    frames = []
    while True:
        there, image = capture.read()
        if not there:
            break
        frames.append(cv2.cvtColor(image[cut], cv2.COLOR_BGR2GRAY))
    stack = np.array(frames, dtype=np.float32)
    values = np.zeros(len(stack))
    values[:-1] = np.mean(np.abs(np.diff(stack, axis=0)), axis=(1, 2))
    values[-1] = values[-2]
    return values


@pytest.mark.parametrize(
    ("name", "codec"),
    [("film.mp4", "libx264"), ("film.avi", "mpeg4"), ("film.avi", "mjpeg"),
     ("film.mkv", "ffv1")],
)  # fmt: skip
def test_it_is_the_published_formula_bit_for_bit(
    tmp_path: Path, name: str, codec: str
) -> None:
    film = write_film(tmp_path / name, noisy, frames=12, codec=codec)
    found = motion_energies(film, BOXES)
    for region, box in BOXES.items():
        expected = published(film, box)
        assert found[region].dtype == np.float64
        np.testing.assert_array_equal(found[region], expected, err_msg=region)
        assert expected.max() > 0


def test_large_regions_are_rounded_as_float32_rounds() -> None:
    rng = np.random.default_rng(0)
    one = np.zeros((700, 900), np.uint8)
    other = rng.integers(200, 256, one.shape, np.uint8)
    stack = np.array([one, other], np.float32)
    expected = np.mean(np.abs(np.diff(stack, axis=0)), axis=(1, 2))[0]
    assert energy(one, other) == float(expected)


def test_frames_that_are_lost_are_nan(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mov", noisy, frames=10, codec="mjpeg")
    spoil(film, [4])
    values = motion_energies(film, {"whole": BOXES["whole"]})["whole"]
    assert np.flatnonzero(np.isnan(values)).tolist() == [3, 4]


def test_a_region_is_what_the_whole_picture_has_there(tmp_path: Path) -> None:
    rows = open_video(write_film(tmp_path / "film.mp4", noisy, frames=3))
    import av

    with av.open(str(rows.path)) as container:
        for frame, picture in zip(
            container.decode(video=0), rows.images(), strict=True
        ):
            for box in (Box(3, 5, 17, 11), Box(40, 30, 24, 18)):
                assert picture.image is not None
                near = np.ascontiguousarray(picture.image[box.wide])
                expected = cv2.cvtColor(near, cv2.COLOR_BGR2GRAY)
                np.testing.assert_array_equal(
                    grey_of(frame, box, Converter()), expected
                )


def test_the_program_writes_values_and_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mp4", noisy, frames=5)
    assert main([str(film), "--region", "nose:10,5,20,10"]) == 0
    values = np.load(tmp_path / "film.nose.ROIMotionEnergy.npy")
    np.testing.assert_array_equal(values, published(film, Box(10, 5, 20, 10)))
    place = np.load(tmp_path / "film.nose.ROIMotionEnergy.position.npy")
    assert place.tolist() == [20, 10, 10, 5]
    assert main([str(film), "--region", "far:100,100,20,10"]) == 2
    assert "is outside" in capsys.readouterr().err
    twice = ["--region", "nose:10,5,20,10", "--region", "nose:0,0,4,4"]
    with pytest.raises(SystemExit, match="2"):
        main([str(film), *twice])
    assert "a different name" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(film), "--region", "../nose:10,5,20,10"])
    with pytest.raises(DeepLabStreamError, match="outside"):
        motion_energies(film, {"far": Box(64, 0, 5, 5)})
    with pytest.raises(SystemExit):
        main([str(film), "--region", "10,5,20"])
