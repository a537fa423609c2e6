"""Volumes, heights and planes as they are dragged in two views, in whole millimetres."""

import numpy as np
import pytest

from deeplabstream.gui.space_items import (
    ABOVE,
    FRONT,
    SIDE,
    HeightItem,
    PlaneItem,
    SpaceItem,
    VolumeItem,
    item_from_drag,
    item_of,
    polygon_item,
)

ROOM = ((-200.0, -50.0), (200.0, 150.0))


def read(**values: str) -> SpaceItem:
    found = item_of(values)
    assert found is not None
    return found


CYLINDER = read(VOLUME="circle 10 20 30.25 z 0 80.5")


@pytest.mark.parametrize(
    "word",
    [
        "circle 10 20 30.25 z 0 80.5",
        "rectangle -40 -30 80 60 z 5 50",
        "polygon 0 0 80 0 0 80 z 0 50",
        "ring 0 0 20 40 z 0 50",
        "ellipse 0 0 20 40 z -5 50",
    ],
)
def test_a_volume_is_written_as_it_was_read(word: str) -> None:
    assert read(VOLUME=word).words() == {"VOLUME": word}


def test_heights_and_planes_are_written_as_they_were_read() -> None:
    assert read(HEIGHT_MM="40").words() == {"HEIGHT_MM": "40"}
    values = {"POINT": "0, 0, 40.5", "NORMAL": "0, 0.6, 0.8"}
    assert read(**values).words() == values


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"VOLUME": "circle 0 0"},
        {"HEIGHT_MM": "nan"},
        {"POINT": "1, 2"},
        {"POINT": "1, 2, 3", "NORMAL": "0, 0, 0"},
        {"POINT": "1, 2", "NORMAL": "0, 0, 1"},
    ],
)
def test_what_is_no_shape_in_space_is_not_read(values: dict[str, str]) -> None:
    assert item_of(values) is None


def test_only_the_numbers_that_a_drag_changes_become_whole() -> None:
    moved = CYLINDER.moved(ABOVE, 4.4, 0)
    assert moved.words() == {"VOLUME": "circle 14 20 30.25 z 0 80.5"}
    lifted = CYLINDER.moved(SIDE, 0, 9.7)
    assert lifted.words() == {"VOLUME": "circle 10 20 30.25 z 10 90.5"}
    along = CYLINDER.moved(SIDE, 5.2, 0)
    assert along.words() == {"VOLUME": "circle 10 25 30.25 z 0 80.5"}


def test_bottom_and_top_are_dragged_from_the_front() -> None:
    bottom, top = CYLINDER.handles(FRONT, 50)
    assert bottom == pytest.approx((10, 0)) and top == pytest.approx((10, 80.5))
    higher = CYLINDER.reshaped(FRONT, 1, (10, 99.6), top)
    assert higher.words() == {"VOLUME": "circle 10 20 30.25 z 0 100"}
    # the bottom stays below the top
    crossed = CYLINDER.reshaped(FRONT, 0, (10, 300), bottom)
    assert crossed.words() == {"VOLUME": "circle 10 20 30.25 z 79.5 80.5"}


def test_the_silhouette_of_a_volume_has_its_heights() -> None:
    mark = CYLINDER.mark(FRONT, ROOM)
    assert mark is not None
    assert mark.holds(10, 40, 0) and not mark.holds(10, 90, 0)
    assert not mark.holds(45, 40, 0)


def test_a_height_is_a_line_from_the_front_and_nowhere_from_above() -> None:
    item = HeightItem(40.0)
    assert item.mark(ABOVE, ROOM) is None
    mark = item.mark(FRONT, ROOM)
    assert mark is not None
    assert mark.holds(-150, 41, 2) and not mark.holds(0, 45, 2)
    assert item.moved(FRONT, 30, 4.6) == HeightItem(45.0)
    assert item.moved(ABOVE, 30, 4.6) == item


def test_a_plane_is_turned_in_a_view_in_whole_degrees() -> None:
    item = PlaneItem((0.0, 0.0, 0.0), (1.0, 0.0, 0.0))
    assert item.handles(ABOVE, 50) == ((0, 0), (50, 0))
    turned = item.reshaped(ABOVE, 1, (40, 40.3), (50, 0))
    assert turned.words()["NORMAL"] == "0.7071, 0.7071, 0"
    # a plane along the view has a point there, and no direction
    assert item.handles(SIDE, 50) == ((0, 0),)
    moved = item.reshaped(ABOVE, 0, (12.3, 5), (0, 0))
    assert moved.words() == {"POINT": "12, 5, 0", "NORMAL": "1, 0, 0"}


def test_each_view_draws_what_it_shows() -> None:
    heights = (0.0, 60.0)
    drawn = item_from_drag("cylinder", ABOVE, (10.4, 0), (40.2, 0), heights)
    assert drawn is not None
    assert drawn.words() == {"VOLUME": "circle 10 0 30 z 0 60"}
    box = item_from_drag("box", ABOVE, (0, 0), (-40.2, 30), heights)
    assert box is not None
    assert box.words() == {"VOLUME": "rectangle -40 0 40 30 z 0 60"}
    assert item_from_drag("box", FRONT, (0, 0), (40, 30), heights) is None
    assert item_from_drag("height", ABOVE, (0, 0), (40, 30), heights) is None
    assert item_from_drag("height", FRONT, (0, 0), (40, 30.4), heights) == HeightItem(
        30
    )
    plane = item_from_drag("plane", FRONT, (5, 40), (5, 80), heights)
    assert plane == PlaneItem((5.0, 0.0, 40.0), (0.0, 0.0, 1.0))
    assert polygon_item([(0, 0), (9, 0), (9.2, 0)], heights) is None
    assert polygon_item([(0, 0), (9, 0), (0, 9)], heights) is not None


def test_corners_of_a_polygon_are_added_and_removed() -> None:
    item = read(VOLUME="polygon 0 0 80 0 0 80 z 0 50")
    assert isinstance(item, VolumeItem)
    more = item.with_corner((40.2, -10))
    assert more.words() == {"VOLUME": "polygon 0 0 40 -10 80 0 0 80 z 0 50"}
    assert more.without_corner(1) == item
    assert item.without_corner(1) == item  # a triangle stays
    assert CYLINDER.with_corner((0, 0)) == CYLINDER  # type: ignore[attr-defined]


def test_lines_in_space_are_those_of_the_item() -> None:
    lines = CYLINDER.lines((0, 0, 0), 100)
    assert lines[..., 2].min() == 0 and lines[..., 2].max() == 80.5
    assert (HeightItem(40.0).lines((5, 6, 0), 100)[..., 2] == 40).all()
    plane = PlaneItem((7.0, 0.0, 0.0), (1.0, 0.0, 0.0)).lines((0, 0, 0), 100)
    assert np.allclose(plane[..., 0], 7)
