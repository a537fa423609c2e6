"""Calibration copy: the calibration of the cameras of a run, kept in its folder."""

import hashlib
from pathlib import Path

from deeplabstream.core.errors import DeviceError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.paths import is_folder

FOLDER = "calibration"
"""Folder of a run that has its calibration, as it was read."""


def copy_calibration(path: Path, run: Path) -> dict[str, str]:
    """Copy a calibration, a file or a folder of files, into the folder of a run.

    Returns the SHA-256 of each file by name; DeviceError: it can't be copied.
    """
    copied = run / FOLDER / path.name
    names, hashes = [""], {}
    try:
        if is_folder(path):
            names = sorted(file.name for file in path.iterdir() if file.is_file())
        for name in names:
            content = (path / name).read_bytes()
            with atomic_file(copied / name) as draft:
                draft.write_bytes(content)
            hashes[name or path.name] = hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise DeviceError(f"{path} can't be copied into {run}: {error}") from error
    return hashes


def calibration_of(path: Path, folder: Path) -> Path:
    """Return the calibration that settings in a folder name: of a run, its copy."""
    copied = folder / FOLDER / path.name
    return copied if (folder / "run.json").exists() and copied.exists() else path
