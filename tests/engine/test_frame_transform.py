"""Crop, turn, mirror."""

import numpy as np
import pytest

from cameras.simulated import SimulatedCamera
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.engine.processes.camera_process import transformed
from deeplabstream.plugins.camera import CameraControl, CameraStream, CapturedFrame

RAW = np.arange(4 * 6, dtype=np.uint8).reshape(4, 6)


def read(image: Image) -> CapturedFrame:
    image[:] = RAW
    return CapturedFrame(0)


FILM = CameraStream(ImageFormat((4, 6), 30.0), read)


def picture(**settings: object) -> Image:
    film = transformed(FILM, SimulatedCamera(**settings))  # type: ignore[arg-type]
    image = np.zeros(film.format.shape, film.format.dtype)
    film.read(image)
    return image


def test_turned_clockwise() -> None:
    assert (picture(rotate="90") == np.rot90(RAW, -1)).all()
    assert picture(rotate="90")[0, -1] == RAW[0, 0]
    assert (picture(rotate="180") == RAW[::-1, ::-1]).all()
    assert (picture(rotate="270") == np.rot90(RAW)).all()


def test_mirrored_after_turning() -> None:
    assert (picture(flip="horizontal") == RAW[:, ::-1]).all()
    assert (picture(flip="vertical") == RAW[::-1]).all()
    assert (picture(rotate="90", flip="horizontal") == np.rot90(RAW, -1)[:, ::-1]).all()


def test_cropped_before_turning() -> None:
    assert (picture(crop=(1, 2, 3, 2)) == RAW[2:4, 1:4]).all()
    assert picture(crop=(1, 2, 3, 2), rotate="90").shape == (3, 2)


def test_used_as_it_is_it_passes_unchanged() -> None:
    assert transformed(FILM, SimulatedCamera()).read is FILM.read


def test_a_crop_is_moved_while_it_films_but_keeps_its_size() -> None:
    film = transformed(FILM, SimulatedCamera(crop=(1, 1, 3, 2), rotate="180"))
    image = np.zeros(film.format.shape, film.format.dtype)
    assert film.controls()[-1] == CameraControl(
        "crop", (1, 1, 3, 2), (0, 0, 1, 1), (0, 0, 6, 4)
    )
    assert film.set_control("crop", (3, 2, 3, 2))
    film.read(image)
    assert (image == np.rot90(RAW[2:4, 3:6], 2)).all()
    assert film.controls()[-1].now == (3, 2, 3, 2)
    assert not film.set_control("crop", (0, 0, 4, 2))
    assert not film.set_control("crop", None)
    assert not film.set_control("gain", 3.0), "the device has no dials"
    with pytest.raises(DeviceError, match="does not lie in the frame of 6×4"):
        film.set_control("crop", (4, 0, 3, 2))
    film.read(image)
    assert (image == np.rot90(RAW[2:4, 3:6], 2)).all(), "nothing has changed"


@pytest.mark.parametrize(
    "crop", [(0, 0, 7, 1), (-1, 0, 2, 2), (0, 0, 0, 1), (5, 3, 2, 2)]
)
def test_a_crop_outside_of_the_picture_is_told(crop: tuple[int, ...]) -> None:
    with pytest.raises(DeviceError, match="does not lie in the frame of 6×4"):
        picture(crop=crop)
