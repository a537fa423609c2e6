"""Grid of arenas as a shape: its outline and its corners as a text."""

import pytest

from deeplabstream.gui.arena_grid import corners_word, grid_shape


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


MIRRORED = "2", "3", "500 50, 100 300"
TURNED = "2", "3", "100 50, 500 60, 490 300, 90 290"


def test_a_grid_that_is_moved_keeps_the_number_of_its_corners() -> None:
    mirrored, turned = grid_shape(*MIRRORED), grid_shape(*TURNED)
    assert mirrored is not None and turned is not None
    assert corners_word(mirrored.moved(10, -5.5), *MIRRORED) == "510 44.5, 110 294.5"
    word = "110 50, 510 60, 500 300, 100 290"
    assert corners_word(turned.moved(10, 0), *TURNED) == word


def test_an_outline_that_no_grid_has_is_refused() -> None:
    mirrored, turned = grid_shape(*MIRRORED), grid_shape(*TURNED)
    assert mirrored is not None and turned is not None
    for shape, texts in (
        (mirrored.reshaped(0, 510, 50), MIRRORED),
        (turned.reshaped(2, 150, 100), TURNED),
        (turned.with_corner(300, 40), TURNED),
    ):
        with pytest.raises(ValueError, match="CORNERS: expected"):
            corners_word(shape, *texts)


def test_a_corner_of_a_grid_that_is_dragged_makes_four_corners() -> None:
    texts = "2", "3", "100 50, 500 300"
    shape = grid_shape(*texts)
    assert shape is not None
    word = "100 50, 500 50, 520 310, 100 300"
    assert corners_word(shape.reshaped(2, 520, 310), *texts) == word
