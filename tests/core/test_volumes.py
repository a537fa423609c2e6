"""Volumes in space: what is inside them, and how far points are from their border."""

from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.volumes import Volume, parse_volume

NEAR = st.floats(-200, 200)
SHAPES = st.sampled_from(
    [
        "rectangle -50 -40 100 80 z 10 60",
        "circle 0 0 60 z 0 40",
        "polygon -60 -60 70 -50 0 80 z -20 30",
    ]
).map(parse_volume)


def test_a_volume_reads_back_as_it_is_written() -> None:
    text = "rectangle 0 0 200 100 z 0 80.5"
    assert str(parse_volume(text)) == text
    assert parse_volume(parse_volume(text)) == parse_volume(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "circle 0 0 60", "circle 0 0 60 z 40", "circle 0 0 60 z 40 40"),
        *(
            "circle 0 0 60 z 50 40",
            "z 0 1",
            "circle 0 0 60 z a b",
            "sphere 0 0 1 z 0 1",
        ),
        *("circle 0 0 60 z 0 inf", "circle 0 0 60 z nan 1", "circle 0 0 -1 z 0 1"),
    ],
)
def test_what_is_no_volume_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_volume(text)


def test_the_border_belongs_to_the_volume() -> None:
    box = parse_volume("rectangle 0 0 10 10 z 0 10")
    assert box.has(0, 0, 0)
    assert box.has(10, 10, 10)
    assert not box.has(5, 5, 10.001)


def test_the_depth_is_the_distance_to_the_nearest_side() -> None:
    box = parse_volume("rectangle 0 0 10 20 z 0 8")
    assert box.depth(5, 10, 7) == 1
    assert box.depth(5, 10, 11) == -3
    assert box.depth(13, 10, 12) == -5  # beside an upper edge: 3 across, 4 up


@given(volume=SHAPES, x=NEAR, y=NEAR, z=NEAR)
def test_the_depth_is_positive_inside_only(
    volume: Volume, x: float, y: float, z: float
) -> None:
    depth = volume.depth(x, y, z)
    if abs(depth) > 0.5:  # a circle's outline is a polygon
        assert (depth > 0) is volume.has(x, y, z)


@given(volume=SHAPES, place=st.integers(0, 2))
def test_an_unknown_coordinate_is_nowhere(volume: Volume, place: int) -> None:
    point = [1.0, 2.0, 3.0]
    point[place] = nan
    assert not volume.has(*point)
    assert isnan(volume.depth(*point))


def test_a_point_far_away_is_outside() -> None:
    assert not parse_volume("circle 0 0 60 z 0 40").has(inf, 0, 0)
