"""Jumps of objects: an animal leaves its old place, a mark does not."""

from collections.abc import Sequence

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.regions import Rectangle
from deeplabstream.pose.background.object_jumps import ObjectJumps
from deeplabstream.pose.background.objects import find_objects
from deeplabstream.pose.background.pixel_areas import PixelAreas, pixel_areas

FLOOR, DEPTH = 160, 80
HALVES = Rectangle(0, 0, 60, 60), Rectangle(60, 0, 60, 60)
LEFT, RIGHT = (10, 30, 8), (40, 30, 8)
"""x, y and length of two objects of the first area, px."""


def areas() -> PixelAreas:
    return pixel_areas((60, 120), HALVES)


def image_of(dark: Sequence[tuple[int, int, int]], light: float = 1.0) -> Image:
    """Return a floor with dark spots, 4 px high; `light`: share of the usual light."""
    image = np.full((60, 120), FLOOR, np.float64)
    for x, y, length in dark:
        image[y : y + 4, x : x + length] -= DEPTH
    return np.round(light * image).astype(np.uint8)


def follow(
    jumps: ObjectJumps, image: Image, spot: tuple[int, int, int] | None
) -> list[int]:
    """Follow the object at a spot, that is far from the last one; return the counts."""
    differs = np.zeros(image.shape, np.uint8)
    contrast = np.full(image.shape, DEPTH, np.uint8)
    if spot is not None:
        x, y, length = spot
        differs[y : y + 4, x : x + length] = 255
    objects = find_objects(contrast, differs, areas())
    rows = np.arange(len(objects))
    jumps.follow(image, objects, rows, np.ones(len(rows), np.bool_))
    return jumps.count.tolist()


def test_each_jump_from_a_place_that_the_object_left_is_counted() -> None:
    jumps = ObjectJumps(areas(), 10)
    spots = [LEFT, RIGHT, LEFT, RIGHT]
    counts = [follow(jumps, image_of([spot]), spot) for spot in spots]
    assert counts == [[0, 0], [1, 0], [2, 0], [3, 0]]


def test_of_two_marks_neither_jumps_also_while_the_light_flickers() -> None:
    jumps = ObjectJumps(areas(), 10)
    for light, spot in ((1.0, LEFT), (1.0, RIGHT), (1.4, LEFT), (0.7, RIGHT)):
        assert follow(jumps, image_of([LEFT, RIGHT], light), spot) == [0, 0]


def test_an_object_that_is_longer_than_an_animal_or_much_fainter_does_not_jump() -> (
    None
):
    jumps = ObjectJumps(areas(), 10)
    follow(jumps, image_of([LEFT]), LEFT)
    for other in ((35, 30, 15), (40, 30, 3)):
        assert follow(jumps, image_of([other]), other) == [0, 0]


def test_jumps_are_counted_anew_after_a_loss_and_in_an_area_that_was_reset() -> None:
    jumps = ObjectJumps(areas(), 10)
    follow(jumps, image_of([LEFT]), LEFT)
    assert follow(jumps, image_of([RIGHT]), RIGHT) == [1, 0]
    assert follow(jumps, image_of([]), None) == [0, 0]
    assert follow(jumps, image_of([LEFT]), LEFT) == [1, 0]
    jumps.reset(np.array([0]))
    assert jumps.count.tolist() == [0, 0]
    assert follow(jumps, image_of([RIGHT]), RIGHT) == [0, 0]
