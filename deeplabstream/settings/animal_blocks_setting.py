"""Animal blocks as a setting: reads animals and their times of a rack file."""

from typing import Annotated

from pydantic import BeforeValidator

from deeplabstream.core.animal_blocks import AnimalBlocks, read_animal_blocks


def _read(word: object) -> object:
    return read_animal_blocks(word) if isinstance(word, str) else word


AnimalBlocksSetting = Annotated[AnimalBlocks, BeforeValidator(_read)]
"""Animal blocks that are written as a text such as `m1 09:00 - 11:00, m2 11:30 - 13:30`."""
