"""Folders of the program, and paths that may be missing."""

import os
import sys
from fnmatch import filter as matching
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The package `deeplabstream`."""
INSTALLED = (PACKAGE / "rig").is_dir()
"""Whether the program is an installed package, not a checkout."""
ROOT = PACKAGE / "rig" if INSTALLED else PACKAGE.parent
"""Files that come with the program: settings.ini, plug-ins, models, configurations.

It is the checkout, or the folder `rig` of an installed package.
"""

_PASSED_OVER = FileNotFoundError, NotADirectoryError, PermissionError


def is_folder(path: Path) -> bool:
    """Return whether a folder exists; False for a name that is too long."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Return whether a file exists; False for a name that is too long."""
    try:
        return path.is_file()
    except OSError:
        return False


def paths_below(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the files and folders below a folder whose names match, sorted.

    Files that another process removes meanwhile are left out; `Path.rglob` raises
    FileNotFoundError then. So are folders that may not be read, as by `Path.rglob`. Links to
    folders are not followed. OSError: the disk fails.
    """

    def pass_over(error: OSError) -> None:
        if not isinstance(error, _PASSED_OVER):
            raise error

    return sorted(
        Path(place, name)
        for place, folders, files in os.walk(folder, onerror=pass_over)
        for name in matching((*folders, *files), pattern)
    )


def make_plugins_importable(*, first: bool = False) -> None:
    """Put ROOT on `sys.path`, from which `cameras`, `experiments` and `outputs` are imported.

    `first`: before all other folders, so that no package of that name hides them.
    """
    if first and sys.path[:1] != [str(ROOT)]:
        sys.path.insert(0, str(ROOT))
    elif str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
