"""What makes chance repeatable."""

from typing import Annotated

from pydantic import BeforeValidator

DRAWN = "new"
"""Written for a seed: the program draws a number before each run, and records it."""


def _drawn_later(word: object) -> object:
    return 0 if str(word).strip().casefold() == DRAWN else word


Seed = Annotated[int, BeforeValidator(_drawn_later)]
"""A number from which all chance of an experiment or trigger comes.

`new` is 0 as long as nobody has drawn one: see `deeplabstream.settings.text_rewriting`.
"""
SEED_WORDS = "new: drawn before each run, and recorded"
