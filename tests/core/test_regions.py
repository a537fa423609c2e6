"""Regions: one line in, the right pixels inside."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.regions import (
    Circle,
    Ellipse,
    Polygon,
    Rectangle,
    Region,
    Ring,
    parse_region,
)

size = st.integers(1, 500).map(float)
place = st.integers(-500, 500).map(float)
regions = st.one_of(
    st.builds(Circle, place, place, size),
    st.builds(Ellipse, place, place, size, size),
    st.builds(lambda x, y, r, w: Ring(x, y, r, r + w), place, place, size, size),
    st.builds(Rectangle, place, place, size, size),
    st.builds(
        Polygon,
        st.lists(st.tuples(place, place), min_size=3, max_size=7).map(tuple),
    ),
)


@given(regions)
def test_a_region_written_and_read_again_is_the_same(region: Region) -> None:
    assert parse_region(str(region)) == region


@given(regions)
def test_a_lost_point_lies_nowhere(region: Region) -> None:
    points = np.array([[np.nan, 0], [0, np.nan], [np.nan, np.nan]], np.float32)
    assert not region.contains(points).any()


@given(st.builds(Rectangle, place, place, size, size), place, place)
def test_a_rectangle_and_the_polygon_of_its_corners_agree(
    rectangle: Rectangle, x: float, y: float
) -> None:
    polygon = Polygon(tuple((float(a), float(b)) for a, b in rectangle.outline()))
    point = np.array([[x + 0.25, y + 0.25]], np.float32)  # never on a border
    assert rectangle.contains(point) == polygon.contains(point)


@given(regions, place, place)
def test_depth_is_positive_inside_and_grows_no_faster_than_the_way(
    region: Region, x: float, y: float
) -> None:
    points = [(x + 0.25, y + 0.25), (x + 3.25, y + 4.25)]
    depth = [region.depth(*point) for point in points]
    for point, deep in zip(points, depth, strict=True):
        assert abs(deep) <= 0.5 or (deep > 0) == region.has(*point)
    if isinstance(region, Circle | Ring):
        assert abs(depth[1] - depth[0]) <= 5.01


def test_depth_of_a_rectangle_and_a_ring_is_what_a_ruler_says() -> None:
    points = [(5, 1), (12, 5), (13, 14), (np.nan, 5)]
    rectangle, ring = map(parse_region, ["rectangle 0 0 10 10", "ring 0 0 5 10"])
    depth = [rectangle.depth(*point) for point in points]
    np.testing.assert_allclose(depth, [1, -2, -5, np.nan])
    depth = [ring.depth(*point) for point in [(0, 0), (7, 0), (0, 9), (-12, 0)]]
    np.testing.assert_allclose(depth, [-5, 2, 1, -2])


def test_a_border_belongs_to_its_region() -> None:
    points = np.array([[13, 20], [13.1, 20]], np.float32)
    assert parse_region("circle 10 20 3").contains(points).tolist() == [True, False]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "expected circle"),
        ("circle", "expected circle X Y R"),
        ("circle 1 2 x", "expected numbers"),
        ("circle 1 2 0", "above 0"),
        ("circle 1 2 inf", "finite"),
        ("polygon 1 2 3 4", "three corners"),
        ("blob 1 2 3", "expected circle"),
        ("ring 1 2 3", "expected ring X Y R1 R2"),
        ("ring 1 2 4 3", "R1 below R2"),
    ],
)
def test_what_is_wrong_is_said(words: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_region(words)
