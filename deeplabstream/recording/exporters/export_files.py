"""Export files: planned first, so that none is replaced by mistake, then written atomically."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.startup.progress import progress


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of an export."""

    path: Path
    write: Callable[[Path], object]
    """Writes the file to the path that it gets."""


def write_files(
    files: Sequence[ExportFile], report: Callable[[str], object] = lambda text: None
) -> None:
    """Write each file under a temporary name and rename it when it is complete.

    An error leaves the files that were there before unchanged. `report` gets the path of
    each file that was written.
    """
    for file in progress(files, "writing files", len(files), "files"):
        with atomic_file(file.path) as draft:
            file.write(draft)
        report(str(file.path))
