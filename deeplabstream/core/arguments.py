"""Numbers of the command line, read and checked."""

import argparse
from collections.abc import Callable
from typing import Any


def at_least(least: float, kind: type = int) -> Callable[[str], Any]:
    """Return what reads an option's number, which is `least` or more."""

    def read(word: str) -> Any:
        try:
            number = kind(word)
        except ValueError:
            number = None
        if number is None or not number >= least:
            whole = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(
                f"{word!r}: expected {whole}, {least:g} or more"
            )
        return number

    return read
