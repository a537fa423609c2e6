"""Grid of arenas as a shape: its outline and its corners as a text."""

import pytest

from deeplabstream.gui.arena_grid import grid_shape


def test_the_outline_of_a_grid_joins_the_centres_of_its_outer_arenas() -> None:
    shape = grid_shape("2", "3", "100 50, 500 300")
    assert shape is not None
    assert shape.corners == ((100, 50), (500, 50), (500, 300), (100, 300))


@pytest.mark.parametrize(
    ("rows", "columns"), [("99999", "99999"), ("26", "40"), ("0", "3"), ("1", "3")]
)
def test_a_grid_that_the_settings_refuse_or_of_one_row_has_no_outline(
    rows: str, columns: str
) -> None:
    assert grid_shape(rows, columns, "100 50, 500 300") is None
