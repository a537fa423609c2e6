"""Seeds that make random choices repeatable."""

from typing import Annotated

from pydantic import BeforeValidator

DRAWN = "new"
"""Value of a seed option: the program draws and records a number before each run."""


def _drawn_later(word: object) -> object:
    return 0 if str(word).strip().casefold() == DRAWN else word


Seed = Annotated[int, BeforeValidator(_drawn_later)]
"""Seed of all random choices of an experiment or trigger.

`new` is 0 until one is drawn: see `deeplabstream.settings.text_rewriting`.
"""
SEED_DESCRIPTION = "new: drawn before each run and recorded"
