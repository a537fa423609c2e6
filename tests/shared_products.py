"""Costly products that all test processes of one run of pytest share."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deeplabstream.files.exclusive_writing import exclusive

PATIENCE_S = 600.0
"""For a computer on which much else runs: as long as a test may take."""


def shared_folder(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]
) -> Path:
    """Return a folder that the first process to ask for it makes; no test changes it."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # each worker has a folder of its own there
    folder = root / "shared" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder.with_name(f"{name}.made")
    with exclusive(made, PATIENCE_S):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            made.touch()
    return folder
