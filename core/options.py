"""What programs are told: numbers and folders, read and checked."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import DeepLabStreamError


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


def check_new(
    folder: Path, fault: type[DeepLabStreamError] = DeepLabStreamError
) -> None:
    """Raise a `fault` unless the folder to make is new, or empty."""
    if folder.exists() and not folder.is_dir():
        raise fault(f"{folder} is a file; name a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise fault(f"{folder} is not empty; name a new folder")
