"""The floor as a camera sees it, from above."""

import numpy as np

from deeplabstream.gui.floor_image import floor_image
from tests.space.cameras import four_cameras

CAMERA = four_cameras().camera("left")
SHAPE = (480, 640)


def test_a_mark_on_the_floor_is_at_its_place_in_the_floor_image() -> None:
    image = np.zeros(SHAPE, np.uint8)
    x, y = np.rint(CAMERA.project((30.0, -20.0, 0.0))).astype(int)
    image[y - 2 : y + 3, x - 2 : x + 3] = 255
    floor = floor_image(CAMERA, SHAPE, (-100, -100), (100, 100)).of(image)
    assert floor.shape == (300, 300, 4)
    rows, columns = np.nonzero(floor[..., 0] == 255)
    # y goes up: the first row is y = 100
    assert abs(-100 + (columns.mean() + 0.5) * 200 / 300 - 30) < 1.5
    assert abs(100 - (rows.mean() + 0.5) * 200 / 300 + 20) < 1.5


def test_colours_stay_and_what_the_camera_does_not_see_is_transparent() -> None:
    image = np.zeros((*SHAPE, 3), np.uint8)
    image[...] = (10, 20, 30)
    floor = floor_image(CAMERA, SHAPE, (-5000, -2500), (5000, 2500)).of(image)
    assert floor.shape == (150, 300, 4)
    assert floor[..., 3].min() == 0 and floor[..., 3].max() == 255
    assert (floor[floor[..., 3] == 255][:, :3] == (10, 20, 30)).all()


def test_images_of_more_bits_are_shown_by_their_upper_bits() -> None:
    image = np.full(SHAPE, 4095, np.uint16)
    floor = floor_image(CAMERA, SHAPE, (-50, -50), (50, 50)).of(image)
    assert floor[..., 0].max() == 255
