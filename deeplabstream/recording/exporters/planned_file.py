"""Planned file: where an exporter will write a file, known before it is written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file of an export."""

    path: Path
    write: Callable[[Path], object]
    """Writes the file to the path that it is given."""
