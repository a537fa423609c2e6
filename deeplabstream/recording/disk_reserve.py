"""Space on the disk that a run keeps free, so that a full disk can still be written down."""

import os
from contextlib import suppress
from pathlib import Path

NAME = ".reserve"
RESERVED_BYTES = 1_000_000
"""More than `run.json` takes."""


def reserve(folder: Path) -> None:
    """Fill a hidden file in a run folder; a disk that refuses it changes nothing."""
    with suppress(OSError), (folder / NAME).open("xb") as file:
        # random: a file system may compress other bytes to nothing
        file.write(os.urandom(RESERVED_BYTES))


def release(folder: Path) -> None:
    """Remove the file."""
    with suppress(OSError):
        (folder / NAME).unlink()
