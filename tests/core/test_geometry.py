"""Angles of the picture."""

from math import cos, isnan, radians, sin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.geometry import angle_between


@given(st.floats(0, 360), st.floats(0, 180))
def test_the_angle_between_is_the_turn(start: float, turn: float) -> None:
    first = cos(radians(start)), sin(radians(start))
    second = cos(radians(start + turn)), sin(radians(start + turn))
    assert angle_between(first, second) == pytest.approx(turn, abs=1e-5)
    assert angle_between(second, first) == pytest.approx(turn, abs=1e-5)


def test_no_direction_no_angle() -> None:
    assert isnan(angle_between((0, 0), (1, 0)))
    assert isnan(angle_between((float("nan"), 1), (1, 0)))
