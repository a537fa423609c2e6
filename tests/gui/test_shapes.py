from math import hypot

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.gui.shapes import (
    SMALLEST,
    Shape,
    polygon,
    rectangle_between,
    shape_from_drag,
    shape_of,
)

PX = st.floats(-500, 2000).map(lambda number: round(number, 1))
SIZE = st.floats(SMALLEST, 600).map(lambda number: round(number, 1))
SHAPES = st.one_of(
    st.builds(lambda x, y, r: Shape("circle", (x, y, r)), PX, PX, SIZE),
    st.builds(lambda x, y, a, b: Shape("ellipse", (x, y, a, b)), PX, PX, SIZE, SIZE),
    st.builds(lambda x, y, a, b: Shape("ring", (x, y, a, a + b)), PX, PX, SIZE, SIZE),
    st.builds(lambda x, y, w, h: Shape("rectangle", (x, y, w, h)), PX, PX, SIZE, SIZE),
    st.lists(st.tuples(PX, PX), min_size=3, max_size=7).map(polygon),
    st.tuples(PX, PX, PX, PX).map(lambda numbers: Shape("line", numbers)),
    st.tuples(PX, PX).map(lambda numbers: Shape("point", numbers)),
)


@given(SHAPES)
def test_what_is_written_is_read_again(shape: Shape) -> None:
    again = shape_of(shape.key, shape.word)
    assert again is not None
    assert again.kind == shape.kind
    assert np.allclose(again.numbers, shape.numbers, atol=0.11, rtol=1e-5)


@given(SHAPES, PX, PX)
def test_moving_keeps_the_form(shape: Shape, dx: float, dy: float) -> None:
    moved = shape.moved(dx, dy)
    for before, after in zip(shape.handles(), moved.handles(), strict=True):
        assert np.allclose(after, (before[0] + dx, before[1] + dy), atol=1e-6)
    assert np.allclose(moved.moved(-dx, -dy).numbers, shape.numbers, atol=1e-6)


@given(SHAPES, st.data())
def test_a_handle_goes_where_it_is_dragged(shape: Shape, data: st.DataObject) -> None:
    if not shape.handles():
        return
    handle = data.draw(st.integers(0, len(shape.handles()) - 1))
    x, y = shape.handles()[handle]
    grown = shape.reshaped(handle, x + 20, y + 20)
    assert shape_of(grown.key, grown.word) is not None
    if shape.kind in ("polygon", "line"):
        assert grown.handles()[handle] == (x + 20, y + 20)
    if shape.kind == "circle":
        centre = shape.corners[0]
        assert grown.numbers[2] == pytest.approx(
            max(SMALLEST, hypot(x + 20 - centre[0], y + 20 - centre[1]))
        )


@given(SHAPES, PX, PX)
def test_no_drag_makes_what_the_settings_refuse(
    shape: Shape, x: float, y: float
) -> None:
    for handle in range(len(shape.handles())):
        if shape.kind not in ("polygon", "line"):
            reshaped = shape.reshaped(handle, x, y)
            assert shape_of(reshaped.key, reshaped.word) is not None


def test_strokes_make_shapes() -> None:
    assert shape_from_drag("circle", (10, 10), (40, 50)).word == "circle 10 10 50"
    assert (
        shape_from_drag("rectangle", (40, 50), (10, 10)).word == "rectangle 10 10 30 40"
    )
    assert shape_from_drag("ellipse", (10, 10), (40, 50)).word == "ellipse 10 10 30 40"
    assert shape_from_drag("ring", (10, 10), (40, 50)).word == "ring 10 10 25 50"
    assert shape_from_drag("line", (1, 2), (3, 4)).word == "1, 2, 3, 4"
    assert shape_from_drag("point", (1, 2), (3, 4)).word == "3, 4"


def test_a_corner_of_a_rectangle_may_pass_the_opposite_one() -> None:
    turned = rectangle_between((10, 10), (30, 30)).reshaped(0, 50, 60)
    assert turned.word == "rectangle 30 30 20 30"


def test_polygons_gain_and_lose_corners() -> None:
    square = polygon([(0, 0), (10, 0), (10, 10), (0, 10)])
    more = square.with_corner(12, 5)
    assert more.corners == ((0, 0), (10, 0), (12, 5), (10, 10), (0, 10))
    assert more.without_corner(2) == square
    triangle = square.without_corner(0)
    assert triangle.without_corner(0) == triangle


@pytest.mark.parametrize(
    ("key", "word"),
    [("REGION", "circle 1 2"), ("REGION", ""), ("LINE", "1, 2"), ("POINT", "left")],
)
def test_what_is_no_shape_is_none(key: str, word: str) -> None:
    assert shape_of(key, word) is None


def test_lines_and_points_are_held_from_near() -> None:
    line = Shape("line", (0, 0, 100, 0))
    assert line.holds(50, 3, near=4)
    assert not line.holds(110, 0, near=4)
    assert Shape("point", (5, 5)).holds(7, 5, near=4)
    assert Shape("ring", (0, 0, 20, 40)).holds(30, 0, near=1)
    assert not Shape("ring", (0, 0, 20, 40)).holds(0, 0, near=1)
