"""Animals of a box, one after another, as a rack file names them."""

import pytest

from deeplabstream.core.animal_blocks import read_animal_blocks


@pytest.mark.parametrize(
    "text",
    ["m1", "m1, m2", "mouse 1 09:00 - 11:00, mouse 2 11:00 - 13:30", "a 22:00 - 02:00"],
)
def test_blocks_are_written_as_they_are_read(text: str) -> None:
    assert str(read_animal_blocks(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("m1,", "a name is missing"),
        ("m1, m1", "m1 is there twice"),
        ("m1 09:00 - 11:00, m2", "m2 has no time"),
        ("m1 09:00", "expected an animal and two times"),
        ("09:00 - 11:00", "expected an animal and two times"),
        ("m1 09:00 - 09:00", "begin and end must differ"),
        ("m1 09:00 - 11:00, m2 10:00 - 12:00", "the times of m1 and m2 overlap"),
        ("m1 22:00 - 06:00, m2 05:00 - 07:00", "the times of m1 and m2 overlap"),
        ("m1 05:00 - 07:00, m2 22:00 - 06:00", "the times of m1 and m2 overlap"),
    ],
)
def test_wrong_blocks_are_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_animal_blocks(text)
