"""User cache: compiled engines, converted networks, measured speeds, checked videos.

It can be deleted at any time; entries are made again when needed.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from deeplabstream.core.errors import DeviceError, ModelError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.files.foreign_files import read_json

VARIABLE = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
"""Environment variable with the user's cache folder, if set."""
_USUAL = {"win32": "AppData/Local", "darwin": "Library/Caches"}


def cache_folder() -> Path:
    """Return the folder, made if missing; ModelError: it can't be made."""
    usual = _USUAL.get(sys.platform, ".cache")
    folder = Path(os.environ.get(VARIABLE) or Path.home() / usual) / "DeepLabStream"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"{folder}, the cache of network measurements, can't be created "
            f"({error.strerror}): set {VARIABLE} = a writable folder in the "
            "environment, or RUNTIME = cpu in [Pose Estimation]"
        ) from error
    return folder


def read_entries(file: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of a JSON file in the cache; a damaged or missing file has none."""
    try:
        known = read_json(file)
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {key: value for key, value in known.items() if isinstance(value, dict)}


def add_entries(
    file: Path, entries: dict[str, dict[str, Any]], most: int | None = None
) -> None:
    """Add entries to a JSON file in the cache; write errors are ignored.

    Above `most` entries, the oldest are removed. Nothing is lost when several programs add.
    """
    with suppress(OSError, DeviceError), exclusive(file):
        known = read_entries(file)
        for key in entries:
            known.pop(key, None)  # the newest come last
        known |= entries
        if most is not None:
            known = dict(list(known.items())[-most:])
        with atomic_file(file) as draft:
            draft.write_text(json.dumps(known, indent=1), "utf-8")
