"""Overwriting: the rule for replacing files and folders of the user.

A path is taken when a file is there, or a folder that is not empty. Programs call
`check_free` or `check_new` before they begin to work; the window asks, and proposes
`free_path`.
"""

from collections.abc import Iterable
from itertools import count
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError


def would_overwrite(path: Path) -> bool:
    """Return whether writing to `path` would replace or add to existing files."""
    if path.is_dir() and not path.is_symlink():
        return any(path.iterdir())
    return path.is_symlink() or path.exists()


def free_path(path: Path) -> Path:
    """Return `path` if it is free, else the first free one of `NAME_2`, `NAME_3`."""
    for number in count(1):
        free = path if number == 1 else path.with_stem(f"{path.stem}_{number}")
        if not would_overwrite(free):
            return free
    raise AssertionError("count() never ends")


def check_new(
    folder: Path, fault: type[DeepLabStreamError] = DeepLabStreamError
) -> None:
    """Raise a `fault` unless the new folder does not exist or is empty."""
    if not would_overwrite(folder):
        return
    what = "is not empty" if folder.is_dir() else "is a file"
    raise fault(f"{folder} {what}; name a new folder: {free_path(folder).name} is free")


def check_free(
    files: Iterable[Path | None],
    overwrite: bool = False,
    option: str = "--overwrite",
    fault: type[DeepLabStreamError] = DeepLabStreamError,
) -> None:
    """Raise a `fault` if one of the files to write exists, unless `overwrite`.

    None stands for a file that is not written. `option` is the command-line option that
    allows it. A folder in place of a file is always refused.
    """
    for file in filter(None, files):
        if file.is_dir():
            raise fault(f"{file} is a folder; name a file")
        if would_overwrite(file) and not overwrite:
            raise fault(
                f"{file} already exists. Name another file, or replace it with {option}"
            )
